"""Probes that other packages bring."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import Distribution, DistributionFinder, EntryPoint
from pathlib import Path
from typing import Any

import pytest

from z4j_probes import (
    Climb,
    Code,
    Ladder,
    Probe,
    ProbeResult,
    Registry,
    Settings,
    Status,
    default_registry,
    outcome,
)
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


_IN_METADATA = "[{group}]\nfound = found_probe:PROBE\n"


def _kept_as(kind: str, place: Path) -> Path:
    """A place on sys.path where a distribution that names our group is kept in that way."""
    text = _IN_METADATA.format(group=GROUP)
    if kind == "archive":
        with zipfile.ZipFile(place / "found.zip", "w") as archive:
            archive.writestr("found-1.0.dist-info/METADATA", "Name: found\nVersion: 1.0\n")
            archive.writestr("found-1.0.dist-info/entry_points.txt", text)
        return place / "found.zip"
    place = place / "Found-1.0.egg" if kind == "egg" else place
    directory = place / {"egg": "EGG-INFO"}.get(kind, f"found-1.0.{kind}")
    directory.mkdir(parents=True)
    metadata = "PKG-INFO" if "egg" in kind.lower() else "METADATA"
    (directory / metadata).write_text("Name: found\nVersion: 1.0\n")
    (directory / "entry_points.txt").write_text(text)
    return place


@pytest.mark.parametrize("kind", ["dist-info", "DIST-INFO", "egg-info", "egg", "archive"])
def test_a_distribution_is_found_however_it_is_kept(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(_kept_as(kind, tmp_path)), *sys.path])
    assert [name for name in add_plugins(default_registry()).names if name == "found"] == ["found"]


def test_a_distribution_of_a_finder_of_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Distribution):
        def read_text(self, filename: str) -> str | None:
            texts = {"METADATA": "Name: own\n", "entry_points.txt": _IN_METADATA.format(group=GROUP)}
            return texts.get(filename)

        def locate_file(self, path: Any) -> Any:
            raise NotImplementedError

    class Finder(DistributionFinder):
        def find_distributions(self, context: object = None) -> list[Distribution]:
            return [Own()]

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    assert "found" in add_plugins(default_registry())


def test_nothing_is_parsed_where_no_distribution_names_a_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "missing"), *sys.path])
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    assert add_plugins(default_registry()).names == default_registry().names
