"""Everything that can be wrong with the settings as data: what it is, where it is, what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from z4j_probes.endpoint import InvalidURL, UnsupportedScheme, parse_endpoint
from z4j_probes.protocol import decode_secret
from z4j_probes.proxy import InvalidProxy, excepting, find_proxy
from z4j_probes.redact import Secret
from z4j_probes.rungs import _source
from z4j_probes.rungs.config import misspelled as _misspelt
from z4j_probes.rungs.config import token as _token
from z4j_probes.settings import Settings

PREFLIGHTS = ("warn", "strict", "off")
SWITCHES = ("1", "true", "yes", "on", "0", "false", "no", "off")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Slugs and UUIDs; liberal, since the brain has the last word, but nothing that was pasted with its quotes.
_PROJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_AGENT_NAME_MAX = 128
# Without the secret nothing can be signed, and no brain listens to an agent that does not sign.
_NEEDED = ("brain_url", "token", "hmac_secret")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one setting; `source` is where its value came from."""

    code: str
    setting: str
    source: str | None
    message: str
    hint: str


def find_problems(settings: Settings) -> list[Problem]:
    """Everything that is wrong with these settings, the CA file's contents apart."""
    problems = [
        Problem(
            "config.secret_unreadable",
            lost.attribute,
            lost.variable,
            f"{lost.path} can't be read ({lost.variable}): {lost.reason}",
            lost.hint or _source.unreadable_hint(lost.path, lost.variable),
        )
        for lost in settings.unreadable
    ]
    misspelt = _misspelt.unread(settings.environ)
    for attribute in _NEEDED:
        if not given(getattr(settings, attribute)) and attribute not in {p.setting for p in problems}:
            meant = _misspelt.meant_for(_source.variable_of(attribute).name, misspelt)
            problems.append(_missing(settings, attribute, meant))
            misspelt = [name for name in misspelt if name != meant]
    for name in misspelt:
        known = _misspelt.closest(name)
        if known is not None:
            message = f"{name} is set, but nothing reads it: did you mean {known}?"
            hint = f"rename {name} to {known}, or unset it"
            problems.append(Problem("config.unknown_variable", known, f"env {name}", message, hint))
    return [*problems, *_about_url(settings), *_about_secrets(settings), *_about_values(settings)]


def given(value: str | Secret | None) -> bool:
    """Whether there is a value: a blank one is as good as none."""
    text = value.reveal() if isinstance(value, Secret) else value
    return bool(text and text.strip())


def _problem(settings: Settings, code: str, attribute: str, message: str, hint: str) -> Problem:
    return Problem(code, attribute, settings.sources.get(attribute), message, hint)


def _missing(settings: Settings, attribute: str, meant: str | None) -> Problem:
    variable, source = _source.variable_of(attribute), settings.sources.get(attribute)
    if source and "(" in source:
        message = f"the file of {source} is empty"
        hint = f"write the {attribute} into it"
    else:
        blank = source is not None or variable.name in settings.environ
        message = f"{variable.name} is {'empty' if blank else 'not set'}"
        hint = _source.set_hint(settings, attribute)
    if meant is not None:
        message += f", but {meant} is (did you mean {variable.name}?)"
        hint = f"rename {meant} to {variable.name}"
    return Problem("config.missing", attribute, source, message, hint)


def _about_url(settings: Settings) -> Iterator[Problem]:
    if not given(settings.brain_url):
        return
    name = _source.spoken(settings, "brain_url")
    try:
        endpoint = parse_endpoint(settings.brain_url or "")
    except UnsupportedScheme as exc:
        hint = f"write https://… in {name}, the address that the dashboard has in a browser"
        yield _problem(settings, "config.unsupported_scheme", "brain_url", f"{name}: {exc}", hint)
        return
    except InvalidURL as exc:
        hint = f"mend it in {name}; a brain URL looks like https://brain.example"
        said = "it looks like a token or secret: are the two swapped?" if settings.has_secret_for_url else exc
        message = f"{name} is no brain URL: {said}"
        yield _problem(settings, "config.invalid_url", "brain_url", message, hint)
        return
    if not (endpoint.secure or endpoint.is_loopback or settings.allow_plaintext):
        message = f"{name} is plaintext to {endpoint.host}: the token would be readable on the way"
        url = f"https://{endpoint.authority}{endpoint.prefix}"
        hint = f"write {url} in {name}, or the port that has TLS"
        yield _problem(settings, "config.insecure_url", "brain_url", message, hint)
    try:
        find_proxy(endpoint, settings.environ)
    except InvalidProxy as exc:
        hint = "write it as http://proxy.example:3128, or "
        hint += excepting(endpoint, settings.environ) or "add the brain's host to NO_PROXY"
        yield Problem("config.invalid_value", "proxy", None, str(exc), hint)


def _about_secrets(settings: Settings) -> Iterator[Problem]:
    if settings.token is not None and given(settings.token):
        faults = _token.faults_of(settings.token.reveal())
        if faults:
            message = f"the token in {_source.spoken(settings, 'token')} {', '.join(faults)}"
            hint = f"copy it from the dashboard again, bare, and {_source.paste_hint(settings, 'token')}"
            yield _problem(settings, "config.token_malformed", "token", message, hint)
    if settings.hmac_secret is not None and given(settings.hmac_secret):
        token = settings.token.reveal() if settings.token else ""
        try:
            decode_secret(settings.hmac_secret.reveal())
        except ValueError as exc:
            is_token = settings.hmac_secret.reveal().strip() == token.strip()
            wrong = "that is the token, not the secret" if is_token else exc
            message = f"{_source.spoken(settings, 'hmac_secret')}: {wrong}"
            hint = f"copy it from the dashboard again and {_source.paste_hint(settings, 'hmac_secret')}"
            yield _problem(settings, "config.secret_malformed", "hmac_secret", message, hint)


def _about_values(settings: Settings) -> Iterator[Problem]:
    objections = {
        "project_id": _objection_to_project(settings.project_id),
        "agent_name": _objection_to_name(settings.filled_agent_name),
        "preflight": _objection_to_choice(settings.preflight, PREFLIGHTS),
        "disabled": _objection_to_choice((settings.disabled or "0").strip().lower(), SWITCHES),
        "log_level": _objection_to_choice((settings.log_level or "INFO").upper(), LOG_LEVELS),
    }
    for attribute, objection in objections.items():
        if objection:
            where = _source.spoken(settings, attribute)
            message = f"{where} is {getattr(settings, attribute)!r}, which {objection}"
            hint = f"correct {where}: {_source.variable_of(attribute).purpose}"
            yield _problem(settings, "config.invalid_value", attribute, message, hint)
    if settings.is_disabled:
        where = _source.spoken(settings, "disabled")
        message = f"the agent is switched off by {where}: it will not connect"
        hint = f"unset {where}, if this service is to have its agent"
        yield _problem(settings, "config.disabled", "disabled", message, hint)


def _objection_to_project(project_id: str) -> str:
    if _PROJECT_ID.fullmatch(project_id):
        return ""
    return "is no slug or UUID: letters, digits and - _ . alone, at most 128 of them"


def _objection_to_name(name: str) -> str:
    if not name.strip():
        return "is blank"
    left_over = re.search(r"\{.*?\}", name)
    if left_over:
        return f"has {left_over[0]} in it: {{host}} and {{pid}} alone are filled in"
    if len(name) > _AGENT_NAME_MAX:
        return f"is {len(name)} characters long: at most {_AGENT_NAME_MAX} are possible"
    return "" if name.isprintable() else "has a character in it that can't be shown"


def _objection_to_choice(value: str, choices: tuple[str, ...]) -> str:
    return "" if value in choices else f"is none of {', '.join(choices)}"
