"""What a brain asks of a taskiq worker, with a broker in memory: done, or refused with a reason."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from taskiq import Context, InMemoryBroker, SimpleRetryMiddleware, TaskiqDepends, TaskiqMessage
from taskiq.abc.middleware import TaskiqMiddleware
from taskiq.result_backends.dummy import DummyResultBackend

from tests.support.agents import until
from tests.support.task_events import events_of, kinds, last_event
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.workers.taskiq import Z4JMiddleware

RUNS: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = []
RELEASE = threading.Event()


def broker_of(*more: TaskiqMiddleware, **arguments: Any) -> InMemoryBroker:
    broker = InMemoryBroker().with_middlewares(Z4JMiddleware(**arguments), *more)
    RUNS.clear()
    RELEASE.clear()

    @broker.task(task_name="note")
    async def note(*args: Any, **kwargs: Any) -> None:
        RUNS.append((args, kwargs))

    @broker.task(task_name="fail", retry_on_error=True)
    async def fail(*args: Any) -> None:
        RUNS.append((args, {}))
        raise ValueError(*args)

    @broker.task(task_name="forever", retry_on_error=True)
    async def forever() -> None:
        RUNS.append(((), {}))
        await asyncio.Event().wait()

    @broker.task(task_name="thread")
    def thread() -> None:
        RUNS.append(((), {}))
        RELEASE.wait(60)

    return broker


async def sent(broker: InMemoryBroker, name: str, *args: Any, **kwargs: Any) -> str:
    task = broker.find_task(name)
    assert task is not None
    return (await task.kiq(*args, **kwargs)).task_id


async def asked(brain: DevBrain, action: str, **what: Any) -> dict[str, Any]:
    return dict(await brain.command(action, engine="taskiq", **what))


def code(answer: Mapping[str, Any]) -> str:
    assert answer["status"] == "failed"
    return str(answer["error"]).partition(":")[0]


async def failed(brain: DevBrain, broker: InMemoryBroker, *args: Any) -> str:
    task_id = await sent(broker, "fail", *args)
    await last_event(brain, task_id)
    return task_id


async def test_a_submitted_task_runs_with_what_it_was_given(brain: DevBrain) -> None:
    # names that taskiq's own functions have, too
    given = {"self": 1, "args": 2, "message": 3, "broker": 4}
    async with broker_of():
        answer = await asked(brain, "submit_task", name="note", args=[1, "x"], kwargs=given)
        assert answer["status"] == "success"
        task_id = answer["result"]["task_id"]
        await last_event(brain, task_id)
    assert [((1, "x"), given)] == RUNS
    assert sorted(kinds(brain, task_id)) == ["received", "sent", "started", "succeeded"]


@pytest.mark.parametrize("name", ["strange", "note ", "os:system", "__class__"])
async def test_a_task_that_is_not_registered_is_not_sent(brain: DevBrain, name: str) -> None:
    async with broker_of():
        assert code(await asked(brain, "submit_task", name=name)) == "command.unknown_task"


async def test_a_queue_of_another_worker_is_refused(brain: DevBrain) -> None:
    async with broker_of():
        answer = await asked(brain, "submit_task", name="note", queue="z4j:taskiq:revoked:x")
        assert code(answer) == "command.no_worker_here"
    assert not RUNS


@pytest.mark.parametrize("ours_last", [False, True])
async def test_a_running_task_is_ended_at_once_and_not_sent_again(brain: DevBrain, ours_last: bool) -> None:
    broker = broker_of(SimpleRetryMiddleware())
    if ours_last:
        broker.middlewares.reverse()
    async with broker:
        task_id = await sent(broker, "forever")
        await until(lambda: bool(RUNS), "it runs")
        answer = await asked(brain, "cancel_task", task_id=task_id)
        assert answer["result"] == {"task_id": task_id, "aborted": True}
        assert (await last_event(brain, task_id))["kind"] == "task.revoked"
        result = await broker.result_backend.get_result(task_id)
        assert isinstance(result.error, asyncio.CancelledError)
        # the receiver goes on, and timeouts in it still are timeouts
        again = await asked(brain, "submit_task", name="note")
        await last_event(brain, again["result"]["task_id"])
    assert len(RUNS) == 2
    assert kinds(brain, task_id).count("started") == 1


async def test_a_task_in_a_thread_is_not_ended_and_that_is_said(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        task_id = await sent(broker, "thread")
        await until(lambda: bool(RUNS), "it runs")
        answer = await asked(brain, "cancel_task", task_id=task_id)
        RELEASE.set()
        assert code(answer) == "command.abort_not_allowed"
        assert (await last_event(brain, task_id))["kind"] == "task.succeeded"


async def test_a_task_that_its_sender_runs_is_not_ended_with_its_sender(brain: DevBrain) -> None:
    broker = broker_of()
    broker.await_inplace = True
    async with broker:
        task = broker.find_task("forever")
        assert task is not None
        sending = asyncio.create_task(task.kicker().with_task_id("t").kiq())
        await until(lambda: bool(RUNS), "it runs")
        assert code(await asked(brain, "cancel_task", task_id="t")) == "command.abort_not_allowed"
        assert not sending.done()
        sending.cancel()
        await asyncio.wait({sending})


async def test_what_has_ended_or_waits_elsewhere_is_not_cancelled(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        task_id = await sent(broker, "note")
        await last_event(brain, task_id)
        await until(lambda: task_id in broker.result_backend.results, "its result is stored")
        assert (await asked(brain, "cancel_task", task_id=task_id))["error"] == "it has ended already"
        assert code(await asked(brain, "cancel_task", task_id="strange")) == "command.unsupported"


async def test_dead_letters_are_listed_newest_first_page_by_page(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        ids = [await failed(brain, broker, n) for n in range(5)]
        page = (await asked(brain, "dlq.list", limit=2))["result"]
        assert [entry["task_id"] for entry in page["entries"]] == ids[:2:-1]
        assert page["entries"][0]["error_excerpt"] == "ValueError: 4"
        assert (page["entries"][0]["attempts"], page["total"]) == (1, 5)
        listed = await brain.dead_letters(engine="taskiq")
        assert [letter["task_id"] for letter in listed] == ids[::-1]
        for cursor in ("-1", "x", "9" * 30, "\u0661", "1;DROP TABLE dead"):
            assert "invalid dead-letter cursor" in (await asked(brain, "dlq.list", cursor=cursor))["error"]


async def test_only_what_failed_for_good_is_a_dead_letter(brain: DevBrain) -> None:
    broker = broker_of(SimpleRetryMiddleware(default_retry_count=3))
    async with broker:
        task_id = await sent(broker, "fail", 1)
        await last_event(brain, task_id, ends=3)
        (letter,) = (await asked(brain, "dlq.list"))["result"]["entries"]
        assert (letter["task_id"], letter["attempts"]) == (task_id, 3)
        again = (await asked(brain, "requeue_dead_letter", task_id=task_id))["result"]["task_id"]
        await last_event(brain, again, ends=3)  # its tries are its own
        assert (await asked(brain, "dlq.list"))["result"]["total"] == 1


async def test_a_dead_letter_is_requeued_once_as_a_child_of_its_own(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        task_id = await failed(brain, broker, [1], {"a": None})
        answers = await asyncio.gather(
            *(asked(brain, "requeue_dead_letter", task_id=task_id) for _ in range(3))
        )
        (done,) = [answer["result"]["task_id"] for answer in answers if answer["status"] == "success"]
        ended = await last_event(brain, done)
        assert (ended["parent_task_id"], ended["root_task_id"]) == (task_id, task_id)
        assert {code(a) for a in answers if a["status"] == "failed"} == {"command.result_not_kept"}
    assert RUNS == [(([1], {"a": None}), {})] * 2


async def test_a_retry_runs_with_what_was_given_or_with_something_else(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        task_id = await failed(brain, broker, 7)
        one = await asked(brain, "retry_task", task_id=task_id)
        await last_event(brain, one["result"]["task_id"])
        two = await asked(brain, "retry_task", task_id=task_id, override_args=[8])
        await last_event(brain, two["result"]["task_id"])
        later = await asked(brain, "retry_task", task_id=task_id, eta_seconds=5)
        assert code(later) == "command.unsupported"
        unknown = await asked(brain, "retry_task", task_id="strange")
        assert code(unknown) == "command.result_not_kept"
        assert "than the last 1,000 of failed tasks, raise keep_failed of Z4JMiddleware" in unknown["error"]
    assert [args for args, _ in RUNS] == [(7,), (7,), (8,)]


async def test_many_are_retried_once_each(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        ids = [await failed(brain, broker, n) for n in range(20)]
        RUNS.clear()
        answer = await asked(brain, "bulk_retry", task_ids=[*ids, "strange"])
        assert (answer["result"]["retried"], answer["result"]["failed"]) == (20, 1)
        await until(lambda: len(RUNS) == 20, "all ran")
    assert sorted(args[0] for args, _ in RUNS) == list(range(20))


async def test_a_message_is_kept_as_it_came_though_its_task_changes_it(brain: DevBrain) -> None:
    broker = broker_of()

    @broker.task(task_name="changes")
    async def changes(numbers: list[int]) -> None:
        RUNS.append((tuple(numbers), {}))
        numbers.append(2)
        raise ValueError

    async with broker:
        task_id = await sent(broker, "changes", [1])
        await last_event(brain, task_id)
        again = await asked(brain, "retry_task", task_id=task_id)
        await last_event(brain, again["result"]["task_id"])
    assert [args for args, _ in RUNS] == [(1,), (1,)]


async def test_without_kept_messages_they_are_refused_and_not_offered(brain: DevBrain) -> None:
    broker = broker_of(keep_failed=0)
    async with broker:
        task_id = await failed(brain, broker, 1)
        answer = await asked(brain, "dlq.list")
        assert code(answer) == "command.unsupported"
        assert "keep_failed=0" in answer["error"]
        assert code(await asked(brain, "requeue_dead_letter", task_id=task_id)) == "command.unsupported"
        offered = (brain.seen.hellos[0].capabilities or {})["taskiq"]
        assert "cancel_task" in offered
        assert not {"list_dead_letters", "requeue_dead_letter", "bulk_retry"} & set(offered)


@pytest.mark.parametrize("odd", ["many", None, 1.5, True, [1], object()])
async def test_a_number_of_messages_that_is_none_is_an_error_in_the_log_and_keeps_the_default(
    brain: DevBrain, caplog: pytest.LogCaptureFixture, odd: Any
) -> None:
    broker = broker_of(keep_failed=odd)
    assert "keep_failed" in caplog.text
    async with broker:
        task_id = await failed(brain, broker, 1)
        (letter,) = await brain.dead_letters(engine="taskiq")
        assert letter["task_id"] == task_id


@pytest.mark.parametrize(("given", "kept"), [("2", 2), (-1, 0), (10**9, 2)])
async def test_a_number_of_messages_in_any_form_is_taken(brain: DevBrain, given: Any, kept: int) -> None:
    broker = broker_of(keep_failed=given)
    async with broker:
        await failed(brain, broker, 1)
        await failed(brain, broker, 2)
        answer = await asked(brain, "dlq.list")
        assert code(answer) == "command.unsupported" if not kept else answer["result"]["total"] == kept


async def test_what_this_broker_can_not_do_is_refused(brain: DevBrain) -> None:
    broker = broker_of(commands="all")
    async with broker:
        for action, what in (
            ("purge_queue", {"queue": "taskiq", "force": True}),
            ("restart_worker", {"worker_name": "w"}),
            ("rate_limit", {"task_name": "note", "rate": "1/s"}),
        ):
            assert code(dict(await brain.command(action, engine="taskiq", **what))) == "command.unsupported"


async def test_a_task_is_reconciled_by_its_result(brain: DevBrain) -> None:
    broker = broker_of()
    async with broker:
        done, running = await sent(broker, "note"), await sent(broker, "forever")
        dead = await failed(brain, broker, "why")
        await until(lambda: {done, dead} <= set(broker.result_backend.results), "results are stored")
        states = {}
        for task_id in (done, running, dead, "strange"):
            result = (await asked(brain, "reconcile_task", task_id=task_id))["result"]
            states[task_id] = (result["engine_state"], result["exception"])
        assert states == {
            done: ("success", None),
            running: ("started", None),
            dead: ("failure", "ValueError: why"),
            "strange": ("unknown", None),
        }
        await asked(brain, "cancel_task", task_id=running)


async def test_without_a_result_backend_nothing_is_known_but_what_failed_here(brain: DevBrain) -> None:
    broker = broker_of()
    broker.result_backend = DummyResultBackend()  # type: ignore[assignment]
    async with broker:
        done = await sent(broker, "note")
        await last_event(brain, done)
        dead = await failed(brain, broker, "why")
        states = [
            (await asked(brain, "reconcile_task", task_id=task_id))["result"]["engine_state"]
            for task_id in (done, dead)
        ]
    assert states == ["unknown", "failure"]


async def test_a_watched_task_is_what_it_was_to_its_host(brain: DevBrain) -> None:
    broker = broker_of()
    inner: list[str] = []

    @broker.task
    async def with_dependency(a: int, context: Annotated[Context, TaskiqDepends()]) -> str:
        inner.append(context.message.task_id)
        return await plain(a)

    @broker.task
    async def plain(a: int) -> str:
        return f"{a + 1}"

    async with broker:
        for _ in range(2):  # watched from the first time on
            kicked = await with_dependency.kiq("1")  # type: ignore[call-overload]
            assert (await kicked.wait_result(timeout=15)).return_value == "2"
        assert await plain(1) == "2"
        assert inspect.signature(with_dependency.original_func).parameters.keys() == {"a", "context"}
    assert len(inner) == 2


async def test_what_a_worker_injects_is_not_given_by_a_brain(brain: DevBrain) -> None:
    broker = broker_of()

    def user() -> str:
        return "nobody"

    @broker.task(task_name="as_user")
    async def as_user(name: str = TaskiqDepends(user)) -> None:
        RUNS.append(((name,), {}))
        raise ValueError

    async with broker:
        refused = await asked(brain, "submit_task", name="as_user", kwargs={"name": "root"})
        assert code(refused) == "command.unsupported"
        task_id = (await asked(brain, "submit_task", name="as_user"))["result"]["task_id"]
        await last_event(brain, task_id)
        refused = await asked(brain, "retry_task", task_id=task_id, override_kwargs={"name": "root"})
        assert code(refused) == "command.unsupported"
    assert RUNS == [(("nobody",), {})]


class DatabaseAway(TaskiqMiddleware):
    """A host's own middleware, in trouble of its own before or after a task is sent."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        if self.when == "before":
            raise ConnectionError("its database is away")
        return message

    def post_send(self, message: TaskiqMessage) -> None:
        if self.when == "after":
            raise ConnectionError("its database is away")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_schedule_is_not_answered_failed_for_a_middleware_in_trouble(
    brain: DevBrain, when: str
) -> None:
    broker = broker_of(DatabaseAway(when))
    await broker.startup()
    try:
        due = await brain.send_command(
            "schedule.fire",
            target={"type": "schedule", "id": "s", "engine": "taskiq"},
            parameters={"task_name": "note", "engine": "taskiq", "fire_id": "f-1"},
        )
        if when == "after":  # it is sent
            assert (await brain.wait_for_result(due))["status"] == "success"
        else:
            await until(lambda: broker.state.z4j.status.commands.get("unanswered") == 1, "it was counted")
            assert due.result is None
    finally:
        await broker.shutdown()
    assert len(RUNS) == (when == "after")


async def test_no_argument_is_logged(brain: DevBrain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "z4j")
    broker = broker_of()
    async with broker:
        task_id = await failed(brain, broker, "hunter2")
        await asked(brain, "submit_task", name="note", args=["hunter2"])
        await asked(brain, "requeue_dead_letter", task_id=task_id)
        await asked(brain, "submit_task", name="strange", args=["hunter2"])
    said = [record.getMessage() for record in caplog.records if record.name.startswith("z4j")]
    assert any("submit_task" in line for line in said)
    assert not [line for line in said if "hunter2" in line]
    assert events_of(brain, task_id)
