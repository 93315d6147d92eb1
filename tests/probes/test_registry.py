"""The registry: an order in which nothing needs what comes later."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.ladders import no_hello, settings
from z4j_probes import (
    Climb,
    Code,
    Ladder,
    Probe,
    ProbeResult,
    Registry,
    RegistryError,
    default_registry,
    outcome,
)
from z4j_probes.codes import CATALOGUE, lookup


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
    catalogue = Registry([probe("plugged")]).catalogue
    assert outcome(catalogue["plugged.timeout"], "").name == "plugged"
    assert outcome(catalogue["plugged.skipped"], "").status == "skip"
    assert outcome(catalogue["plugged.unexpected"], "").status == "fail"


def test_a_registrys_codes_are_its_own() -> None:
    registry = Registry([probe("plugged")])
    assert "plugged.timeout" in registry.catalogue
    assert "plugged.timeout" not in Registry().catalogue
    assert "plugged.timeout" not in CATALOGUE
    with pytest.raises(KeyError):
        outcome("plugged.timeout", "")


async def test_while_it_is_climbed_a_registrys_codes_are_known_by_name() -> None:
    """Two plug-ins of different registries may give the same code, and each has its own row."""

    def saying(title: str) -> Ladder:
        async def run(climb: Climb) -> ProbeResult:
            return outcome("plugged.bad", lookup("plugged.bad").title)

        rows = (Code("plugged.bad", title, remedy=f"mend {title}"),)
        plugged = Probe("plugged", "?", (), run, "plugged.bad", codes=rows)
        return Ladder(Registry([plugged]), settings(), make_hello=no_hello)

    one, other = await asyncio.gather(saying("the one").run(), saying("the other").run())
    assert [(r.message, r.hint) for r in one.results] == [("the one", "mend the one")]
    assert [(r.message, r.hint) for r in other.results] == [("the other", "mend the other")]


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
