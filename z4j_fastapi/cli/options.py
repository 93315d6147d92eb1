"""The options of `doctor`: what the command line may say, and which of it contradicts itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from z4j_fastapi.cli.output import check_target, invalid, usage_error
from z4j_fastapi.reports import FORMATS
from z4j_probes import Settings
from z4j_probes.labels import parse_label

# A longer time is a mistaken unit; far beyond it, clocks and sleeps overflow.
LONGEST_S = 7 * 24 * 3600


# MODULE:NAME as taskiq has it, MODULE.NAME as arq has it.
_WORKER = r"\w+(\.\w+)*[:.]\w+(\.\w+)*"

# Documents that are a file each; of the other formats one may follow the other.
_WHOLE_FILES = ("html", "junit", "openmetrics")
# Of which one may follow the other in a file: text, Markdown, and JSON as JSON Lines.
_APPENDABLE = ("table", "json", "markdown", "github")


class Options(NamedTuple):
    """The command line of `doctor`; the defaults are what it does where nothing is said."""

    format: str = "table"
    output: Path | None = None
    append: bool = False
    bundle: Path | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    no_websocket: bool = False
    offline: bool = False
    wait_s: float | None = None
    watch_s: float | None = None
    timeout_s: float | None = None
    """Binds every probe; None leaves each its own default."""
    deadline_s: float | None = None
    """Binds the whole run."""
    labels: tuple[str, ...] = ()
    strict: bool = False
    verbose: bool = False
    env_file: str | None = None
    pid: int | None = None
    unit: str | None = None
    brain_url: str | None = None
    project_id: str | None = None
    agent_name: str | None = None
    ca_file: str | None = None
    token_file: str | None = None
    hmac_secret_file: str | None = None
    worker: str | None = None
    """MODULE:NAME of a worker to examine as well."""

    def load_settings(self) -> Settings:
        """The settings as they are now: files may have changed since the last climb."""
        settings = Settings.load(
            env_file=self.env_file,
            brain_url=self.brain_url,
            project_id=self.project_id,
            agent_name=self.agent_name,
            ca_file=self.ca_file,
            token_file=self.token_file,
            hmac_secret_file=self.hmac_secret_file,
        )
        return self.with_labels(settings)

    def with_labels(self, settings: Settings) -> Settings:
        """The settings with the labels of the command line beside their own."""
        return replace(settings, labels=",".join(filter(None, (settings.labels, *self.labels))) or None)


def check(options: Options) -> None:
    """Refuse what contradicts itself, before anything is connected to."""
    if options.format not in FORMATS:
        usage_error(invalid(options.format, "--format", FORMATS))
    if options.wait_s is not None and options.watch_s is not None:
        usage_error("--wait and --watch can't be used together")
    for name in ("wait_s", "watch_s", "timeout_s", "deadline_s"):
        value = getattr(options, name)
        if value is not None and not 0 < value <= LONGEST_S:  # NaN is in no order with anything
            option = f"--{name.removesuffix('_s')}"
            usage_error(
                f"invalid value for {option} (expected seconds: greater than 0, at most {LONGEST_S}, a week)"
            )
    if options.pid is not None and options.unit is not None:
        usage_error("--pid and --unit can't be used together")
    if options.watch_s is not None and options.output is None and options.format in _WHOLE_FILES:
        usage_error(
            f"--watch with --format {options.format} needs --output FILE: documents can't follow each other"
        )
    if options.deadline_s is not None and options.watch_s is not None:
        usage_error("--deadline and --watch can't be used together")
    if options.worker is not None and not re.fullmatch(_WORKER, options.worker):
        usage_error(f"invalid value {options.worker!r} for --worker (expected MODULE:NAME)")
    for label in options.labels:
        for objection in parse_label(label)[1]:
            usage_error(f"invalid value for --label (expected KEY=VALUE): {objection}")
    if options.append:
        _check_append(options)
    if options.output is not None:
        check_target(options.output, "--output")
    if options.bundle is not None:
        check_target(options.bundle, "--bundle")
        if options.output is not None and options.output.resolve() == options.bundle.resolve():
            usage_error("--output and --bundle name the same file")
        if options.watch_s is not None:
            usage_error("--watch and --bundle can't be used together")


def _check_append(options: Options) -> None:
    if options.output is None:
        usage_error("--append needs --output FILE")
    if options.format not in _APPENDABLE:
        known = ", ".join(_APPENDABLE)
        usage_error(f"--append and --format {options.format} can't be used together (choose from {known})")
