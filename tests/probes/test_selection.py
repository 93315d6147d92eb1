"""Selecting probes: what runs, what excluded the rest, and never nothing at all."""

from __future__ import annotations

import pytest

from tests.probes.test_registry import probe
from z4j_probes import Registry, SelectionError, select
from z4j_probes.probe import Probe

NEEDS = {
    "config": (),
    "buffer": ("config",),
    "dns": ("config",),
    "tcp": ("dns",),
    "websocket": ("tcp",),
    "auth": ("websocket",),
    "signing": ("auth",),
}


def local(name: str, needs: tuple[str, ...]) -> Probe:
    return Probe(
        name, f"{name}?", needs, probe(name).run, f"{name}.unexpected", name not in ("config", "buffer")
    )


@pytest.fixture
def registry() -> Registry:
    return Registry(local(name, needs) for name, needs in NEEDS.items())


def test_nothing_is_excluded_unless_asked(registry: Registry) -> None:
    assert select(registry) == {}


def test_only_brings_along_what_it_needs(registry: Registry) -> None:
    excluded = select(registry, only=["tcp"])
    assert excluded == dict.fromkeys(("buffer", "websocket", "auth", "signing"), "--only")


def test_skip_names_itself_as_the_reason(registry: Registry) -> None:
    assert select(registry, skip=["buffer"]) == {"buffer": "--skip"}


def test_offline_leaves_what_touches_this_machine_alone(registry: Registry) -> None:
    excluded = select(registry, offline=True)
    assert set(registry.names) - excluded.keys() == {"config", "buffer"}
    assert set(excluded.values()) == {"--offline"}


def test_no_websocket_leaves_what_is_below_it(registry: Registry) -> None:
    assert select(registry, no_websocket=True) == dict.fromkeys(
        ("websocket", "auth", "signing"), "--no-websocket"
    )


def test_exclusions_stand_in_the_ladders_order(registry: Registry) -> None:
    assert list(select(registry, skip=["signing", "buffer"])) == ["buffer", "signing"]


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(registry: Registry) -> None:
    with pytest.raises(SelectionError, match=r"no check named 'zzz'; choose from config, buffer"):
        select(registry, only=["zzz"])
    with pytest.raises(SelectionError, match=r"no check named 'Bufer' \(did you mean buffer\?\)"):
        select(registry, only=["Bufer"])
    with pytest.raises(SelectionError, match="no check named"):
        select(registry, skip=["htp"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["tcp"], "skip": ["dns"]}, "--only tcp can't run: dns is excluded by --skip"),
        ({"only": ["auth"], "offline": True}, "is excluded by --offline"),
        ({"only": ["signing"], "no_websocket": True}, "is excluded by --no-websocket"),
    ],
)
def test_a_contradiction_is_refused(registry: Registry, options: dict[str, object], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        select(registry, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("skip", [["config"], list(NEEDS)])
def test_a_selection_under_which_nothing_runs_is_refused(registry: Registry, skip: list[str]) -> None:
    with pytest.raises(SelectionError, match="no probe is left to run"):
        select(registry, skip=skip)


def test_plug_ins_without_a_websocket_probe_can_be_selected_too() -> None:
    assert select(Registry([probe("disk")]), no_websocket=True) == {}
