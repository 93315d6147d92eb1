"""The options of `doctor`: what the command line may say, and which of it contradicts itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from z4j_fastapi.cli.output import check_target, invalid, usage_error
from z4j_fastapi.reports import FORMATS
from z4j_probes import Settings

# A longer time is a mistaken unit; far beyond it, clocks and sleeps overflow.
LONGEST_S = 7 * 24 * 3600


# Documents that are a file each; of the other formats one may follow the other.
_WHOLE_FILES = ("html", "junit", "openmetrics")


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `doctor`; the defaults are what it does where nothing is said."""

    format: str = "table"
    output: Path | None = None
    bundle: Path | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    no_websocket: bool = False
    offline: bool = False
    wait_s: float | None = None
    watch_s: float | None = None
    timeout_s: float | None = None
    """Binds every probe; None leaves each its own default."""
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

    def load_settings(self) -> Settings:
        """The settings as they are now: files may have changed since the last climb."""
        return Settings.load(
            env_file=self.env_file,
            brain_url=self.brain_url,
            project_id=self.project_id,
            agent_name=self.agent_name,
            ca_file=self.ca_file,
            token_file=self.token_file,
            hmac_secret_file=self.hmac_secret_file,
        )


def check(options: Options) -> None:
    """Refuse what contradicts itself, before anything is connected to."""
    if options.format not in FORMATS:
        usage_error(invalid(options.format, "--format", FORMATS))
    if options.wait_s is not None and options.watch_s is not None:
        usage_error("--wait and --watch can't be used together")
    for name in ("wait_s", "watch_s", "timeout_s"):
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
    if options.output is not None:
        check_target(options.output, "--output")
    if options.bundle is not None:
        check_target(options.bundle, "--bundle")
        if options.output is not None and options.output.resolve() == options.bundle.resolve():
            usage_error("--output and --bundle name the same file")
        if options.watch_s is not None:
            usage_error("--watch and --bundle can't be used together")
