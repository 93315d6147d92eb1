"""Everything that can be wrong with the settings as data: what it is, where it is, what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from z4j_probes.endpoint import InvalidURL, UnsupportedScheme, parse_endpoint
from z4j_probes.given import Unusable
from z4j_probes.labels import parse_labels
from z4j_probes.portable import shell
from z4j_probes.protocol import decode_secret
from z4j_probes.proxy import InvalidProxy, find_proxy, no_proxy_hint
from z4j_probes.redact import Secret
from z4j_probes.result import Advice, Step, as_steps, in_one_line
from z4j_probes.rungs.config import misspelled, windows
from z4j_probes.rungs.config import token as pasted_token
from z4j_probes.rungs.hints import replace_secret, set_missing, source_name, unreadable, variable_of
from z4j_probes.rungs.unit_hints import restart, unit_of
from z4j_probes.settings import Settings
from z4j_probes.variables import REQUIRED

PREFLIGHTS = ("warn", "strict", "off")
SWITCHES = ("1", "true", "yes", "on", "0", "false", "no", "off")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Slugs and UUIDs; liberal, since the brain has the last word, but nothing that was pasted with its quotes.
_PROJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_AGENT_NAME_MAX = 128
_EXAMPLE_URL = "https://brain.example"
NOT_SET = "not set"
# The code of each setting that is malformed, the most fundamental first.
_MALFORMED = {
    "brain_url": "config.invalid_url",
    "token": "config.token_malformed",
    "hmac_secret": "config.secret_malformed",
}
# Without the secret nothing can be signed, and no brain listens to an agent that does not sign.


class Problem(NamedTuple):
    """One thing that is wrong with one setting; `source` is where its value came from."""

    code: str
    setting: str
    source: str | None
    message: str
    steps: tuple[Step, ...]

    def to_details(self) -> dict[str, Any]:
        """The problem as evidence."""
        return {
            "code": self.code,
            "setting": self.setting,
            "source": self.source,
            "message": self.message,
            "hint": in_one_line(self.steps),
        }


def find_problems(settings: Settings) -> list[Problem]:
    """Everything that is wrong with these settings, the CA file's contents apart."""
    problems = [
        Problem(
            "config.secret_unreadable",
            lost.attribute,
            lost.variable,
            f"{lost.path} can't be read ({lost.variable}): {lost.reason}",
            lost.steps or unreadable(settings, lost.path, lost.variable),
        )
        for lost in settings.unreadable
    ]
    problems += [_unusable(settings, argument) for argument in settings.unusable]
    returns = _with_returns(settings)
    if returns is not None:  # what else seems to be wrong follows from it
        return [*problems, returns]
    unread = misspelled.unread(settings.environ)
    # a cause, and not what follows from it: the env file that can't be read may have all of them
    needed = () if any(lost.attribute == "env_file" for lost in settings.unreadable) else REQUIRED
    for attribute in needed:
        if not given(getattr(settings, attribute)) and attribute not in {p.setting for p in problems}:
            meant = misspelled.meant_for(variable_of(attribute).name, unread)
            problems.append(_missing(settings, attribute, meant))
            unread = [name for name in unread if name != meant]
    for name in unread:
        known = misspelled.closest(name)
        if known is not None:
            message = f"{name} is set, but not used: did you mean {known}?"
            steps = as_steps(f"Rename {name} to {known}, or unset it")
            problems.append(Problem("config.unknown_variable", known, f"env {name}", message, steps))
    return [*problems, *_about_url(settings), *_about_secrets(settings), *_about_values(settings)]


def _unusable(settings: Settings, argument: Unusable) -> Problem:
    name = argument.attribute
    message = f"the argument {name} is of type {argument.type_name}, expected {argument.expected}"
    return _problem(settings, "config.invalid_value", name, message, f"Pass {argument.expected} as {name}=")


def _with_returns(settings: Settings) -> Problem | None:
    """Values that end in a carriage return, told once: the code is that of the most fundamental of them."""
    attributes = [name for name in settings.sources if windows.ends_in_return(getattr(settings, name, None))]
    if not attributes:
        return None
    code = next((code for name, code in _MALFORMED.items() if name in attributes), "config.invalid_value")
    names = ", ".join(variable_of(attribute).name for attribute in attributes)
    verb = "ends" if len(attributes) == 1 else "end"
    message = f"{names} {verb} in a carriage return (\\r): the file has Windows line endings"
    return _problem(settings, code, attributes[0], message, windows.convert(settings, attributes))


def given(value: str | Secret | None) -> bool:
    """Whether there is a value: a blank one is as good as none."""
    text = value.reveal() if isinstance(value, Secret) else value
    return bool(text and text.strip())


def _problem(settings: Settings, code: str, attribute: str, message: str, advice: Advice) -> Problem:
    source = settings.sources.get(attribute)
    return Problem(code, attribute, None if source is None else str(source), message, as_steps(advice))


def _missing(settings: Settings, attribute: str, meant: str | None) -> Problem:
    variable, source = variable_of(attribute), settings.sources.get(attribute)
    steps: tuple[Step, ...]
    if source is not None and source.secret_file is not None:
        message = f"the file {source.secret_file} ({source.variable or variable.file_name}) is empty"
        steps = replace_secret(settings, attribute)
    else:
        blank = source is not None or variable.name in settings.environ
        message = f"{variable.name} is {'empty' if blank else NOT_SET}"
        steps = set_missing(settings, attribute)
    unit = unit_of(settings)
    passed_over = unit.passed_over.get(variable.name) if unit else None
    if unit is not None and passed_over is not None:
        message += f": systemd ignores its line in {passed_over}, for an export or a byte order mark (BOM)"
        correct = Step("Take that out of the file", shell.for_systemd(passed_over))
        steps = (correct, restart(unit))
    elif windows.marked(variable.name, settings.environ):
        message += ": the env file begins with a byte order mark (BOM), which became part of the name"
        steps = (Step("Save the file as UTF-8 without BOM", shell.without_mark("FILE")),)
    elif meant is not None:
        message += f", but {meant} is (did you mean {variable.name}?)"
        steps = (Step(f"Rename {meant} to {variable.name}"),)
    return _problem(settings, "config.missing", attribute, message, steps)


def _about_url(settings: Settings) -> Iterator[Problem]:
    if not given(settings.brain_url):
        return
    name = source_name(settings, "brain_url")
    try:
        endpoint = parse_endpoint(settings.brain_url or "")
    except UnsupportedScheme as exc:
        step = Step(f"Set {name} to the https:// address of the dashboard")
        yield _problem(settings, "config.unsupported_scheme", "brain_url", f"{name}: {exc}", step)
        return
    except InvalidURL as exc:
        step = Step(f"Set {name} to the address of the dashboard, such as {_EXAMPLE_URL}")
        swapped = "it looks like a token or secret (swapped?)"
        reason = swapped if settings.has_secret_for_url else exc
        message = f"{name} is not a valid brain URL: {reason}"
        yield _problem(settings, "config.invalid_url", "brain_url", message, step)
        return
    if not (endpoint.secure or endpoint.is_loopback or settings.allow_plaintext):
        message = f"{name} is plain http to {endpoint.host}: the token would be sent unencrypted"
        step = Step(f"Set {name} to {endpoint.https_url}, or to the port with TLS")
        yield _problem(settings, "config.insecure_url", "brain_url", message, step)
    try:
        proxy = find_proxy(endpoint, settings.environ)
        if proxy is not None and not endpoint.secure and settings.allow_plaintext:
            message = f"{name} is plain http through the proxy {proxy.authority}, which would read the token"
            step = Step(f"Set {name} to {endpoint.https_url}")
            around = Step(f"If no proxy is needed, add {endpoint.host} to NO_PROXY")
            yield _problem(settings, "config.insecure_url", "brain_url", message, (step, around))
    except InvalidProxy as exc:
        otherwise = "Add the brain's host to NO_PROXY if no proxy is needed"
        steps = (
            Step("Write the proxy as http://proxy.example:3128"),
            Step(no_proxy_hint(endpoint, settings.environ) or otherwise),
        )
        yield Problem("config.invalid_value", "proxy", None, str(exc), steps)


def _about_secrets(settings: Settings) -> Iterator[Problem]:
    if settings.token is not None and given(settings.token):
        faults = pasted_token.faults_of(settings.token.reveal())
        if faults:
            message = f"the token in {source_name(settings, 'token')} {', '.join(faults)}"
            steps = (
                Step("Copy the token from the dashboard again, without quotes or spaces"),
                *replace_secret(settings, "token"),
            )
            yield _problem(settings, "config.token_malformed", "token", message, steps)
    if settings.hmac_secret is not None and given(settings.hmac_secret):
        token = settings.token.reveal() if settings.token else ""
        try:
            decode_secret(settings.hmac_secret.reveal())
        except ValueError as exc:
            is_token = settings.hmac_secret.reveal().strip() == token.strip()
            wrong = "it is the token, not the secret" if is_token else exc
            message = f"{source_name(settings, 'hmac_secret')}: {wrong}"
            steps = (
                Step("Copy the HMAC secret from the dashboard again"),
                *replace_secret(settings, "hmac_secret"),
            )
            yield _problem(settings, "config.secret_malformed", "hmac_secret", message, steps)


def _about_values(settings: Settings) -> Iterator[Problem]:
    objections = {
        "project_id": _objection_to_project(settings.project_id),
        "agent_name": _objection_to_name(settings.filled_agent_name),
        "preflight": _objection_to_choice(settings.preflight, PREFLIGHTS),
        "disabled": _objection_to_choice((settings.disabled or "0").strip().lower(), SWITCHES),
        "log_level": _objection_to_choice((settings.log_level or "INFO").upper(), LOG_LEVELS),
        "labels": _objection_to_labels(settings.labels or ""),
        "commands": _objection_to_commands(settings.commands),
    }
    for attribute, objection in objections.items():
        if objection:
            where = source_name(settings, attribute)
            message = f"{where} is {getattr(settings, attribute)!r}, which {objection}"
            step = Step(f"Correct {where}: {variable_of(attribute).purpose}")
            yield _problem(settings, "config.invalid_value", attribute, message, step)
    if settings.is_disabled:
        where = source_name(settings, "disabled")
        message = f"{where} is set: the agent is disabled and will not connect"
        step = Step(f"Unset {where} if this service needs its agent")
        yield _problem(settings, "config.disabled", "disabled", message, step)


def _objection_to_project(project_id: str) -> str:
    if _PROJECT_ID.fullmatch(project_id):
        return ""
    return "is not a valid slug or UUID (letters, digits, and - _ . only, at most 128)"


def _objection_to_name(name: str) -> str:
    if not name.strip():
        return "is blank"
    left_over = "{" in name and re.search(r"\{.*?\}", name)
    if left_over:
        return f"contains {left_over[0]}: only {{host}} and {{pid}} are replaced"
    if len(name) > _AGENT_NAME_MAX:
        return f"is {len(name)} characters long (at most {_AGENT_NAME_MAX})"
    return "" if name.isprintable() else "contains a control character"


def _objection_to_commands(choice: str) -> str:
    if choice == "default":  # as it is unless it was set: what knows the commands is loaded to judge a choice
        return ""
    from z4j_probes.protocol.actions import allowed_actions

    try:
        allowed_actions(choice)
    except ValueError as exc:
        return f"can't be used: {exc}; expected default, all, none, or a list of commands"
    return ""


def _objection_to_labels(text: str) -> str:
    _, objections = parse_labels(text)
    return f"can't be used: {'; '.join(objections)}" if objections else ""


def _objection_to_choice(value: str, choices: tuple[str, ...]) -> str:
    return "" if value in choices else f"is not one of {', '.join(choices)}"
