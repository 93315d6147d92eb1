"""Peers: the other live processes of this agent on this host, and passing on to them what they can do.

A brain keeps one set of capabilities for an agent, that of its last hello, and sends a command to the session
that connected first, not to the process that can act on it. So a hello says what all live processes of the
agent can do, and a process that can't act passes the signed frame on, with the ids of its session. The one
that acts verifies it with its own secret, and its own owner's choice decides.

Processes are of one agent where a brain has given them one agent id; before that, where they have one
identity (URL, project and name).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from z4j_fastapi.commands.offer import Offer
from z4j_fastapi.commands.outcome import Outcome, Verdict, unknown
from z4j_fastapi.commands.peer_socket import MARK_LENGTH, NAME, PeerLost, PeerSocket, ask, found
from z4j_probes.errors import FrameRejected, ProtocolError
from z4j_probes.portable import processes
from z4j_probes.protocol import FrameVerifier, decode_secret
from z4j_probes.protocol.signing import NONCE_WINDOW_S
from z4j_probes.redact import Secret
from z4j_probes.threads import in_daemon_thread

ASKED_S = 0.5
"""How long a process may take to say who it is: it does so in a thread of its own."""
KNOWN_S = 1.0
"""For how long it is known which processes there are: commands come a hundred a second."""
STARTING_S = 3.0
"""How long a command waits for a worker that a brain has just welcomed and that does not know it yet."""
SILENT_S = 30.0
"""For how long one that did not is not asked again: it is stopped, or the machine is."""
MAX_NONCES = 4_096
_LOOK_AGAIN_S = 0.1

PASSED_ON = frozenset(
    {"command.no_worker_here", "command.unknown_task", "command.not_allowed", "command.unsupported"}
    | {"command.result_not_kept"}
)
"""Refusals for which another process may have no reason."""

Ids = tuple[str, str, str]
"""Agent, project and session, as hello_ack has them: part of what is signed."""
ActedOn = tuple[Outcome, bool]
"""What came of a command, and whether that is to be answered."""


class Peer(NamedTuple):
    """A process as it described itself. `said` is its last hello, at a moment of the machine's clock.

    `dead_letters` is the key of its list of dead letters (see `gather`), None where it has none.
    """

    path: Path
    agent_id: str | None
    identity: str
    offer: Offer
    said: Offer
    said_s: float
    dead_letters: str | None


class Peers:
    """Those of one process, in its agent's loop. `act` does a command that another process was sent, or the
    part of it that is about some tasks; `dead_letters` is the key of this process's own list.

    Without a `state_directory` there are none.
    """

    def __init__(
        self,
        state_directory: Path | None,
        identity: str,
        offer: Offer,
        act: Callable[[Mapping[str, Any], Collection[str] | None], Awaitable[ActedOn]],
        is_running: Callable[[str], bool],
        dead_letters: Callable[[], str | None],
    ) -> None:
        self._state_directory = state_directory
        self._identity = identity
        self._offer = offer
        self._act = act
        self._is_running = is_running
        self._dead_letters = dead_letters
        self._mark = _mark(identity, offer)
        self._socket: PeerSocket | None = None
        if state_directory is not None:
            self._socket = PeerSocket(state_directory, self._answer, mark=self._mark)
        self._agent_id: str | None = None
        self._said, self._said_s = Offer(), -math.inf
        self._starting = False
        self._known: tuple[float, list[Peer]] = (-math.inf, [])
        self._silent: dict[Path, float] = {}
        self._nonces: dict[str, float] = {}
        self.hmac_secret: Secret | None = None
        """What a frame that is passed on to this process is verified with."""

    async def run(self) -> None:
        """Answer other processes until cancelled."""
        if self._socket is not None:
            async with self._socket:
                await asyncio.Event().wait()

    async def profile(self) -> Offer:
        """What to say in a hello that is about to leave."""
        self._said = self._offer.joined([peer.offer for peer in await self._others_that_differ()])
        self._said_s = time.monotonic()
        return self._said

    async def is_all_said(self, agent_id: str) -> bool:
        """A brain has acknowledged the hello: whether the last one of this agent says what is true now."""
        self._agent_id = agent_id
        peers = await self._others_that_differ()
        true = self._offer.joined([peer.offer for peer in peers])
        if not (self._said.has_all_of(true) and true.has_all_of(self._said)):
            return False
        later = [peer for peer in peers if peer.said_s > self._said_s]
        return all(peer.said.has_all_of(self._offer) for peer in later)

    async def that_runs(self, task_id: str) -> Peer | None:
        """Which of them runs that task now."""
        peers = [peer for peer in await self._known_others() if peer.offer.engines]
        answers = await asyncio.gather(
            *(self._ask(peer.path, {"runs": task_id}) for peer in peers), return_exceptions=True
        )
        running = [
            peer
            for peer, answer in zip(peers, answers, strict=True)
            if isinstance(answer, dict) and answer.get("runs") is True
        ]
        return running[0] if running else None

    async def pass_on(
        self,
        frame: Mapping[str, Any],
        ids: Ids,
        engine: str | None,
        deadline_s: float,
        first: Peer | None = None,
    ) -> Outcome | None:
        """What came of it in the first process that acts on it; the last refusal where all refuse; None where
        there is none to ask."""
        others = await self._awaited_workers(engine, min(deadline_s, time.monotonic() + STARTING_S))
        peers = others if first is None else [first, *(peer for peer in others if peer.path != first.path)]
        refusal: Outcome | None = None
        for peer in peers:
            outcome = await self.pass_to(peer, frame, ids, deadline_s)
            if outcome is not None and outcome.verdict is not Verdict.REFUSED:
                return outcome
            refusal = outcome or refusal
        return refusal

    async def pass_to(
        self,
        peer: Peer,
        frame: Mapping[str, Any],
        ids: Ids,
        deadline_s: float,
        only: Collection[str] | None = None,
    ) -> Outcome | None:
        """What came of it in that process, or of the part of it that is about the tasks `only`; None where it
        can't be asked."""
        question: dict[str, Any] = {"command": frame, "session": list(ids)}
        if only is not None:
            question["only"] = list(only)
        try:
            answer = await ask(peer.path, question, max(0.0, deadline_s - time.monotonic()))
        except PeerLost:
            return unknown("the process that it was passed on to has ended")
        except TimeoutError:
            return Outcome(
                Verdict.LATE, "command.outcome_unknown", error="its time was over while it was done"
            )
        return None if answer is None else _outcome(answer)

    async def workers_of(self, engine: str | None) -> list[Peer]:
        """Those that have this engine, or any."""
        return [
            peer
            for peer in await self._known_others()
            if peer.offer.engines and engine in (None, *peer.offer.engines)
        ]

    async def _awaited_workers(self, engine: str | None, until_s: float) -> list[Peer]:
        """The same, but where there is none yet, those that start are waited for."""
        while True:
            workers = await self.workers_of(engine)
            if workers or not self._starting or time.monotonic() > until_s:
                return workers
            await asyncio.sleep(_LOOK_AGAIN_S)
            self._known = (-math.inf, [])

    async def _known_others(self) -> list[Peer]:
        if time.monotonic() - self._known[0] >= KNOWN_S:
            self._known = (time.monotonic(), await self._others())
        return self._known[1]

    async def _others_that_differ(self) -> list[Peer]:
        """All that a hello depends on.

        One whose name says that it offers just what this process does adds nothing to a hello, and says at
        least that in its own: of 64 equal workers that start at once, none has to ask 63 others.
        """
        return [
            p for p in await self._asked(lambda path: not _is_marked(path, self._mark)) if self._is_same(p)
        ]

    async def _others(self) -> list[Peer]:
        peers = await self._asked(lambda path: True)
        self._starting = any(peer.agent_id is None and peer.offer.engines for peer in peers)
        return [peer for peer in peers if self._is_same(peer)]

    async def _asked(self, is_wanted: Callable[[Path], bool]) -> list[Peer]:
        if self._state_directory is None or self._socket is None:
            return []
        paths, now_s = (
            await self._paths(self._state_directory, self._socket.path, is_wanted),
            time.monotonic(),
        )
        self._silent = {path: s for path, s in self._silent.items() if now_s - s < SILENT_S}
        paths = [path for path in paths if path not in self._silent]
        answers = await asyncio.gather(
            *(self._ask(path, {"who": True}) for path in paths), return_exceptions=True
        )
        peers = [
            _peer(path, answer)
            for path, answer in zip(paths, answers, strict=True)
            if isinstance(answer, dict)
        ]
        return [peer for peer in peers if peer is not None]

    @staticmethod
    async def _paths(state_directory: Path, own: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
        """In a thread: a network file system may not answer."""
        with contextlib.suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(ASKED_S):
                paths = await in_daemon_thread(lambda: found(state_directory, without=own))
                return [path for path in paths if is_wanted(path)]
        return []

    def _is_same(self, peer: Peer) -> bool:
        if self._agent_id is None:
            return peer.identity == self._identity and peer.agent_id is not None
        return peer.agent_id == self._agent_id

    async def _ask(self, path: Path, question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            return await ask(path, question, ASKED_S)
        except TimeoutError:
            self._silent[path] = time.monotonic()
        except PeerLost:
            pass
        return None

    async def _answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        if "who" in question:
            return {
                "agent_id": self._agent_id,
                "identity": self._identity,
                "offer": self._offer.to_json(),
                "said": self._said.to_json(),
                "said_s": self._said_s if math.isfinite(self._said_s) else 0.0,
                "dead_letters": self._dead_letters(),
            }
        if "runs" in question:
            task_id = question["runs"]
            return {"runs": isinstance(task_id, str) and self._is_running(task_id)}
        try:
            frame = self._genuine(question)
        except (ProtocolError, LookupError, TypeError, ValueError) as exc:
            return {"refused": "command.no_worker_here", "error": f"not a genuine command: {exc}"}
        only = question.get("only")
        if only is not None:
            only = {task_id for task_id in only if isinstance(task_id, str)} if isinstance(only, list) else ()
        outcome, is_answered = await self._act(frame, only)
        if outcome.verdict is Verdict.REFUSED and outcome.code in PASSED_ON:
            return {"refused": outcome.code, "error": outcome.error}
        done = outcome.verdict is Verdict.DONE
        return {
            "status": ("success" if done else "failed") if is_answered else None,
            "code": outcome.code,
            "result": dict(outcome.result) if done and outcome.result is not None else None,
            "error": None if done else outcome.error,
        }

    def _genuine(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The frame, once; ProtocolError where it is not what this agent's brain signed a moment ago."""
        agent_id, project_id, session_id = question["session"]
        if self.hmac_secret is None or agent_id != self._agent_id:
            raise ProtocolError("it is for another agent")
        secret = decode_secret(self.hmac_secret.reveal().strip())
        frame = FrameVerifier(secret, agent_id, project_id, session_id).verify(
            json.dumps(question["command"])
        )
        if frame["type"] != "command":
            raise ProtocolError("it is not a command")
        now_s, nonce = time.monotonic(), frame["nonce"]
        self._nonces = {known: s for known, s in self._nonces.items() if now_s - s < NONCE_WINDOW_S}
        if nonce in self._nonces or len(self._nonces) >= MAX_NONCES:
            raise FrameRejected("nonce", "the frame's nonce was used before")
        self._nonces[nonce] = now_s
        return frame


def _mark(identity: str, offer: Offer) -> str:
    """Of all processes of that identity that offer just this."""
    said = json.dumps([identity, offer.to_json()], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:MARK_LENGTH]


def _is_marked(path: Path, mark: str) -> bool:
    """Whether the socket's name has that mark, and its process lives: what a dead one left is to be found."""
    name = NAME.fullmatch(path.name)
    return name is not None and name["mark"] == mark and processes.is_there(int(name["pid"]))


def _peer(path: Path, answer: Mapping[str, Any]) -> Peer | None:
    try:
        agent_id = answer["agent_id"]
        return Peer(
            path,
            None if agent_id is None else str(agent_id),
            str(answer["identity"]),
            Offer.from_json(answer["offer"]),
            Offer.from_json(answer["said"]),
            float(answer["said_s"]),
            None if answer.get("dead_letters") is None else str(answer["dead_letters"]),
        )
    except (LookupError, TypeError, ValueError):  # of another version
        return None


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    code, error, result = str(answer.get("code") or ""), str(answer.get("error") or ""), answer.get("result")
    if "refused" in answer:
        return Outcome(Verdict.REFUSED, str(answer["refused"]), error=error)
    status = answer.get("status")
    if status == "success":
        return Outcome(Verdict.PASSED_ON, result=result if isinstance(result, dict) else None, is_done=True)
    return Outcome(Verdict.PASSED_ON, code, error=error, is_unanswered=status != "failed")
