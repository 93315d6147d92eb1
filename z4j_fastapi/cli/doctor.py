"""`doctor`: climb the ladder, say what was found, and disconnect."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from z4j_fastapi.cli import STARTED_S, status_when_interrupted
from z4j_fastapi.cli.loops import (
    climb_forever,
    climb_once,
    climb_until_green,
    interrupted,
)
from z4j_fastapi.cli.options import Options, check
from z4j_fastapi.cli.output import append_file, emit, note, usage_error, write_file
from z4j_fastapi.cli.streams import has_reader, stdout_encoding
from z4j_fastapi.reports import exit_status, renderer
from z4j_fastapi.signals import end_after, end_with_parent, interruptible
from z4j_probes import (
    Ladder,
    Registry,
    Report,
    SelectionError,
    Settings,
    Status,
    default_registry,
    select,
)
from z4j_probes.doctor import MakeHello
from z4j_probes.ladder import RUN_BUDGET_S
from z4j_probes.plugins import add_plugins
from z4j_probes.portable.system import is_linux

if TYPE_CHECKING:
    from z4j_fastapi.as_service.child import Service
    from z4j_fastapi.as_service.target import Target
    from z4j_fastapi.reports.printers import PlainPrinter
    from z4j_probes.acting_as import ActingAs


# What a monitor or a build shows as it comes, in its own locale; a document says its encoding itself.
_LINES = ("nagios", "github")
# Beyond the deadline, when a run is ended that did not end by itself: probes are cut a bit after theirs.
_DEADLINE_SLACK = 1.05
_DEADLINE_GRACE_S = 0.5


def run(options: Options) -> int:
    """Do what the options say; the exit status."""
    check(options)
    end_with_parent()
    return _Doctor(options).run()


class _Doctor:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._registry: Registry = default_registry()
        self._excluded: dict[str, str] = {}
        self._last_codes: tuple[str, ...] = ()
        self._noted_bare = False
        self._remarks: set[str] = set()
        self._ends_s: float | None = None

    def run(self) -> int:
        options = self._options
        if options.deadline_s is not None:
            self._ends_s = STARTED_S + options.deadline_s
            end_after(self._left_s() * _DEADLINE_SLACK + _DEADLINE_GRACE_S)
        try:
            with interruptible():
                add_plugins(self._registry)
        except KeyboardInterrupt:
            ladder = Ladder(self._registry, Settings())
            report = interrupted(ladder.report(ladder.start(), (), interrupted=True))
            self._show(report)
            return exit_status(options.format, report)
        try:
            self._excluded = select(
                self._registry,
                only=options.only,
                skip=options.skip,
                no_websocket=options.no_websocket,
                offline=options.offline,
            )
        except SelectionError as exc:
            usage_error(str(exc))
        if options.watch_s is not None:
            report = climb_forever(self._climb, options.watch_s, self._show_change)
            if has_reader() and not report.interrupted:  # between two climbs, of which no report tells
                return status_when_interrupted()
            return exit_status(options.format, report)
        if options.wait_s is not None:
            from z4j_fastapi.cli.countdown import Countdown

            wait_s = min(options.wait_s, self._left_s())
            report = climb_until_green(self._climb, wait_s, Countdown(), self._lasting_problem)
            self._show(report)
        elif self._is_table and not self._acts_as_service and options.worker is None:
            printer = self._printer()
            report = climb_once(self._ladder, printer)
            printer.finish(report)
        else:
            report = self._climb()
            self._show(report)
        self._note_remarks(report)
        if options.bundle is not None:
            write_file(options.bundle, self._bundle(report))
            note(f"Wrote the bundle to {options.bundle}. Read it before you share it.")
        return exit_status(options.format, report)

    @property
    def _acts_as_service(self) -> bool:
        return self._options.pid is not None or self._options.unit is not None

    def _climb(self, *, budget_s: float | None = None) -> Report:
        """One climb that no one watches, as the user that the options name."""
        if not self._acts_as_service:
            report = climb_once(partial(self._ladder, budget_s=budget_s))
            return self._with_worker(report, sys.executable)

        if not is_linux():
            option = "--pid" if self._options.unit is None else "--unit"
            usage_error(f"{option} needs Linux: it reads /proc and enters namespaces")
        interpreter = sys.executable
        # here: where the service is, this program's files need not be
        from z4j_fastapi.as_service.finding import older_secret
        from z4j_fastapi.as_service.process import family_of
        from z4j_fastapi.cli.worker import interpreter_of
        from z4j_fastapi.inventory.older import changed_since_read

        with self._target() as target:
            if target.service is not None and self._options.worker is not None:
                interpreter = interpreter_of(target.service.pid)
            rows = [] if target.finding is None else [target.finding]
            service = target.service
            if service is None:
                ladder = Ladder(self._registry, self._options.with_labels(Settings()))
                report = ladder.report(ladder.start(), (), not_run="unit failed")
            else:
                family = family_of(service.pid) if service.pid else set()

                def act(acting_as: ActingAs) -> Mapping[str, Any]:
                    report = climb_once(partial(self._ladder, budget_s=budget_s, acting_as=acting_as))
                    report = self._with_worker(report, interpreter)
                    changed = changed_since_read(self._options.load_settings(), family)
                    return {"report": report.to_dict(), "changed": changed}

                said = self._act_as(service, act)
                report = Report.from_dict(said["report"])
                if report.interrupted:  # by us: what ended us is what counts
                    report = interrupted(report)
                if said["changed"]:
                    older = older_secret(service.pid, service.unit, said["changed"])
                    rows = [*(row for row in rows if row.status is not Status.PASS), older]
            config = dict(report.config)
            if target.remarks:
                config["remarks"] = [*config.get("remarks", ()), *target.remarks]
            return replace(
                report,
                results=(*rows, *report.results),
                config=config,
                labels={**self._unit_label(), **report.labels},
                strict=self._options.strict,
            )

    def _unit_label(self) -> dict[str, str]:
        unit = self._options.unit
        return {} if unit is None else {"service": unit.removesuffix(".service")}

    def _lasting_problem(self, report: Report) -> str | None:
        if self._acts_as_service:  # a service may start again, with another environment
            return None
        from z4j_fastapi.cli.waiting import lasting_problem

        return lasting_problem(report, self._options.load_settings())

    def _budget_s(self, left_to_wait_s: float | None = None) -> float:
        """The time of one climb; one check that was granted more than a run usually takes is to have it."""
        if self._ends_s is not None and left_to_wait_s is None:
            return self._left_s()
        usual_s = RUN_BUDGET_S if left_to_wait_s is None else min(left_to_wait_s, RUN_BUDGET_S)
        return min(max(usual_s, self._options.timeout_s or 0.0), self._left_s())

    def _left_s(self) -> float:
        return math.inf if self._ends_s is None else max(0.0, self._ends_s - time.monotonic())

    def _with_worker(self, report: Report, interpreter: str) -> Report:
        """The same with a row about the worker, if one is named."""
        options = self._options
        if options.worker is None or report.interrupted:
            return report
        from z4j_fastapi.cli.worker import WITHIN_S, examine

        buffer = next((row for row in report.results if row.name == "buffer"), None)
        directory = str(buffer.details.get("directory") or "") if buffer else ""
        row = examine(
            options.worker,
            options.load_settings(),
            directory,
            interpreter,
            options.timeout_s,
            within_s=min(WITHIN_S, self._left_s()),
            env_file=options.env_file,
            is_service=self._acts_as_service,
        )
        took_ms = report.duration_ms + row.duration_ms
        return replace(report, results=(*report.results, row), duration_ms=round(took_ms, 3))

    @contextmanager
    def _target(self) -> Iterator[Target]:
        """Whom the options name. It is looked up afresh each time: it may have restarted."""
        pid, unit = self._options.pid, self._options.unit
        from z4j_fastapi.as_service.errors import CannotActAs
        from z4j_fastapi.as_service.process import process_to_act_as
        from z4j_fastapi.as_service.unit import unit_to_act_as

        try:
            with (
                unit_to_act_as(unit)
                if unit is not None
                else nullcontext(process_to_act_as(pid or 0)) as found
            ):
                yield found
        except CannotActAs as exc:
            usage_error(str(exc))

    def _act_as(self, service: Service, act: Callable[[ActingAs], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What the service itself would have found out."""
        from z4j_fastapi.as_service.child import act_as
        from z4j_fastapi.as_service.process import settings_elsewhere
        from z4j_probes.acting_as import ActingAs

        hint = settings_elsewhere(service)
        if hint and self._options.env_file is None and not self._noted_bare:
            self._noted_bare = True
            note(hint)
        # one climb may be followed by another: see `climb_once`
        acting = partial(act, ActingAs.prepared(service.unit))
        budget_s = 2 * self._budget_s()
        if self._options.worker is not None:
            from z4j_fastapi.cli.worker import WITHIN_S

            budget_s = min(budget_s + WITHIN_S, max(budget_s, self._left_s()))
        return act_as(service, acting, budget_s=budget_s)

    def _bundle(self, report: Report) -> bytes:
        from z4j_fastapi.cli.bundle import make_bundle
        from z4j_fastapi.cli.versions import versions

        known = versions()  # now: where the service is, this program's files need not be
        if not self._acts_as_service:
            return make_bundle(report, self._options.load_settings(), known)

        def act(acting_as: ActingAs) -> Mapping[str, Any]:
            settings = replace(self._options.load_settings(), acting_as=acting_as)
            return {"bundle": make_bundle(report, settings, known).hex()}

        with self._target() as target:
            if target.service is None:
                return make_bundle(report, Settings(), known)
            return bytes.fromhex(self._act_as(target.service, act)["bundle"])

    def _ladder(
        self, *, make_hello: MakeHello, budget_s: float | None = None, acting_as: ActingAs | None = None
    ) -> Ladder:
        options = self._options
        return Ladder(
            self._registry,
            replace(options.load_settings(), acting_as=acting_as),
            make_hello=make_hello,
            excluded=self._excluded,
            timeout_s=options.timeout_s,
            budget_s=self._budget_s(budget_s),
            strict=options.strict,
        )

    @property
    def _is_table(self) -> bool:
        return self._options.format == "table" and self._options.output is None

    def _printer(self) -> PlainPrinter:
        from z4j_fastapi.reports.printers import PlainPrinter, TerminalPrinter

        verbose = self._options.verbose
        if is_colorful():
            return TerminalPrinter(verbose=verbose, encoding=stdout_encoding())
        import shutil

        width = shutil.get_terminal_size().columns
        return PlainPrinter(emit, width=width, verbose=verbose, encoding=stdout_encoding())

    def _show(self, report: Report, *, is_news: bool = True) -> None:
        options = self._options
        if self._is_table:
            self._printer().finish(report)
            return
        text = self._render(report)
        if options.output is None:
            emit(text)
            return
        if options.append:
            append_file(options.output, text)
        else:
            write_file(options.output, text)
        if is_news:  # a build's log is what people look at first
            from z4j_fastapi.reports.table import PLAIN_WIDTH, Table, plain

            for line in plain(Table(PLAIN_WIDTH, False, stdout_encoding()).foot(report)).splitlines():
                note(line)
        note(f"{'Added the report to' if options.append else 'Wrote the report to'} {options.output}.")

    def _note_remarks(self, report: Report) -> None:
        """What may surprise in the settings, once: it is no verdict, but a row would have hidden it."""
        for remark in report.config.get("remarks", ()):
            if remark not in self._remarks:
                self._remarks.add(remark)
                note(remark)

    def _show_change(self, report: Report) -> bool:
        """For --watch: a table only where something has changed, a document every time; False to end it."""
        self._note_remarks(report)
        codes = tuple(result.code for result in report.results)
        if self._is_table and codes == self._last_codes:
            from z4j_fastapi.reports.wording import counts

            first = report.first_failure
            said = first.code if first else counts(report)
            emit(f"{datetime.now().astimezone():%H:%M:%S}  unchanged: {said}\n")
            return has_reader()
        if self._is_table:
            emit(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}\n")
        is_news, self._last_codes = codes != self._last_codes, codes
        self._show(report, is_news=is_news)
        return has_reader()

    def _render(self, report: Report) -> str:
        options = self._options
        if options.format == "table":
            from z4j_fastapi.reports import table

            return table.render(report, verbose=options.verbose)
        is_stream = options.append or (options.watch_s is not None and options.output is None)
        if options.format == "json" and is_stream:
            from z4j_fastapi.reports.json import render_line

            return render_line(report)
        text = renderer(options.format)(report)
        if options.format in _LINES and options.output is None and stdout_encoding() == "ascii":
            from z4j_fastapi.reports.text import in_ascii

            return in_ascii(text)
        return text


def is_colorful() -> bool:
    """Whether stdout is a terminal that takes escape codes, and its owner wants them (no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return sys.stdout is not None and sys.stdout.isatty()
