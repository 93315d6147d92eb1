"""What was begun, and what came of it: on disk, so that a command is acted on at most once.

`<state>/<identity>/commands.sqlite`, shared by all processes of the identity. An intent is on the disk before
its command is acted on, and the outcome before it is answered, so a command that is delivered again is
answered from here, by whichever process gets it, and after a `kill -9` too. It holds ids and answers, never
arguments. An answer that its process could not bring to its brain is here for the next one.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from z4j_fastapi.commands.outcome import Outcome, Verdict
from z4j_fastapi.commands.shared_file import SharedFile

FILE_NAME = "commands.sqlite"
# A brain sends nothing again after an hour at most; a day is for clocks that are set.
KEPT_S = 24 * 3600.0
KEPT_IDS = 10_000
# Counting rows is not free; some more of them are.
_PRUNE_EVERY = 100
# Of answers that a process leaves: one may be as large as a frame.
_LEFT_BYTES = 4 * 1024 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY,
    fire_id TEXT UNIQUE,
    begun_at REAL NOT NULL,
    verdict TEXT,
    result TEXT,
    error TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commands_begun_at ON commands (begun_at);
CREATE TABLE IF NOT EXISTS unanswered (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID;
"""


class Remembered(NamedTuple):
    """A command that was begun before. `outcome` is None where none was written: it runs, or was cut off."""

    id: str
    begun_at: datetime
    outcome: Outcome | None


class Left(NamedTuple):
    """An answer that its brain may not have come to, and how long it is worth sending."""

    command_id: str
    payload: Mapping[str, Any]
    left_s: float


class CommandMemory(SharedFile):
    """Every method may block on the disk, and raises StorageError. Any thread may call."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / FILE_NAME, _SCHEMA)
        self._begun = 0

    def begin(self, command_id: str, fire_id: str | None) -> Remembered | None:
        """Write down that this command is about to be acted on.

        What is remembered where it is known already.
        """
        with self.transaction() as db:
            row = db.execute(
                "SELECT id, begun_at, verdict, result, error FROM commands WHERE id = ? OR fire_id = ?",
                (command_id, fire_id),
            ).fetchone()
            if row is not None:
                return _remembered(row)
            self._begun += 1
            if self._begun % _PRUNE_EVERY == 1:
                _prune(db)
            db.execute(
                "INSERT INTO commands (id, fire_id, begun_at) VALUES (?, ?, ?)",
                (command_id, fire_id, time.time()),
            )
        return None

    def finish(self, command_id: str, outcome: Outcome) -> None:
        """Write down what came of it."""
        result = None if outcome.result is None else json.dumps(outcome.result)
        with self.transaction() as db:
            db.execute(
                "UPDATE commands SET verdict = ?, result = ?, error = ? WHERE id = ?",
                (outcome.verdict.value, result, outcome.error, command_id),
            )

    def forget(self, command_id: str) -> None:
        """Nothing was done: it may be tried again."""
        with self.transaction() as db:
            db.execute("DELETE FROM commands WHERE id = ? AND verdict IS NULL", (command_id,))

    def leave(self, agent_id: str, answers: Iterable[Left]) -> None:
        """Keep these answers of that agent for the next process; the first ones, if they are large."""
        now, room = time.time(), _LEFT_BYTES
        with self.transaction() as db:
            for answer in answers:
                payload = json.dumps(answer.payload)
                room -= len(payload)
                if room < 0:
                    break
                db.execute(
                    "INSERT OR REPLACE INTO unanswered VALUES (?, ?, ?, ?)",
                    (answer.command_id, agent_id, payload, now + answer.left_s),
                )

    def take_left(self, agent_id: str) -> list[Left]:
        """Take what was left for that agent, and is not too late."""
        if not self._path.exists():  # most processes never get a command
            return []
        now = time.time()
        with self.transaction() as db:
            rows = db.execute(
                "SELECT id, payload, expires_at FROM unanswered WHERE agent_id = ? AND expires_at > ?",
                (agent_id, now),
            ).fetchall()
            db.execute("DELETE FROM unanswered WHERE agent_id = ? OR expires_at <= ?", (agent_id, now))
        return [Left(command_id, json.loads(payload), at - now) for command_id, payload, at in rows]


def _prune(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM commands WHERE begun_at < ?", (time.time() - KEPT_S,))
    db.execute(
        "DELETE FROM commands WHERE begun_at < "
        "(SELECT begun_at FROM commands ORDER BY begun_at DESC LIMIT 1 OFFSET ?)",
        (KEPT_IDS - 1,),
    )


def _remembered(row: tuple[str, float, str | None, str | None, str | None]) -> Remembered:
    command_id, begun_at, verdict, result, error = row
    outcome = None
    if verdict is not None:
        outcome = Outcome(
            Verdict(verdict), result=None if result is None else json.loads(result), error=error or ""
        )
    return Remembered(command_id, datetime.fromtimestamp(begun_at, UTC), outcome)
