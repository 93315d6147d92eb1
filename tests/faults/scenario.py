"""A fault as data: what is broken, how it is made for real, and what the doctor has to say of it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.faults.stage import Stage

PYTHON = sys.executable


@dataclass(frozen=True)
class Case:
    """What the doctor is run with, once the stage is set.

    `words` are values that are known only now (a port, a path) and that its message has to name; `prefix` is
    what runs it (`nsenter …`, `faketime …`); `handicap` are the arguments of `tests.support.handicap`, which
    takes something away from its process.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    handicap: tuple[str, ...] = ()

    def run(self, module: str, *arguments: str) -> list[str]:
        """A module of Python, as the case runs it."""
        if self.handicap:
            return [*self.prefix, PYTHON, "-m", "tests.support.handicap", *self.handicap, module, *arguments]
        return [*self.prefix, PYTHON, "-m", module, *arguments]


Make = Callable[[Stage], Awaitable[Case]]


@dataclass(frozen=True)
class Scenario:
    """One fault. `title` is what the page calls it.

    `words` have to stand in the message, `hint` in the hint. `alone` is False where the fault shows in an
    earlier probe too, so that its code is not the first failure.
    """

    name: str
    title: str
    how: str
    code: str
    make: Make
    words: tuple[str, ...] = ()
    hint: tuple[str, ...] = ()
    timeout_s: float = 5.0
    alone: bool = True
    status: str | None = None
    """Where the rung gives another status than the catalogue's."""

    @property
    def probe(self) -> str:
        return self.code.partition(".")[0]


@dataclass(frozen=True)
class Healthy:
    """A setup that is unusual and in order. `codes` are those of probes that pass in a way of their own."""

    name: str
    title: str
    how: str
    make: Make
    codes: tuple[str, ...] = ()
    timeout_s: float = 5.0


SCENARIOS: dict[str, Scenario] = {}
HEALTHY: dict[str, Healthy] = {}


def scenario(
    code: str,
    title: str,
    *words: str,
    hint: tuple[str, ...] = (),
    timeout_s: float = 5.0,
    alone: bool = True,
    status: str | None = None,
) -> Callable[[Make], Make]:
    """Enter the function below into the matrix: its docstring says how the fault is made."""

    def enter(make: Make) -> Make:
        name, how = _described(make, SCENARIOS)
        SCENARIOS[name] = Scenario(name, title, how, code, make, words, hint, timeout_s, alone, status)
        return make

    return enter


def healthy(title: str, *codes: str, timeout_s: float = 5.0) -> Callable[[Make], Make]:
    """Enter the function below among the setups that have to be green."""

    def enter(make: Make) -> Make:
        name, how = _described(make, HEALTHY)
        HEALTHY[name] = Healthy(name, title, how, make, codes, timeout_s)
        return make

    return enter


def _described(make: Make, taken: Mapping[str, object]) -> tuple[str, str]:
    name = getattr(make, "__name__", "")
    assert name not in taken, f"there are two scenarios named {name}"
    how = " ".join((make.__doc__ or "").split())
    assert how, f"{name} does not say how it is made"
    return name, how
