"""Are the settings complete and well formed?

Evidence: the settings themselves, where each came from, the names in the environment, and the CA file, which
is really loaded. All problems are found and said at once, each with its steps; the code is that of the most
fundamental one.

Codes: ok, missing, invalid_url, unsupported_scheme, insecure_url, token_malformed, secret_malformed,
secret_unreadable, disabled, unknown_variable, ca_unreadable, invalid_value.

Leaves the endpoint, the decoded HMAC secret and the proxy.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from z4j_probes.climb import Climb
from z4j_probes.codes import lookup, outcome
from z4j_probes.endpoint import Endpoint, parse_endpoint
from z4j_probes.portable import errors, shell, user
from z4j_probes.probe import Probe
from z4j_probes.protocol import decode_secret
from z4j_probes.proxy import Proxy, find_proxy
from z4j_probes.result import ROW_WIDTH, Advice, Cause, ProbeResult, Status, Step, as_steps
from z4j_probes.rungs.config import windows
from z4j_probes.rungs.config.problems import NOT_SET, Problem, find_problems
from z4j_probes.rungs.hints import listed, set_missing, set_value, unreadable, variable_of
from z4j_probes.settings import Settings
from z4j_probes.threads import in_daemon_thread

# What is said first: an unreadable file explains what is missing, a missing URL all that depends on it.
_ORDER = (
    "config.secret_unreadable",
    "config.missing",
    "config.unsupported_scheme",
    "config.invalid_url",
    "config.insecure_url",
    "config.token_malformed",
    "config.secret_malformed",
    "config.invalid_value",
    "config.ca_unreadable",
    "config.disabled",
    "config.unknown_variable",
)
# The ladder goes on with these.
_WARNINGS = ("config.disabled", "config.unknown_variable")
# Of a file that is not PEM: what a chain of certificates has at most.
_START_BYTES = 64 * 1024


async def run(climb: Climb) -> ProbeResult:
    """Judge the settings, and leave what they mean."""
    settings = climb.settings
    problems = find_problems(settings)
    budget_s = climb.time_left()
    try:
        async with asyncio.timeout(budget_s):
            ca_problem = await in_daemon_thread(lambda: load_ca_file(settings)) if settings.ca_file else []
    except TimeoutError:  # a dead network mount
        seen = shell.mount_of(settings.ca_file or "")
        step = Step("Check whether it is on a network mount that does not answer", seen)
        ca_problem = _ca_problem(settings, f"did not answer within {budget_s:.3g} s", step)
    problems = sorted([*problems, *ca_problem], key=lambda p: _ORDER.index(p.code))
    if any(p.code not in _WARNINGS for p in problems):
        return _told(settings, problems)

    climb.endpoint = parse_endpoint(settings.brain_url or "")
    secret = settings.hmac_secret
    climb.hmac_secret = decode_secret(secret.reveal()) if secret else None
    climb.proxy = find_proxy(climb.endpoint, settings.environ)
    if problems:
        return _told(settings, problems)
    return _in_order(settings, climb.endpoint, climb.proxy)


def load_ca_file(settings: Settings) -> list[Problem]:
    """Load the CA file as the TLS handshake will; its problem, if it has one."""
    path = settings.ca_file
    if not path:
        return []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
        glued = windows.glued_line(Path(path).read_bytes())
        if glued is not None:  # OpenSSL stops there, and has the certificates before it
            return _ca_problem(settings, *_glued(path, glued))
    except ssl.SSLError as exc:
        glued = windows.glued_line(Path(path).read_bytes())
        if glued is not None:
            return _ca_problem(settings, *_glued(path, glued))
        return _no_pem(settings, path, exc.reason or "unreadable to OpenSSL")
    except (OSError, ValueError) as exc:
        reason = errors.reason(exc) if isinstance(exc, OSError) else str(exc)
        return _ca_problem(settings, f"can't be read: {reason}", unreadable(settings, path, "Z4J_CA_FILE"))
    if not context.cert_store_stats()["x509"]:
        return _ca_problem(
            settings, "contains no certificate", "Set it to a PEM file with the certificate of the CA"
        )
    return []


def _glued(path: str, line: int) -> tuple[str, Step]:
    reason = f"has two certificates glued together in line {line}, without a line break between them"
    return reason, windows.separate(path, line)


def _no_pem(settings: Settings, path: str, said: str) -> list[Problem]:
    """What OpenSSL has `said` about it is shown where no more is known."""
    from z4j_probes.rungs.config.pem import fault_of  # loaded where something is wrong with it

    fault = fault_of(path, Path(path).read_bytes()[:_START_BYTES])
    if fault is None:
        text = "Use a file that contains -----BEGIN CERTIFICATE-----. Identify this one"
        step = Step(text, shell.identify(path))
        return _ca_problem(settings, f"is not a PEM file of certificates ({said})", step)
    steps = fault.steps
    if fault.made is not None:
        steps += set_value(settings, "ca_file", fault.made, "Set the result")
    return _ca_problem(settings, f"is not a PEM file of certificates: it {fault.reason}", steps)


def _ca_problem(settings: Settings, reason: str, advice: Advice) -> list[Problem]:
    message, source = f"the CA file {settings.ca_file} {reason}", settings.sources.get("ca_file")
    said = None if source is None else str(source)
    return [Problem("config.ca_unreadable", "ca_file", said, message, as_steps(advice))]


def _told(settings: Settings, problems: list[Problem]) -> ProbeResult:
    """The problems, those of one code as one cause; a single cause needs no list of causes."""
    causes = [_cause(settings, code, list(group)) for code, group in groupby(problems, lambda p: p.code)]
    result = outcome(
        causes[0].code,
        "; ".join(cause.message for cause in causes),
        hint=dict.fromkeys(step for cause in causes for step in cause.steps),
        details={"problems": [p.to_details() for p in problems]},
        headline=_headline(problems),
    )
    return replace(result, causes=tuple(causes)) if len(causes) > 1 else result


def _headline(problems: list[Problem]) -> str:
    """The first problem, or all that is missing, and how many more there are."""
    first, title, told = problems[0].message, lookup(problems[0].code).title, 1
    if problems[0].code == "config.missing":
        told = sum(p.code == "config.missing" for p in problems)
        first = f"{told} required setting{' is' if told == 1 else 's are'} missing"
    more = len(problems) - told
    suffix = f", {more} more problem{'' if more == 1 else 's'}" if more else ""
    forms = (f"{first}{suffix}", f"{title}{suffix}", f"{len(problems)} problems with the settings")
    return next(form for form in forms if len(form) <= ROW_WIDTH)


def _cause(settings: Settings, code: str, problems: list[Problem]) -> Cause:
    """Problems of one code as one."""
    if code == "config.missing":
        return _all_missing(settings, problems)
    steps = dict.fromkeys(step for p in problems for step in p.steps)
    return Cause(code, lookup(code).status, "; ".join(p.message for p in problems), tuple(steps))


def _all_missing(settings: Settings, problems: list[Problem]) -> Cause:
    """What is missing is named, and set, together where that is possible."""
    unset = [p for p in problems if p.message == f"{variable_of(p.setting).name} is {NOT_SET}"]
    messages = [p.message for p in problems if p not in unset]
    if unset:
        names = listed([variable_of(p.setting).name for p in unset])
        messages.insert(0, f"{names} {'is' if len(unset) == 1 else 'are'} {NOT_SET}")
    together = [p for p in problems if p.steps == set_missing(settings, p.setting)]
    steps = dict.fromkeys(step for p in problems if p not in together for step in p.steps)
    if together:
        steps |= dict.fromkeys(set_missing(settings, *(p.setting for p in together)))
    return Cause("config.missing", Status.FAIL, "; ".join(messages), tuple(steps))


def _in_order(settings: Settings, endpoint: Endpoint, proxy: Proxy | None) -> ProbeResult:
    message = f"{endpoint.url}, project {settings.project_id}, agent {settings.filled_agent_name}"
    details = {
        "endpoint": endpoint.websocket_url,
        "proxy": proxy.authority if proxy else None,
        "uid": user.uid(),
    }
    return outcome("config.ok", message, details=details)


PROBE = Probe(
    name="config",
    question="Are the settings complete and well formed?",
    needs=(),
    run=run,
    timeout_code="config.ca_unreadable",  # the CA file is all that it waits for
    network=False,
    waits_for=lambda climb: "reading the settings",
)
