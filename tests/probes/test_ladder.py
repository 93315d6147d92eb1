"""The ladder: needs, budgets, exceptions and order are its business, whatever the probes are."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.support.ladders import ladder, no_hello, settings
from z4j_fastapi.agent.agent import PREFLIGHT_BUDGET_S
from z4j_probes import Climb, Code, Ladder, Probe, ProbeResult, Registry, Status, Step, outcome, select
from z4j_probes import ladder as ladder_module
from z4j_probes.climb import LiveSession
from z4j_probes.probe import STRICT_START_S
from z4j_probes.result import Cause

Run = Callable[[Climb], Awaitable[ProbeResult]]
Closer = Callable[[Climb, ProbeResult], Awaitable[ProbeResult]]


def rung(
    name: str, run: Run | None = None, *, needs: str = "", after: str = "", closer: Closer | None = None
) -> Probe:
    """A probe with codes of its own; without `run` it passes."""

    async def passes(climb: Climb) -> ProbeResult:
        return outcome(f"{name}.ok", "fine")

    rows = (
        Code(f"{name}.ok", "fine", status=Status.PASS),
        Code(f"{name}.odd", "odd", status=Status.WARN, remedy="look"),
        Code(f"{name}.bad", "bad", remedy="mend it"),
        Code(f"{name}.timeout", "slow", remedy="hurry"),
        Code(f"{name}.not_used", "not used", status=Status.SKIP),
    )
    return Probe(
        name,
        f"{name}?",
        tuple(needs.split()),
        run or passes,
        f"{name}.timeout",
        after=tuple(after.split()),
        codes=rows,
        look_closer=closer,
    )


def giving(code: str) -> Run:
    async def run(climb: Climb) -> ProbeResult:
        return outcome(code, "seen")

    return run


async def forever(climb: Climb) -> ProbeResult:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def codes_of(*probes: Probe) -> list[str]:
    return [result.code for result in (await ladder(probes).run()).results]


async def test_results_come_in_the_registrys_order_whatever_ends_first() -> None:
    last_has_ended = asyncio.Event()

    async def waits(climb: Climb) -> ProbeResult:
        await last_has_ended.wait()
        return outcome("first.ok", "")

    async def ends(climb: Climb) -> ProbeResult:
        last_has_ended.set()
        return outcome("last.ok", "")

    assert await codes_of(rung("first", waits), rung("last", ends)) == ["first.ok", "last.ok"]


async def test_probes_that_need_nothing_of_each_other_run_side_by_side() -> None:
    meeting = asyncio.Barrier(3)

    def meets(name: str) -> Run:
        async def run(climb: Climb) -> ProbeResult:
            await meeting.wait()
            return outcome(f"{name}.ok", "")

        return run

    names = ("a", "b", "c")
    assert await codes_of(*(rung(n, meets(n)) for n in names)) == ["a.ok", "b.ok", "c.ok"]


async def test_a_rung_whose_need_failed_is_skipped_and_says_so() -> None:
    report = await ladder([rung("a", giving("a.bad")), rung("b", needs="a"), rung("c", needs="b")]).run()
    assert [(r.code, r.message) for r in report.results[1:]] == [
        ("b.skipped", "not run: a failed"),
        ("c.skipped", "not run: a failed"),
    ]
    assert report.first_failure is report.results[0]
    assert report.exit_code == 1


async def test_a_failure_does_not_hide_what_does_not_need_it() -> None:
    probes = [rung("base"), rung("disk", giving("disk.bad"), needs="base"), rung("net", needs="base")]
    assert await codes_of(*probes) == ["base.ok", "disk.bad", "net.ok"]


@pytest.mark.parametrize("code", ["a.odd", "a.not_used"])
async def test_a_warning_and_a_rung_that_is_not_used_carry_what_stands_above_them(code: str) -> None:
    assert await codes_of(rung("a", giving(code)), rung("b", needs="a")) == [code, "b.ok"]


async def test_after_waits_for_an_end_and_not_for_success() -> None:
    assert await codes_of(rung("a", giving("a.bad")), rung("b", after="a")) == ["a.bad", "b.ok"]


@pytest.mark.parametrize(("when_ready", "order"), [(True, ["b", "a"]), (False, ["a", "b"])])
async def test_only_who_asks_for_it_begins_beside_the_rest_of_what_it_is_after(
    when_ready: bool, order: list[str]
) -> None:
    ended: list[str] = []

    async def first(climb: Climb) -> ProbeResult:
        climb.ready("a").set()
        for _ in range(10):  # turns of the loop, of which the other one needs fewer
            await asyncio.sleep(0)
        ended.append("a")
        return outcome("a.ok", "")

    async def second(climb: Climb) -> ProbeResult:
        ended.append("b")
        return outcome("b.ok", "")

    behind = replace(rung("b", second, after="a"), when_ready=when_ready)
    assert await codes_of(rung("a", first), behind) == ["a.ok", "b.ok"]
    assert ended == order


async def test_a_rung_reads_what_the_one_below_left() -> None:
    seen: list[str] = []

    async def leaves(climb: Climb) -> ProbeResult:
        climb.addresses = cast("Any", ("192.0.2.1",))
        return outcome("a.ok", "")

    async def reads(climb: Climb) -> ProbeResult:
        seen.append(str(climb.addresses[0]))
        return outcome("b.ok", "")

    await codes_of(rung("a", leaves), rung("b", reads, needs="a"))
    assert seen == ["192.0.2.1"]


async def test_reading_what_nobody_left_is_named() -> None:
    async def reads(climb: Climb) -> ProbeResult:
        return outcome("a.ok", str(climb.transport))

    report = await ladder([rung("a", reads)]).run()
    assert report.results[0].code == "a.unexpected"
    assert "no probe has left 'transport'" in report.results[0].message


async def test_an_excluded_probe_has_its_row_with_what_excluded_it() -> None:
    registry = Registry([rung("a"), rung("b", needs="a"), rung("c", needs="b")])
    excluded = select(registry, skip=["b"])
    report = await Ladder(registry, settings(), make_hello=no_hello, excluded=excluded).run()
    assert [(r.code, r.message) for r in report.results[1:]] == [
        ("b.skipped", "not run: excluded by --skip"),
        ("c.skipped", "not run: b is excluded by --skip"),
    ]


async def test_a_probe_that_hangs_ends_with_its_timeout_code() -> None:
    report = await ladder([rung("a", forever), rung("b", needs="a")], timeout_s=0.05).run()
    result = report.results[0]
    assert result.code == "a.timeout"
    assert result.status is Status.FAIL
    assert result.message == "the a check did not end within 0.05 s"
    assert result.hint == "hurry"
    assert result.duration_ms >= 50
    assert report.results[1].message == "not run: a failed"


async def test_a_probe_that_minds_its_budget_says_more_than_the_ladder_could() -> None:
    async def minds(climb: Climb) -> ProbeResult:
        try:
            async with asyncio.timeout(climb.time_left()):
                await asyncio.Event().wait()
        except TimeoutError:
            return outcome("a.bad", "192.0.2.1 did not answer")
        raise AssertionError("unreachable")

    report = await ladder([rung("a", minds)], timeout_s=0.5).run()
    assert report.results[0].message == "192.0.2.1 did not answer"


async def test_a_timeout_inside_a_probe_is_not_taken_for_the_ladders() -> None:
    async def times_out(climb: Climb) -> ProbeResult:
        raise TimeoutError("of its own")

    assert await codes_of(rung("a", times_out)) == ["a.unexpected"]


async def test_a_pass_that_a_strict_start_would_not_wait_for_is_a_warning_with_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ladder_module, "STRICT_START_S", 0.01)
    waited = asyncio.Event()

    async def slow(climb: Climb) -> ProbeResult:
        asyncio.get_running_loop().call_later(0.02, waited.set)
        await waited.wait()
        return outcome("a.ok", "fine")

    climbing = ladder([rung("a", slow)])
    (result,) = (await climbing.run()).results
    assert (result.code, result.status) == ("a.slow", Status.WARN)
    assert re.fullmatch(r"fine \(after \d\.\d s; a strict start waits 0\.01 s\)", result.message)
    assert result.details["passed_as"] == "a.ok"
    assert result.steps == climbing.registry.catalogue["a.slow"].steps


def test_what_counts_as_slow_is_what_a_strict_start_has() -> None:
    assert STRICT_START_S == PREFLIGHT_BUDGET_S


async def finds_something_odd(climb: Climb, result: ProbeResult) -> ProbeResult:
    return outcome("a.odd", f"{result.message}, and odd")


async def test_a_closer_look_follows_a_pass_and_may_warn() -> None:
    (result,) = (await ladder([rung("a", closer=finds_something_odd)]).run()).results
    assert (result.code, result.message) == ("a.odd", "fine, and odd")


@pytest.mark.parametrize("code", ["a.bad", "a.not_used"])
async def test_what_did_not_pass_is_not_looked_at_closer(code: str) -> None:
    assert await codes_of(rung("a", giving(code), closer=finds_something_odd)) == [code]


async def test_an_agent_looks_no_closer() -> None:
    registry = Registry([rung("a", closer=finds_something_odd)])
    report = await Ladder(registry, settings(), make_hello=no_hello, look_closer=False).run()
    assert [result.code for result in report.results] == ["a.ok"]


async def test_a_closer_look_that_hangs_leaves_the_pass_within_the_probes_budget() -> None:
    async def hangs(climb: Climb, result: ProbeResult) -> ProbeResult:
        return await forever(climb)

    started_s = time.monotonic()
    (result,) = (await ladder([rung("a", closer=hangs)], timeout_s=0.1).run()).results
    assert time.monotonic() - started_s < 4
    assert (result.code, result.status) == ("a.ok", Status.PASS)
    assert str(result.details["closer_look"]).startswith("had not ended after 0.")


async def test_what_a_closer_look_raises_is_a_result_too() -> None:
    async def breaks(climb: Climb, result: ProbeResult) -> ProbeResult:
        raise ValueError("odd")

    (result,) = (await ladder([rung("a", closer=breaks)]).run()).results
    assert (result.code, result.message) == ("a.unexpected", "ValueError: odd")


async def test_the_time_of_a_closer_look_does_not_make_a_pass_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder_module, "STRICT_START_S", 0.5)

    async def looks_long(climb: Climb, result: ProbeResult) -> ProbeResult:
        ended = asyncio.Event()
        asyncio.get_running_loop().call_later(0.6, ended.set)
        await ended.wait()
        return result

    (result,) = (await ladder([rung("a", closer=looks_long)], timeout_s=5.0).run()).results
    assert (result.code, result.status) == ("a.ok", Status.PASS)
    assert result.duration_ms >= 600


@pytest.mark.parametrize(("timeout_s", "taken_s"), [(None, 0.2), (0.05, 0.05)])
async def test_a_probe_has_its_own_budget_unless_one_is_asked_for(
    timeout_s: float | None, taken_s: float
) -> None:
    registry = Registry([replace(rung("a", forever), budget_s=0.2)])
    (result,) = (await Ladder(registry, settings(), make_hello=no_hello, timeout_s=timeout_s).run()).results
    assert result.message == f"the a check did not end within {taken_s:g} s"


async def test_the_whole_climbs_budget_caps_that_of_a_probe() -> None:
    registry = Registry([replace(rung("a", forever), budget_s=60.0)])
    (result,) = (await Ladder(registry, settings(), make_hello=no_hello, budget_s=0.05).run()).results
    assert result.code == "a.timeout"


async def test_the_whole_climb_has_a_budget_too() -> None:
    probes = [rung("a", forever), rung("b", forever, after="a"), rung("c", forever, after="b")]
    climbing = Ladder(Registry(probes), settings(), make_hello=no_hello, timeout_s=5.0, budget_s=0.1)
    started = time.monotonic()
    report = await climbing.run()
    assert [r.code for r in report.results] == ["a.timeout", "b.timeout", "c.timeout"]
    assert time.monotonic() - started < 4.0


async def test_an_exception_that_escapes_is_a_result_with_evidence_and_without_secrets() -> None:
    given = settings({"Z4J_TOKEN": "s3cr3t-token"})

    async def breaks(climb: Climb) -> ProbeResult:
        raise ValueError("bad header: Bearer s3cr3t-token")

    report = await ladder([rung("a", breaks)], given).run()
    result = report.results[0]
    assert result.code == "a.unexpected"
    assert result.message == "ValueError: bad header: Bearer [redacted]"
    assert result.details["exception"] == "ValueError"
    assert any("breaks" in where for where in result.details["where"])
    assert "s3cr3t" not in str(report.to_dict())


async def test_messages_hints_causes_and_details_pass_the_sieve() -> None:
    given = settings({"Z4J_TOKEN": "s3cr3t-token"})
    step = Step("s3cr3t-token", "echo s3cr3t-token")

    async def tells(climb: Climb) -> ProbeResult:
        result = outcome("a.bad", "s3cr3t-token", hint=step, details={"header": ["s3cr3t-token"]})
        return replace(result, causes=(Cause("a.bad", Status.FAIL, "s3cr3t-token", (step,)),))

    report = await ladder([rung("a", tells)], given).run()
    assert len(report.results[0].causes) == 1
    assert "s3cr3t" not in str(report.to_dict())


async def test_what_was_opened_is_released_last_first_when_the_climb_ends() -> None:
    released: list[str] = []

    async def close() -> None:
        released.append("close")

    async def opens(climb: Climb) -> ProbeResult:
        climb.on_release(released.append, "socket")
        climb.on_release_async(close)
        return outcome("a.ok", "")

    await ladder([rung("a", opens)]).run()
    assert released == ["close", "socket"]


async def test_a_release_that_hangs_does_not_hold_the_climb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("z4j_probes.climb.CLOSE_S", 0.02)
    released: list[str] = []

    async def opens(climb: Climb) -> ProbeResult:
        climb.on_release(released.append, "socket")
        climb.on_release_async(asyncio.Event().wait)
        return outcome("a.ok", "")

    await ladder([rung("a", opens)]).run()
    assert released == ["socket"]


async def test_detaching_hands_the_session_over_and_releases_nothing() -> None:
    released: list[str] = []
    products = LiveSession._fields

    async def proves(climb: Climb) -> ProbeResult:
        for product in products:
            setattr(climb, product, product)
        climb.on_release(released.append, "socket")
        return outcome("a.ok", "")

    climbing = ladder([rung("a", proves)])
    async with climbing.start() as climb:
        results = [result async for result in climbing.climb(climb)]
        session = climb.detach()
    assert results[0].ok
    assert session == LiveSession(*cast("Any", products))
    assert released == []


async def test_leaving_the_iterator_early_cancels_what_still_runs() -> None:
    running = asyncio.Event()
    cancelled: list[str] = []

    async def hangs(climb: Climb) -> ProbeResult:
        running.set()
        try:
            return await forever(climb)
        except asyncio.CancelledError:
            cancelled.append("b")
            raise

    async def passes(climb: Climb) -> ProbeResult:
        await running.wait()
        return outcome("a.ok", "")

    climbing = ladder([rung("a", passes), rung("b", hangs)])
    async with climbing.start() as climb:
        results = climbing.climb(climb)
        first = await anext(aiter(results))
        await cast("Any", results).aclose()
        report = climbing.report(climb, [first], interrupted=True)
    assert cancelled == ["b"]
    assert [(r.code, r.message) for r in report.results[1:]] == [("b.skipped", "not run: interrupted")]
    assert report.exit_code == 130


async def test_cancelling_the_run_cancels_the_probes_and_releases_what_is_open() -> None:
    running, released = asyncio.Event(), asyncio.Event()

    async def hangs(climb: Climb) -> ProbeResult:
        climb.on_release(released.set)
        running.set()
        return await forever(climb)

    run = asyncio.create_task(ladder([rung("a", hangs)]).run())
    await running.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert released.is_set()
    assert [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("z4j")] == []


async def test_a_ladder_can_be_climbed_again_from_scratch() -> None:
    climbing = ladder([rung("a")])
    assert (await climbing.run()).ok
    assert (await climbing.run()).ok


async def test_strict_makes_a_warning_red() -> None:
    registry = Registry([rung("a", giving("a.odd"))])
    lenient = await Ladder(registry, settings(), make_hello=no_hello).run()
    strict = await Ladder(registry, settings(), make_hello=no_hello, strict=True).run()
    assert (lenient.exit_code, strict.exit_code) == (0, 1)


async def test_every_result_has_its_duration() -> None:
    report = await ladder([rung("a")]).run()
    assert 0 < report.results[0].duration_ms <= report.duration_ms


async def test_a_probe_for_which_no_time_is_left_says_so() -> None:
    late = Ladder(Registry([rung("a", forever)]), settings(), make_hello=no_hello, budget_s=0.0)
    (result,) = (await late.run()).results

    assert result.code == "a.timeout"
    assert result.message == "the a check had no time left: the time limit of the whole run had passed"
    assert result.hint == "Allow more time for the whole run"
