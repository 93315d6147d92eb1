"""Commands as data: held against what a real brain sends, and against what a hostile one could."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol import answers, decode_secret
from z4j_probes.protocol.actions import DESTRUCTIVE, Action, allowed_actions, capabilities
from z4j_probes.protocol.asking import confirm_token, target_and_parameters
from z4j_probes.protocol.commands import (
    BulkRetry,
    CancelTask,
    Command,
    ListDeadLetters,
    MalformedCommand,
    PurgeQueue,
    ReconcileTask,
    RequeueDeadLetter,
    RetryTask,
    SubmitTask,
    read_command,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "command_vectors.json").read_text())
RECORDED: dict[str, dict[str, Any]] = {
    f"{v['payload']['action']}{' (forced)' if v['payload']['parameters'].get('force') else ''}": v
    for v in VECTORS["commands"]
}


def recorded(action: str) -> Command:
    return read_command(RECORDED[action]["id"], RECORDED[action]["payload"])


def test_what_a_real_brain_sends_is_read() -> None:
    assert recorded("cancel_task").request == CancelTask("t-1")
    assert recorded("retry_task").request == RetryTask("t-1", (2,), {"a": 1}, 5)
    assert recorded("requeue_dead_letter").request == RequeueDeadLetter("t-1")
    assert recorded("bulk_retry").request == BulkRetry(("t-1", "t-2"))
    assert recorded("dlq.list").request == ListDeadLetters(None, 2, "c")
    assert recorded("purge_queue (forced)").request == PurgeQueue("jobs", None, True)
    submit, fire = recorded("submit_task"), recorded("schedule.fire")
    assert submit.request == SubmitTask("send_mail", (1,), {"a": 2}, "jobs")
    assert isinstance(fire.request, SubmitTask)
    assert fire.request.task_name == "send_mail"
    assert fire.fire_id == RECORDED["schedule.fire"]["payload"]["parameters"]["fire_id"]
    assert fire.claim_token
    assert submit.claim_token is None
    assert {command.engine for command in (submit, fire, recorded("cancel_task"))} == {"arq"}


def test_the_token_of_a_purge_is_the_brains_own() -> None:
    request = recorded("purge_queue").request
    assert isinstance(request, PurgeQueue)
    secret = decode_secret(VECTORS["hmac_secret"])
    assert request.confirm_token == confirm_token(secret, "jobs", VECTORS["depth"])
    assert request.confirm_token != confirm_token(secret, "jobs", VECTORS["depth"] + 1)


def test_a_dev_brain_sends_what_a_real_one_does() -> None:
    for vector in VECTORS["commands"]:
        payload = vector["payload"]
        asked = {
            key: value for key, value in payload["parameters"].items() if key not in ("engine", "filter")
        }
        if payload["action"] == Action.BULK_RETRY:
            asked = {k: v for k, v in payload["parameters"]["filter"].items() if k != "engine"}
        target, parameters = target_and_parameters(payload["action"], "arq", **asked)
        sent = {**payload, "target": target, "parameters": parameters}
        if payload["target"]["type"] == "schedule" or payload["action"] != Action.RECONCILE_TASK:
            assert target == payload["target"]
        assert read_command(vector["id"], sent) == read_command(vector["id"], payload)


def test_reconcile_names_the_task_without_its_engine() -> None:
    target, parameters = target_and_parameters("reconcile_task", "arq", task_id="1")
    assert target == {"type": "task", "id": "1", "engine": "arq"}
    read = read_command("c", {"action": "reconcile_task", "target": target, "parameters": parameters})
    assert read.request == ReconcileTask("1")


HOSTILE: list[Mapping[str, Any]] = [
    {"action": None},
    {"action": "a" * 81},
    {"action": "cancel\ntask"},
    {"target": None},
    {"target": {"engine": 5}},
    {"target": {"id": "x\x1b[2J"}},
    {"parameters": []},
    {"parameters": {}},
    {"parameters": {"task_id": ""}},
    {"parameters": {"task_id": "a" * 201}},
    {"parameters": {"task_id": "a\u2028b"}},
    {"parameters": {"task_id": "\ud800"}},
    {"parameters": {"task_id": ["a"]}},
    {"timeout_seconds": 0},
    {"timeout_seconds": 3601},
    {"timeout_seconds": 1.5},
    {"timeout_seconds": True},
    {"issued_by": "a\rb"},
    {"action": "bulk_retry", "parameters": {"filter": {"task_ids": []}}},
    {"action": "bulk_retry", "parameters": {"filter": {"task_ids": ["a"] * 1001}}},
    {"action": "bulk_retry", "parameters": {"filter": {"task_ids": [None]}}},
    {"action": "dlq.list", "parameters": {"limit": 201}},
    {"action": "submit_task", "parameters": {"name": "a", "args": {}}},
    {"action": "submit_task", "parameters": {"name": "a", "kwargs": []}},
    {"action": "schedule.fire", "parameters": {"task_name": "a"}},
]
SOUND = {"action": "cancel_task", "target": {"id": "arq:1"}, "parameters": {"task_id": "1"}}


def test_what_is_hostile_is_refused_without_its_value() -> None:
    for change in HOSTILE:
        with pytest.raises(MalformedCommand) as refused:
            read_command("c", {**SOUND, **change})
        assert str(refused.value).isprintable()
        assert "aaaa" not in str(refused.value)
    with pytest.raises(MalformedCommand):
        read_command("c\n", SOUND)
    assert read_command("c", SOUND).request == CancelTask("1")


SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
# deferred: the repr of a recursive strategy doubles with each level, and Hypothesis warns of that
JSON: st.SearchStrategy[Any] = st.deferred(
    lambda: SCALAR | st.lists(JSON, max_size=3) | st.dictionaries(st.text(), JSON, max_size=3)
)
KEYS = ["task_id", "filter", "limit", "queue", "args", "kwargs", "name", "fire_id", "max", "eta_seconds"]


@given(
    action=st.sampled_from([*Action]) | JSON,
    target=JSON,
    parameters=st.dictionaries(st.sampled_from(KEYS), JSON) | JSON,
    rest=JSON,
)
def test_whatever_comes_is_read_or_refused(action: Any, target: Any, parameters: Any, rest: Any) -> None:
    payload = {"action": action, "target": target, "parameters": parameters, "timeout_seconds": rest}
    with contextlib.suppress(MalformedCommand):
        command = read_command("c", {**payload, "issued_by": rest, "delivery_claim_token": rest})
        assert command.action.isprintable()
        assert command.target.isprintable()


def test_a_claim_token_is_echoed_though_the_rest_is_malformed() -> None:
    with pytest.raises(MalformedCommand) as refused:
        read_command("c", {"action": "schedule.fire", "delivery_claim_token": "t"})
    assert (refused.value.action, refused.value.claim_token) == ("schedule.fire", "t")


def test_the_owners_choice() -> None:
    everything = frozenset(Action)
    assert allowed_actions("default") == allowed_actions("") == everything - DESTRUCTIVE
    assert allowed_actions("all") == everything
    assert allowed_actions("none") == frozenset()
    assert allowed_actions("cancel_task, dlq.list") == {Action.CANCEL_TASK, Action.LIST_DEAD_LETTERS}
    assert allowed_actions("default purge_queue") == everything - {Action.RESTART_WORKER}
    with pytest.raises(ValueError, match="'cancel' is not a command"):
        allowed_actions("cancel")


def test_a_hello_offers_what_a_brain_looks_for() -> None:
    assert capabilities({Action.RETRY_TASK, Action.BULK_RETRY}) == (
        "retry_task",
        "retry_by_reference_v1",
        "bulk_retry",
    )
    assert capabilities({Action.FIRE, Action.RECONCILE_TASK, Action.PURGE_QUEUE}) == ()


def test_dead_letters_are_cut_to_what_a_brain_takes() -> None:
    entry = answers.dead_letter(
        task_id="1", task_name="n" * 999, queue="", failed_at=None, error="a\nb\x00" * 999, attempts=None
    )
    assert entry is not None
    page = answers.dead_letters("arq", [entry] * 300, None, None)
    assert len(answers.read_dead_letters(page)) == 200
    assert entry["error_excerpt"].isprintable()
    hostile: dict[str, Any] = {"task_name": "", "queue": "", "failed_at": None, "error": "", "attempts": 1}
    assert answers.dead_letter(task_id="a\nb", **hostile) is None
    for broken in ({}, {**page, "more": 1}, {**page, "total": -1}, {**page, "entries": [{}]}):
        with pytest.raises(ProtocolError):
            answers.read_dead_letters(broken)


def test_a_result_is_cut_to_the_frame() -> None:
    big = answers.result("success", "t", result={"a": "x" * 20_000})
    assert answers.fitted(big, 1_048_576) == big
    cut = answers.fitted(big, 16_384)
    assert (cut["result"], cut["delivery_claim_token"]) == (None, "t")
    assert answers.size(cut) < 16_384
    error = answers.result("failed", None, error="\ud800" + "e" * 10_000)["error"]
    assert len(error) == 8_192
    error.encode()
    foreign = answers.result("success", "t", result={"a": object()})
    assert answers.fitted(foreign, 1_048_576)["error"] == "the result can't be written as JSON"
