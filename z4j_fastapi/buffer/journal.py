"""Journal: where an event is written first, by one write(2), without a lock, SQLite or fsync.

`journal-<slot>-<number>` lies beside the slot's buffer file and belongs to the process that has the slot.
A segment only grows; when it is sealed, what is still wanted of it moves to the database, and the file goes.

A segment is lines of ASCII heads and UTF-8 bodies, each `\\n<kind><number> <crc32 of the body> <body>`:

- `e7 1a2b3c4d {…}`: the segment's event number 7. Numbers need not be in order: threads write side by side.
- `g3 1a2b3c4d 0-6,9-9`: of segment 3, these events are gone: acknowledged, dropped, or moved.
- `d5 00000000 `: five events were dropped, which no ledger counts yet.

The newline comes first, so that what a full disk has cut off spoils no line behind it; a line whose checksum
is wrong (a power cut) is skipped. The first line names the format; a file of another format is left as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from zlib import crc32

from z4j_fastapi.buffer.claims import Span, spans
from z4j_probes.portable import disk, files, flags

_FORMAT = b"z4j journal 1"
_FILE_NAME = re.compile(r"journal-(\d{1,4})-(\d+)")
_LINE = re.compile(rb"([egd])(\d{1,18}) ([0-9a-f]{8}) (.*)", re.DOTALL)
_SPAN = re.compile(rb"(\d{1,18})-(\d{1,18})")

# How often it is looked whether a writer has left a segment that is sealed: one write(2) takes microseconds.
_LEAVING_S = 0.0005
_PATIENCE_S = 1.0


class Segment:
    """One file of a journal, open for appending; without a descriptor, one that an earlier process left.

    `dropped` counts the events of which only it says that they were dropped.
    """

    __slots__ = (
        "_descriptor",
        "_numbers",
        "_sealed",
        "_writers",
        "dropped",
        "is_dirty",
        "number",
        "path",
        "size",
    )

    def __init__(self, path: Path | None, number: int = 0, descriptor: int | None = None) -> None:
        self.path = path
        self.number = number
        self.dropped = 0
        self.size = 0
        """Bytes written, about: threads may add to it at the same time."""
        self.is_dirty = False
        self._descriptor = descriptor
        self._numbers = count()
        self._sealed = path is not None and descriptor is None
        self._writers: set[object] = set()

    @classmethod
    def create(cls, directory: Path, slot: int, number: int) -> Segment:
        """A new file. Raises OSError where there is no room for even its first line."""
        path = path_of(directory, slot, number)
        descriptor = files.open_shared(path, flags.CREATE | os.O_APPEND | flags.NOFOLLOW)
        segment = cls(path, number, descriptor)
        try:
            segment.write(_FORMAT)
        except OSError:
            segment.remove()
            raise
        return segment

    @property
    def is_file(self) -> bool:
        """False for the one that stands for memory while the disk fails."""
        return self.path is not None

    @property
    def has_lines(self) -> bool:
        """Whether anything was written to it."""
        return self.size > len(_FORMAT)

    @property
    def is_sealed(self) -> bool:
        """True once nothing is written to it any more."""
        return self._sealed

    @property
    def is_gone(self) -> bool:
        """Whether another process has deleted or replaced the file."""
        if self._descriptor is None or self.path is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._descriptor), os.lstat(self.path))
        except OSError:
            return True

    def enter(self, writer: object) -> int | None:
        """A number for an event that `writer` is about to write; None where the segment is sealed.

        Call `leave` in any case, also where this has raised.
        """
        self._writers.add(writer)
        # after that: `seal` does it the other way round, and so one of the two sees the other
        return None if self._sealed else next(self._numbers)

    def leave(self, writer: object) -> None:
        """`writer` has written, or has failed to."""
        self._writers.discard(writer)

    def write_event(self, number: int, payload: bytes) -> bool:
        """Write an event so that it outlives this process; False where there is no file.

        Raises OSError; then it is not in the file.
        """
        if b"\n" in payload:  # only between the tokens of JSON
            payload = payload.replace(b"\n", b" ")
        return self.write(b"\ne%d %08x %b" % (number, crc32(payload), payload))

    def write(self, line: bytes) -> bool:
        """Append bytes; False where there is no file. Raises OSError where not all are written."""
        if self._descriptor is None:
            return False
        written = os.write(self._descriptor, line)
        self.is_dirty = True
        self.size += written
        if written != len(line):
            os.write(self._descriptor, line[written:])  # to learn why: ENOSPC, EDQUOT, EFBIG
            raise OSError(f"{self.path} took {written} bytes of {len(line)}")
        return True

    def note(self, lines: bytes) -> bool:
        """Append `gone_line`s or `dropped_line`s. False where that can't be: sealed, or the disk fails."""
        writer = object()
        try:
            if self.enter(writer) is None:
                return False
            self.write(lines)
        except OSError:
            return False
        finally:
            self.leave(writer)
        return True

    def seal(self) -> None:
        """Take nothing any more, and wait until those who are writing have written.

        Not for ever: an exception that a signal handler raises can keep one from leaving.
        """
        self._sealed = True
        deadline_s = time.monotonic() + _PATIENCE_S
        while self._writers and time.monotonic() < deadline_s:
            time.sleep(_LEAVING_S)

    def sync(self) -> None:
        """Make what is written survive a power cut. Raises OSError."""
        descriptor = self._descriptor
        if descriptor is not None and self.is_dirty:
            self.is_dirty = False
            try:
                disk.sync_data(descriptor)
            except OSError:
                self.is_dirty = True
                raise

    def close(self) -> None:
        """Close the file; it stays where it is."""
        descriptor, self._descriptor = self._descriptor, None
        self._sealed = True
        if descriptor is not None and not self._writers:  # the number may be another file's the next moment
            os.close(descriptor)

    def remove(self) -> None:
        """Close and delete the file."""
        is_gone = self.is_gone
        self.close()
        if self.path is not None and not is_gone:  # not what another process has put there
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def path_of(directory: Path, slot: int, number: int) -> Path:
    """Where a segment is."""
    return directory / f"journal-{slot}-{number}"


def gone_line(number: int, event_numbers: Iterable[int]) -> bytes:
    """The line that says that these events of segment `number` are gone."""
    body = b",".join(b"%d-%d" % span for span in spans(sorted(event_numbers)))
    return b"\ng%d %08x %b" % (number, crc32(body), body)


def dropped_line(events: int) -> bytes:
    """The line that says that so many more events were dropped."""
    return b"\nd%d %08x " % (events, crc32(b""))


@dataclass(slots=True)
class Contents:
    """What a segment's file says."""

    events: dict[int, str] = field(default_factory=dict)
    gone: list[tuple[int, Span]] = field(default_factory=list)
    dropped: int = 0


def find(directory: Path, slot: int) -> list[tuple[int, Path]]:
    """The segments of `slot` in `directory` with their numbers, oldest first."""
    return sorted((number, path) for owner, number, path in _found(directory) if owner == slot)


def slots_with_events(directory: Path) -> set[int]:
    """The slots that have segments with something in them."""
    found = set()
    for slot, _, path in _found(directory):
        with contextlib.suppress(OSError):
            if path.lstat().st_size > len(_FORMAT):
                found.add(slot)
    return found


def read(path: Path) -> Contents | None:
    """What a segment says; None for a file of another format. Raises OSError."""
    with open(files.open_shared(path, flags.READ_UNHELD), "rb") as file:
        first, *lines = file.read().split(b"\n")
    if first != _FORMAT and _FORMAT.startswith(first):  # cut off in its first line
        return Contents()
    if first != _FORMAT:
        return None
    contents = Contents()
    for line in lines:
        matched = _LINE.fullmatch(line)
        if not matched or crc32(matched[4]) != int(matched[3], 16):
            continue
        kind, number, body = matched[1], int(matched[2]), matched[4]
        if kind == b"e":
            with contextlib.suppress(UnicodeDecodeError):
                contents.events[number] = body.decode()
        elif kind == b"g":
            contents.gone += [(number, (int(a), int(b))) for a, b in _SPAN.findall(body)]
        else:
            contents.dropped += number
    return contents


def read_all(paths: Mapping[int, Path]) -> dict[int, Contents]:
    """What these segments of one slot say, by number, without the events that one of them says are gone.

    One that can't be read is left out.
    """
    found = {}
    for number, path in paths.items():
        with contextlib.suppress(OSError):
            if contents := read(path):
                found[number] = contents
    for contents in found.values():
        for number, (first, last) in contents.gone:
            events = found[number].events if number in found else {}
            for gone in range(first, last + 1) if last - first < len(events) else list(events):
                if first <= gone <= last:
                    events.pop(gone, None)
    return found


def _found(directory: Path) -> Iterator[tuple[int, int, Path]]:
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if matched := _FILE_NAME.fullmatch(name):
            yield int(matched[1]), int(matched[2]), directory / name
