"""Annotations, read as a runner of GitHub Actions reads a job's output."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tests.support.reports import EXPIRED, expired_certificate, green, hostile, warned
from z4j_fastapi.reports.github import render
from z4j_probes import Report


@dataclass(frozen=True)
class Annotation:
    """One workflow command."""

    kind: str
    title: str
    text: str


def annotated(report: Report) -> list[Annotation]:
    """What the runner makes of the lines: a command is one that begins with ::, or has ##[ anywhere."""
    *commands, last = render(report).splitlines()
    assert "##[" not in render(report)
    assert not last.lstrip().startswith("::")
    found = [re.fullmatch(r"::(\w+) title=([^:,]*)::(.*)", line) for line in commands]
    assert all(found)
    return [Annotation(m[1], _unescaped(m[2]), _unescaped(m[3])) for m in found if m]


def _unescaped(text: str) -> str:
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, character)
    return text


def test_a_failure_is_an_error_with_its_fix() -> None:
    (annotation,) = annotated(expired_certificate())

    assert (annotation.kind, annotation.title) == ("error", "z4j tls.expired")
    first, *rest = annotation.text.splitlines()
    assert first == EXPIRED
    assert rest[0] == "Fix: Renew it on the brain's proxy:"
    assert rest[1].startswith("    sudo certbot renew")
    assert rest[-1].startswith("More: ")


def test_a_warning_is_one_unless_the_run_is_strict() -> None:
    assert [a.kind for a in annotated(warned())] == ["warning"]
    assert [a.kind for a in annotated(replace(warned(), strict=True))] == ["error"]


def test_a_green_run_annotates_nothing_and_says_so_in_the_log() -> None:
    assert render(green()) == "z4j doctor 0.1.0: 8 passed in 0.2 s. The agent can connect.\n"


def test_an_interrupted_run_is_an_error() -> None:
    (annotation,) = annotated(replace(green(), interrupted=True, waiting="tls"))

    assert annotation.kind == "error"
    assert "while tls was waiting" in annotation.text


def test_a_peer_can_give_no_command_of_its_own() -> None:
    evil = "x\n::set-output name=a::b ##[error]c\r::stop-commands::d %0A::error::e"
    (annotation,) = annotated(expired_certificate(message=evil))

    assert annotation.text.splitlines()[0].startswith("x ::set-output")
    assert len(annotated(hostile())) == 1
