"""What the agent on this machine said last in its hello, so that a doctor can say the same.

A hello overwrites what the brain's dashboard shows of an agent; a doctor that repeats the last one
changes nothing there. Kept in `<state>/<identity>/hello.json`, mode 0600; it holds no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from z4j_probes.portable import files, flags
from z4j_probes.replace_file import replace_file
from z4j_probes.storage.directory import private_directory
from z4j_probes.storage.faults import storage_error

FILE_NAME = "hello.json"

# Far above any real hello; a file beyond it is not one of ours.
MAX_BYTES = 256 * 1024


class LastHello(NamedTuple):
    """The parts of a hello that the dashboard shows."""

    framework: str
    engines: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    capabilities: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def remember_hello(state_directory: Path, identity: str, hello: LastHello) -> None:
    """Write `hello` so that a reader sees the old one or the new one, whole. Raises StorageError."""
    directory = private_directory(state_directory, identity)
    said = hello._asdict() | {"capabilities": dict(hello.capabilities)}
    text = json.dumps(said, indent=1, sort_keys=True)
    try:
        replace_file(directory / FILE_NAME, text.encode())
    except OSError as exc:
        raise storage_error(exc, f"can't write {directory / FILE_NAME}") from exc


def recall_hello(state_directory: Path, identity: str) -> LastHello | None:
    """The last hello; None where there is none, or none that can be read. Makes no directory."""
    path = state_directory / identity / FILE_NAME
    try:
        descriptor = files.open_shared(path, flags.READ_UNHELD)
        with open(descriptor, "rb") as file:
            text = file.read(MAX_BYTES + 1)
        return _parse(json.loads(text)) if len(text) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None


def _parse(data: Any) -> LastHello:
    return LastHello(
        framework=_word(data["framework"]),
        engines=_words(data["engines"]),
        schedulers=_words(data["schedulers"]),
        capabilities={_word(engine): _words(names) for engine, names in dict(data["capabilities"]).items()},
    )


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a string was expected, not {type(value).__name__}")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {type(value).__name__}")
    return tuple(_word(item) for item in value)
