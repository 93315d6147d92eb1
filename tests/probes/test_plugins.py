"""Probes that other packages bring."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from z4j_probes import Climb, Code, Ladder, Probe, ProbeResult, Registry, Settings, Status, outcome
from z4j_probes.plugins import GROUP, add_plugins


async def _ok(climb: Climb) -> ProbeResult:
    return outcome("first.ok", "in order")


def _probe(name: str, *needs: str) -> Probe:
    codes = (Code(f"{name}.ok", "in order", status=Status.PASS), Code(f"{name}.timeout", "too slow"))
    return Probe(name, "?", needs, _ok, f"{name}.timeout", codes=codes)


FIRST = _probe("first")
NEEDS_FIRST = _probe("a_second", "first")
NEEDS_NOBODY_KNOWS = _probe("third", "nobody")
NOT_A_PROBE = object


def make_first() -> Probe:
    return FIRST


def leave() -> Probe:
    raise SystemExit("a module that ends the process")


def _point(name: str, attribute: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{attribute}", GROUP)


async def _results(*points: EntryPoint) -> dict[str, ProbeResult]:
    ladder = Ladder(add_plugins(Registry(), points), Settings(), make_hello=lambda climb: None)  # type: ignore[arg-type,return-value]
    return {result.name: result for result in (await ladder.run()).results}


async def test_an_entry_point_may_be_a_probe_or_make_one() -> None:
    assert (await _results(_point("first", "FIRST")))["first"].code == "first.ok"
    assert (await _results(_point("first", "make_first")))["first"].code == "first.ok"


async def test_a_plug_in_may_need_one_whose_name_sorts_after_it() -> None:
    registry = add_plugins(Registry(), [_point("a_second", "NEEDS_FIRST"), _point("first", "FIRST")])

    assert registry.names == ("first", "a_second")


async def test_a_plug_in_that_is_no_probe_fails_as_a_row() -> None:
    for attribute in ("NOT_A_PROBE", "missing", "leave"):
        (result,) = (await _results(_point("odd one", attribute))).values()
        assert (result.name, result.code) == ("odd_one", "odd_one.unexpected")


async def test_a_plug_in_that_needs_an_unknown_probe_says_which() -> None:
    result = (await _results(_point("third", "NEEDS_NOBODY_KNOWS")))["third"]

    assert "nobody" in result.message


async def test_a_second_plug_in_of_one_name_fails_beside_the_first() -> None:
    results = await _results(_point("first", "FIRST"), _point("first", "make_first"))

    assert results["first"].code == "first.ok"
    assert results["first_plugin"].code == "first_plugin.unexpected"
