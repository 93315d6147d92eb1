"""The ladder: climbs the probes of a registry in order and hands out each result as it happens.

It knows no probe. Needs, budgets, exclusions and exceptions that escape are its business; the rungs' is
their one question.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from z4j_probes._version import __version__
from z4j_probes.climb import Climb, set_deadline
from z4j_probes.codes import outcome, reading
from z4j_probes.invocation import as_started
from z4j_probes.labels import parse_labels
from z4j_probes.portable import user
from z4j_probes.probe import STRICT_START_S, Probe
from z4j_probes.registry import Registry
from z4j_probes.result import ProbeResult, Report, Status, Step
from z4j_probes.settings import Settings
from z4j_probes.settings_load import host_name
from z4j_probes.threads import NoThread

if TYPE_CHECKING:
    from z4j_probes.protocol import Hello

# A whole run: several slow rungs and one that hangs, before a person gives up on it.
RUN_BUDGET_S = 30.0
# Rungs end by themselves at their deadline, with evidence; the ladder cuts those that do not, a bit later.
_BACKSTOP = 1.05


class Ladder:
    """Climbs a registry's probes with one set of settings.

    `excluded` maps probes that will not run to what excluded them (see `selection.select`). `timeout_s` is
    the budget of each probe (None: the probe's own default), `budget_s` that of the whole climb. `make_hello`
    makes the hello that `auth` sends; without one it is the doctor's. With `look_closer`, probes that pass
    also look for what is worth a warning (`Probe.look_closer`): the doctor asks for it, an agent does not.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        make_hello: Callable[[Climb], Awaitable[Hello]] | None = None,
        excluded: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        budget_s: float = RUN_BUDGET_S,
        look_closer: bool = True,
        strict: bool = False,
    ) -> None:
        self.registry = registry
        self.settings = settings
        self._make_hello = make_hello
        self._excluded = dict(excluded or {})
        self._timeout_s = timeout_s
        self._budget_s = budget_s
        self._look_closer = look_closer
        self._strict = strict
        self._redactor = settings.redactor()

    def start(self) -> Climb:
        """A fresh climb, to be used as an async context manager."""
        if self._make_hello is None:
            from z4j_probes.doctor_hello import doctor_hello

            self._make_hello = doctor_hello
        return Climb(self.settings, self._make_hello)

    async def climb(self, climb: Climb) -> AsyncGenerator[ProbeResult, None]:
        """Run the probes; yield one result each, in the registry's order, as soon as it is known.

        Probes that need nothing of each other run side by side. Leaving the iterator early cancels what
        still runs.
        """
        deadline_s = time.monotonic() + self._budget_s
        tasks: dict[str, asyncio.Task[ProbeResult]] = {}

        async def noted(probe: Probe) -> ProbeResult:
            result = climb.results[probe.name] = await self._step(probe, climb, tasks, deadline_s)
            return result

        for probe in self.registry:
            tasks[probe.name] = asyncio.create_task(noted(probe), name=f"z4j probe {probe.name}")
        try:
            for task in tasks.values():
                await asyncio.wait([task])  # `await task` would hand our own cancellation to the probe
                yield task.result()
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    def waits_for(self, probe: Probe, climb: Climb) -> str:
        """What a probe that runs waits for; its question where that is not known."""
        try:
            said = probe.question if probe.waits_for is None else probe.waits_for(climb)
        except LookupError:  # a rung below it failed: it will not run
            said = probe.question
        return self._redactor.text(said)

    def budget_of(self, probe: Probe) -> float:
        """The seconds that a probe may take, unless the whole climb's budget ends before."""
        timeout_s = probe.budget_s if self._timeout_s is None else self._timeout_s
        return min(timeout_s, self._budget_s)

    async def run(self) -> Report:
        """Climb, release everything, and report."""
        async with self.start() as climb:
            results = [result async for result in self.climb(climb)]
        return self.report(climb, results)

    def report(
        self,
        climb: Climb,
        results: Sequence[ProbeResult],
        *,
        interrupted: bool = False,
        not_run: str = "interrupted",
    ) -> Report:
        """A report of these results; probes that the climb did not reach have their row too, and why."""
        reached = {result.name for result in results}
        rest = [self._skipped(p.name, not_run) for p in self.registry if p.name not in reached]
        labels, _ = parse_labels(self.settings.labels or "")
        config = self.settings.describe()
        config["user"] = user.full()  # half of all questions about files are answered by it
        config["buffer_dir"] = str(climb.directory.path) if climb.has("directory") else None
        return Report(
            version=__version__,
            started_at=climb.started_at,
            duration_ms=(time.monotonic() - climb.started_s) * 1000,
            config=self._redactor.value(config),
            results=(*results, *rest),
            strict=self._strict,
            interrupted=interrupted,
            host=host_name(),
            labels=self._redactor.value(labels),
            # results come in order, so that the first that has none had all that it needs
            waiting=rest[0].name if interrupted and rest else None,
        )

    async def _step(
        self,
        probe: Probe,
        climb: Climb,
        tasks: Mapping[str, asyncio.Task[ProbeResult]],
        deadline_s: float,
    ) -> ProbeResult:
        if probe.name in self._excluded:
            return self._skipped(probe.name, f"excluded by {self._excluded[probe.name]}")
        for name in probe.after:
            if probe.when_ready:
                await _ready_or_ended(tasks[name], climb.ready(name))
            else:
                await asyncio.wait([tasks[name]])
        for name in probe.needs:
            await asyncio.wait([tasks[name]])
        for name in probe.needs:
            reason = self._why_unmet(name, tasks[name].result())
            if reason:
                return self._skipped(probe.name, reason)
        with reading(self.registry.catalogue):
            result = await self._run(probe, climb, deadline_s)
        hide = self._redactor.text

        def shown(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(Step(hide(step.text), hide(as_started(step.command))) for step in steps)

        return replace(
            result,
            message=hide(result.message),
            headline=hide(result.headline),
            steps=shown(result.steps),
            causes=tuple(
                cause._replace(message=hide(cause.message), steps=shown(cause.steps))
                for cause in result.causes
            ),
            details=self._redactor.value(result.details),
        )

    def _skipped(self, name: str, why: str) -> ProbeResult:
        return outcome(self.registry.catalogue[f"{name}.skipped"], f"not run: {why}", hint="")

    def _why_unmet(self, need: str, result: ProbeResult) -> str | None:
        if not result.ok:
            return f"{need} failed"
        if result.code != f"{need}.skipped":
            return None
        if need in self._excluded:
            return f"{need} is excluded by {self._excluded[need]}"
        return result.message.removeprefix("not run: ")

    async def _run(self, probe: Probe, climb: Climb, deadline_s: float) -> ProbeResult:
        started_s = time.monotonic()
        budget_s = max(0.0, min(self.budget_of(probe), deadline_s - started_s))
        set_deadline(started_s + budget_s)
        try:
            async with asyncio.timeout(budget_s * _BACKSTOP) as backstop:
                result = _checked(probe.name, await probe.run(climb))
        except Exception as exc:  # a probe never raises: this is where that is kept true
            result = _cut(probe, budget_s) if backstop.expired() else _unexpected(probe.name, exc)
        took_s = time.monotonic() - started_s
        if self._look_closer and result.status in (Status.PASS, Status.WARN):
            result = await _closer(probe, climb, result)
        if result.status is Status.PASS and took_s > STRICT_START_S:
            result = _slow(result, took_s)
        return replace(result, duration_ms=(time.monotonic() - started_s) * 1000)


async def _ready_or_ended(task: asyncio.Task[ProbeResult], ready: asyncio.Event) -> None:
    """Wait for the end of a probe, or for its word that the rest of it goes on beside those after it."""
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _cut(probe: Probe, budget_s: float) -> ProbeResult:
    """What is told of a probe that the ladder ended."""
    if budget_s:
        return outcome(probe.timeout_code, f"the {probe.name} check did not end within {budget_s:.3g} s")
    said = f"the {probe.name} check had no time left: the time limit of the whole run had passed"
    return outcome(probe.timeout_code, said, hint=Step("Allow more time for the whole run"))


async def _closer(probe: Probe, climb: Climb, result: ProbeResult) -> ProbeResult:
    """What a closer look makes of a pass; one that does not end leaves it, and is named in its details."""
    if probe.look_closer is None:
        return result
    budget_s = climb.time_left()
    try:
        async with asyncio.timeout(budget_s * _BACKSTOP) as backstop:
            return _checked(probe.name, await probe.look_closer(climb, result))
    except Exception as exc:
        if backstop.expired():
            said = f"had not ended after {budget_s:.3g} s"
            return replace(result, details={**result.details, "closer_look": said})
        return _unexpected(probe.name, exc)


def _checked(name: str, result: ProbeResult) -> ProbeResult:
    """The result, if it is one of that probe: a plug-in's author may have mistaken something."""
    if not isinstance(result, ProbeResult):
        raise TypeError(f"the probe returned {type(result).__name__}, not a ProbeResult")
    if result.name != name or not isinstance(result.status, Status):
        raise TypeError(f"the probe returned {result.status!r} for {result.name!r}")
    return result


def _slow(result: ProbeResult, took_s: float) -> ProbeResult:
    """A pass that a strict start would not have waited for, and so a warning with a code of its own."""
    return outcome(
        f"{result.name}.slow",
        f"{result.message} (after {took_s:.1f} s; a strict start waits {STRICT_START_S:g} s)",
        details={"passed_as": result.code, **result.details},
        headline=f"passed, but only after {took_s:.1f} s",
    )


def _unexpected(name: str, exc: Exception) -> ProbeResult:
    frames = traceback.extract_tb(exc.__traceback__)[-3:]
    where = [f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in frames]
    return outcome(
        f"{name}.unexpected",
        str(exc) if isinstance(exc, NoThread) else f"{type(exc).__name__}: {exc}",
        hint=exc.steps if isinstance(exc, NoThread) else None,
        details={"exception": type(exc).__qualname__, "text": str(exc), "where": where},
    )
