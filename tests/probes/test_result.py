"""Results and steps as data: what plug-ins may give, what JSON has, and what older documents are read as."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from tests.support.reports import green
from z4j_probes import Code, ProbeResult, Report, Status, Step, outcome

FIND = Step("Find the process; it may be `old`", "ss -ltnp 'sport = :443'; echo '; and '")
FREE = Step("If that fails, free the port")


def result(**given: Any) -> ProbeResult:
    return ProbeResult("tcp", Status.FAIL, "tcp.refused", "refused", **given)


def test_a_text_is_one_step_and_comes_back_as_it_was() -> None:
    given = result(hint="see `brain.example`: `dig`; or, and wait")
    assert given.steps == (Step("see `brain.example`: `dig`; or, and wait"),)
    assert given.hint == "see `brain.example`: `dig`; or, and wait"


def test_no_hint_is_no_step() -> None:
    assert result().steps == result(hint="").steps == ()
    assert result().hint == ""


@pytest.mark.parametrize("form", [list, tuple, iter])
def test_steps_are_kept_whole_and_rendered_as_sentences(form: Any) -> None:
    given = result(hint=form([FIND, FREE]))
    assert given.steps == (FIND, FREE)
    assert given.hint == f"{FIND.text}: `{FIND.command}`. {FREE.text}"


def test_one_step_needs_no_tuple() -> None:
    assert result(hint=FREE).steps == (FREE,)


def test_what_is_neither_text_nor_steps_is_a_mistake_that_shows() -> None:
    with pytest.raises(TypeError, match="advice"):
        result(hint=["look"])


def test_a_replaced_hint_replaces_the_steps_and_else_they_stay() -> None:
    given = result(hint=(FIND, FREE))
    assert replace(given, status=Status.WARN).steps == (FIND, FREE)
    changes: dict[str, Any] = {"hint": "look"}
    assert replace(given, **changes).steps == (Step("look"),)
    assert replace(given, steps=(FREE,)).hint == FREE.text


def test_arguments_by_position_are_what_they_were() -> None:
    given = ProbeResult("tcp", Status.FAIL, "tcp.refused", "refused", "look", 1.5, {"a": 1})
    assert (given.hint, given.duration_ms, given.details) == ("look", 1.5, {"a": 1})


def test_json_has_the_steps_beside_the_hint_and_is_read_back() -> None:
    given = result(hint=(FIND, FREE), details={"a": 1})
    row = given.to_dict()
    assert row["hint"] == given.hint
    assert row["steps"] == [
        {"text": FIND.text, "command": FIND.command},
        {"text": FREE.text, "command": ""},
    ]
    assert ProbeResult.from_dict(row) == given
    assert pickle.loads(pickle.dumps(given)) == given


@pytest.mark.parametrize("status", [1, 130, 143])
def test_an_interrupted_report_is_read_back_with_its_exit_status(status: int) -> None:
    given = replace(green(), interrupted=True, interrupted_status=status).to_dict()
    assert (given["exit_code"], given["ok"]) == (status, False)
    assert Report.from_dict(given).to_dict() == given


def test_a_document_without_steps_is_read_with_its_hint_as_one() -> None:
    row = result(hint="look: `ls`; and wait").to_dict()
    del row["steps"]
    assert ProbeResult.from_dict(row).steps == (Step("look: `ls`; and wait"),)


def test_a_codes_remedy_may_be_a_text_or_steps() -> None:
    text = Code("worn.text", "worn", remedy="look after it")
    steps = Code("worn.steps", "worn", remedy=(FIND, FREE))
    assert (text.remedy, text.steps) == ("look after it", (Step("look after it"),))
    assert steps.steps == (FIND, FREE)
    assert replace(steps, title="torn").steps == (FIND, FREE)
    assert outcome(steps, "it is worn").steps == (FIND, FREE)
