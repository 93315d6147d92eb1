"""The registry: an order in which nothing needs what comes later."""

from __future__ import annotations

import pytest

from z4j_probes import Climb, Code, Probe, ProbeResult, Registry, RegistryError, default_registry, outcome


async def run(climb: Climb) -> ProbeResult:
    return outcome("config.ok", "")


def probe(name: str, *needs: str, after: tuple[str, ...] = ()) -> Probe:
    timeout = Code(f"{name}.timeout", f"{name} did not end")
    return Probe(name, f"{name}?", needs, run, timeout.code, after=after, codes=(timeout,))


def test_probes_stand_in_the_order_of_their_registration() -> None:
    registry = Registry([probe("disk"), probe("queue", "disk")])
    assert registry.names == ("disk", "queue")
    assert [p.name for p in registry] == ["disk", "queue"]
    assert "queue" in registry
    assert registry["queue"].needs == ("disk",)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(RegistryError, match="'disk' is registered already"):
        Registry([probe("disk"), probe("disk")])


def test_a_probe_needs_only_what_stands_before_it() -> None:
    with pytest.raises(RegistryError, match="needs disk, registered before it"):
        Registry([probe("queue", "disk"), probe("disk")])
    with pytest.raises(RegistryError, match="registered before it"):
        Registry([probe("queue", after=("disk",))])


def test_a_probe_without_its_timeout_code_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"brings no code lonely\.timeout"):
        Registry([Probe("lonely", "?", (), run, "lonely.timeout")])


def test_a_plug_ins_probe_brings_its_codes_and_gets_the_common_ones() -> None:
    Registry([probe("plugged")])
    assert outcome("plugged.timeout", "").name == "plugged"
    assert outcome("plugged.skipped", "").status == "skip"
    assert outcome("plugged.unexpected", "").status == "fail"


def test_a_closure_has_all_that_is_needed_indirectly() -> None:
    registry = Registry([probe("a"), probe("b", "a"), probe("c", "b"), probe("d", "a")])
    assert registry.closure(["c"]) == {"a", "b", "c"}


def test_the_built_in_ladder_is_the_contracts() -> None:
    needs = {p.name: p.needs for p in default_registry()}
    assert needs == {
        "config": (),
        "buffer": ("config",),
        "dns": ("config",),
        "tcp": ("dns",),
        "tls": ("tcp",),
        "websocket": ("tls",),
        "auth": ("websocket",),
        "signing": ("auth",),
    }
    assert all(p.question.endswith("?") for p in default_registry())
