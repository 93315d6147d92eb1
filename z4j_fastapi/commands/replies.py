"""Replies: what a brain is answered, frame by frame, until it has come to it or its time is over.

A reply is not acknowledged, and a brain loses what it has not come to when a connection ends. It handles
frames in order, so it has come to a result when it acknowledges a batch that was sent behind it. What it may
not have come to is sent again, by the next session or the next process; it ignores what it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from z4j_fastapi.commands.job import Job
from z4j_fastapi.commands.outcome import Outcome, Verdict
from z4j_probes.protocol import answers

MAX_REPLIES = 1_024
# How long the answer to a command whose own time can't be read is worth sending.
_MALFORMED_S = 60.0
_RESULT = "command_result"


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame to send, if that is still possible before `expires_s` (monotonic)."""

    command_id: str
    kind: str
    payload: Mapping[str, Any] = field(repr=False)
    expires_s: float


class Replies:
    """The oldest first; one that finds its session gone is sent by the next one.

    `changed` is set whenever one was added or sent. `redacted` takes secrets out of errors.
    """

    def __init__(self, changed: asyncio.Event, redacted: Callable[[str], str]) -> None:
        self._changed = changed
        self._redacted = redacted
        self._replies: deque[Reply] = deque(maxlen=MAX_REPLIES)
        self._sent: deque[tuple[int, Reply]] = deque(maxlen=MAX_REPLIES)
        self.sent_so_far = 0
        """How many results have left: what `handled` is told of a batch behind them."""

    def __len__(self) -> int:
        return len(self._replies)

    async def next(self) -> Reply:
        """The next frame to send; it stays the next one until it is `sent`."""
        while True:
            while self._replies and self._replies[0].expires_s < time.monotonic():
                self._replies.popleft()
            if self._replies:
                return self._replies[0]
            self._changed.clear()
            await self._changed.wait()

    def sent(self, reply: Reply) -> None:
        """It has left."""
        with contextlib.suppress(ValueError):
            self._replies.remove(reply)
        if reply.kind == _RESULT:
            self.sent_so_far += 1
            self._sent.append((self.sent_so_far, reply))
        self._changed.set()

    def handled(self, so_far: int) -> None:
        """The brain has come to so many of those that have left."""
        while self._sent and self._sent[0][0] <= so_far:
            self._sent.popleft()

    def session_over(self) -> None:
        """What it may not have come to is to be sent again, before all else."""
        self._replies.extendleft(reply for _, reply in reversed(self._sent))
        self._sent.clear()

    @property
    def left(self) -> list[Reply]:
        """The results that it may not have come to, and whose time is not over."""
        results = [reply for _, reply in self._sent] + [r for r in self._replies if r.kind == _RESULT]
        return [reply for reply in results if reply.expires_s > time.monotonic()]

    def add_left(self, command_id: str, payload: Mapping[str, Any], left_s: float) -> None:
        """A result that another process had left."""
        self._add(Reply(command_id, _RESULT, payload, time.monotonic() + left_s))

    def acknowledge(self, job: Job) -> None:
        """It is known here, and will be answered within its time."""
        job.acknowledged = True
        self._add_each(job, "command_ack", answers.acknowledgement)

    def answer(self, job: Job, outcome: Outcome) -> None:
        """What came of it, to each of its deliveries; acknowledged first, where it was not."""
        if not job.acknowledged:
            self.acknowledge(job)
        done = outcome.verdict is Verdict.DONE or outcome.is_done
        self._add_each(
            job,
            _RESULT,
            lambda token: answers.result(
                "success" if done else "failed",
                token,
                result=outcome.result if done else None,
                error=None if done else self._redacted(outcome.error[: answers.MAX_ERROR]),
            ),
        )

    def refuse(self, command_id: str, claim_token: str | None, outcome: Outcome) -> None:
        """The answer to one that can't be read."""
        expires_s = time.monotonic() + _MALFORMED_S
        payload = answers.result("failed", claim_token, error=outcome.error)
        self._add(Reply(command_id, "command_ack", answers.acknowledgement(claim_token), expires_s))
        self._add(Reply(command_id, _RESULT, payload, expires_s))

    def _add_each(self, job: Job, kind: str, payload: Callable[[str | None], dict[str, Any]]) -> None:
        for command_id, claim_token in job.deliveries.items():
            self._add(Reply(command_id, kind, payload(claim_token), job.deadline_s))

    def _add(self, reply: Reply) -> None:
        self._replies.append(reply)
        self._changed.set()
