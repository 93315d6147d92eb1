"""Gathering: commands about what an agent's workers have together, of which each worker has a part.

Several worker processes may share a token, each with a queue of its own, and a brain sends a command to one
of them. A list of dead letters is then that of every worker, a bulk retry reaches every task, and what one
worker has not heard of another one may have. Each acts on the signed frame by its own owner's choice, as with
any command that is passed on; one that refuses, or does not answer in time, is left out.

Dead letters come list by list, in the order of the lists' keys, each newest first. A page holds whole pages
of lists, as many as fit, and its cursor says where to go on: `key:` and that list's own cursor.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from z4j_fastapi.commands.job import Job
from z4j_fastapi.commands.outcome import Outcome, Verdict, refused
from z4j_fastapi.commands.peers import PASSED_ON, Peer, Peers
from z4j_fastapi.commands.refusal import InvalidCursor, Refused
from z4j_fastapi.log import log
from z4j_probes.errors import ProtocolError
from z4j_probes.protocol import answers
from z4j_probes.protocol.commands import MAX_CURSOR, BulkRetry, Command, ListDeadLetters, ReconcileTask

if TYPE_CHECKING:  # where there is one, it is loaded
    from z4j_fastapi.commands.engine import Engine

GATHERED = (ListDeadLetters, BulkRetry, ReconcileTask)
"""What is gathered."""
PART_S = 5.0
"""How long another process may take for its part of a list or an answer: a brain's page waits for 15 s."""

# A bulk retry tells why of so many; the rest are counted.
_TOLD_ERRORS = 20
_ERROR_LENGTH = 200
_CURSOR = re.compile(r"([0-9a-f]{8}):(.*)", re.DOTALL)

Known = tuple[Outcome, bool]
"""What came of a job, and whether that was known already."""


def list_key(engine: Engine) -> str:
    """What a cursor calls this worker's list of dead letters."""
    return hashlib.sha256(f"{engine.name} {engine.dead_letter_list}".encode()).hexdigest()[:8]


def part_of(command: Command, task_ids: Collection[str]) -> Command | None:
    """The same command for some of its tasks only, remembered apart; None where it is about none of them."""
    request = command.request
    if not isinstance(request, BulkRetry):
        return None
    chosen = tuple(task_id for task_id in request.task_ids if task_id in task_ids)
    digest = hashlib.sha256("\n".join(chosen).encode("utf-8", "replace")).hexdigest()[:12]
    return command._replace(id=f"{command.id}.{digest}", request=BulkRetry(chosen)) if chosen else None


def own_cursor(request: ListDeadLetters, key: str | None) -> ListDeadLetters:
    """The request with what a cursor says of this worker's list: another's says that it was not begun."""
    found = _CURSOR.fullmatch(request.cursor or "")
    if found is None:
        return request
    return request._replace(cursor=(found[2] or None) if found[1] == key else None)


def told(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """A bulk retry's result as a brain is told it."""
    return {**result, "errors": dict(list(result["errors"].items())[:_TOLD_ERRORS])}


@dataclass(frozen=True, slots=True)
class Gathering:
    """Of one job that a brain has sent to this process. `here` does it in this process; `key` is that of its
    own list of dead letters, None where it has no worker."""

    job: Job
    here: Callable[[Job], Awaitable[Known]]
    peers: Peers
    key: str | None
    max_frame_bytes: int

    async def outcome(self) -> Known | None:
        """What came of it in all processes; None where this one and another are not both concerned."""
        workers = await self.peers.workers_of(self.job.command.engine)
        match self.job.command.request:
            case ListDeadLetters() as listing:
                return await self._list(listing, workers)
            case BulkRetry(task_ids) if workers:
                return await self._retry(task_ids, workers)
            case ReconcileTask() if workers:
                return await self._find(workers)
        return None

    async def _list(self, listing: ListDeadLetters, workers: Sequence[Peer]) -> Known | None:
        places = dict[str, list[Peer | None]]()
        if self.key is not None:
            places[self.key] = [None]
        for peer in workers:
            if peer.dead_letters is not None:
                places.setdefault(peer.dead_letters, []).append(peer)
        keys, found = sorted(places), _CURSOR.fullmatch(listing.cursor or "")
        if found is None:
            # a cursor without a key was given when there was one list
            return await self._page(places, keys) if listing.cursor is None and len(keys) > 1 else None
        if found[1] not in places:
            return refused(InvalidCursor()), False
        return await self._page(places, keys[keys.index(found[1]) :], is_first=False)

    async def _page(
        self, places: Mapping[str, Sequence[Peer | None]], keys: Sequence[str], *, is_first: bool = True
    ) -> Known:
        request = self.job.command.request
        assert isinstance(request, ListDeadLetters)  # noqa: S101 - `outcome` has seen to it
        page = _Page(request.limit, self.max_frame_bytes)
        without: Outcome | None = None
        for key in keys:
            outcome = await self._of_list(places[key])
            if not _is_page(outcome):
                without = outcome if without is None or without.verdict is Verdict.REFUSED else without
            elif not page.takes(key, outcome.result or {}):
                break
        if page.engine is None:
            return without or refused(InvalidCursor()), False
        if without is not None and without.verdict is not Verdict.REFUSED:
            log.warning("a list of dead letters lacks those of a worker that did not answer")
            is_first = False
        total = page.total if is_first and page.cursor is None else None
        return Outcome(
            Verdict.DONE, result=answers.dead_letters(page.engine, page.entries, page.cursor, total)
        ), False

    async def _of_list(self, places: Sequence[Peer | None]) -> Outcome:
        """From the first process that has this list and tells."""
        for place in places:
            outcome = await self._own_page() if place is None else await self._part(place, PART_S)
            if _is_page(outcome):
                break
        return outcome

    async def _own_page(self) -> Outcome:
        command = self.job.command
        assert isinstance(command.request, ListDeadLetters)  # noqa: S101 - `outcome` has seen to it
        own = command._replace(request=own_cursor(command.request, self.key))
        return (await self.here(replace(self.job, command=own)))[0]

    async def _retry(self, task_ids: Sequence[str], workers: Sequence[Peer]) -> Known:
        outcome, again = await self.here(self.job)
        if again:
            return outcome, again
        done, errors = 0, dict[str, str]()
        if outcome.verdict is Verdict.DONE and outcome.result is not None:
            done, errors = outcome.result["retried"], dict(outcome.result["errors"])
        elif outcome.verdict is Verdict.FAILED or outcome.code in PASSED_ON:
            errors = dict.fromkeys(task_ids, answers.one_line(outcome.error, _ERROR_LENGTH))
        left, refusal = list(errors), outcome
        for peer in workers:
            if not left:
                break
            passed = await self._part(peer, only=left)
            if passed.verdict is Verdict.PASSED_ON and not passed.is_unanswered:
                still = (passed.result or {}).get("errors") if passed.is_done else errors
                still = still if isinstance(still, dict) else {}
                done += sum(task_id not in still for task_id in left)
                errors = {task_id: text for task_id, text in errors.items() if task_id in still}
                left, refusal = list(errors), passed
            elif passed.verdict is Verdict.REFUSED:
                refusal = passed
            else:  # some of them may run now
                errors = dict.fromkeys(left, answers.one_line(passed.error, _ERROR_LENGTH))
                outcome = refusal = passed
                break
        if done:
            outcome = Outcome(Verdict.DONE, result={"retried": done, "failed": len(errors), "errors": errors})
        return (refusal if not done and self.key is None else outcome), False

    async def _find(self, workers: Sequence[Peer]) -> Known:
        outcome, again = await self.here(self.job)
        for peer in workers:
            if _has_found(outcome) or outcome.verdict not in (
                Verdict.DONE,
                Verdict.PASSED_ON,
                Verdict.REFUSED,
            ):
                break
            passed = await self._part(peer, PART_S)
            if _has_found(passed) or not _is_done(outcome):
                outcome = passed
        return outcome, again

    async def _part(
        self, peer: Peer, within_s: float | None = None, *, only: Collection[str] | None = None
    ) -> Outcome:
        origin, until_s = self.job.origin, self.job.deadline_s
        assert origin is not None  # noqa: S101 - what another process has passed on is not gathered
        if within_s is not None:
            until_s = min(until_s, time.monotonic() + within_s)
        passed = await self.peers.pass_to(peer, origin.frame, origin.ids, until_s, only)
        return passed or refused(Refused("command.no_worker_here", "the process has ended"))


@dataclass(slots=True)
class _Page:
    """What a brain takes at once. `engine` is None until a list was taken."""

    limit: int
    max_frame_bytes: int
    entries: list[Mapping[str, Any]] = field(default_factory=list)
    cursor: str | None = None
    total: int = 0
    engine: str | None = None

    def takes(self, key: str, part: Mapping[str, Any]) -> bool:
        """Add the page of a list; whether the next list may follow. The first page always fits."""
        known = {entry["task_id"] for entry in self.entries}  # one Redis may have two names
        entries = [*self.entries, *(entry for entry in part["entries"] if entry["task_id"] not in known)]
        size = answers.size(answers.dead_letters(part["engine"], entries, "c" * MAX_CURSOR, None))
        is_too_much = len(entries) > self.limit or size + answers.ENVELOPE_BYTES > self.max_frame_bytes
        if self.entries and is_too_much:
            self.cursor = f"{key}:"
            return False
        self.entries, self.engine = entries, part["engine"]
        self.total += part["total"] or 0
        if part["next_cursor"] is None:
            return True
        self.cursor = f"{key}:{part['next_cursor']}"
        return False


def _is_done(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.DONE or outcome.is_done


def _is_page(outcome: Outcome) -> bool:
    """A process of another version may give something else."""
    if not _is_done(outcome) or outcome.result is None:
        return False
    try:
        answers.read_dead_letters(dict(outcome.result))
    except ProtocolError:
        return False
    return True


def _has_found(outcome: Outcome) -> bool:
    return _is_done(outcome) and (outcome.result or {}).get("engine_state", "unknown") != "unknown"
