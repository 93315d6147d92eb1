"""The brain itself: a listening socket, its sessions, and the levers and gauges that a test holds."""

from __future__ import annotations

import logging
import math
import ssl
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from z4j_fastapi.devbrain.accounts import Credentials
from z4j_fastapi.devbrain.misbehaviour import Close, Misbehaviour
from z4j_fastapi.devbrain.observations import WAIT_TIMEOUT_S, Command, Observations
from z4j_fastapi.devbrain.session import AgentSession, BrainState, Limits
from z4j_probes.protocol import CloseCode, timestamp, utc_now
from z4j_probes.protocol.actions import Action
from z4j_probes.protocol.answers import read_dead_letters
from z4j_probes.protocol.asking import confirm_token, target_and_parameters
from z4j_probes.protocol.commands import LONGEST_TIMEOUT_S, SHORTEST_TIMEOUT_S
from z4j_probes.protocol.schedules import MUTATE

CLOSE_TIMEOUT_S = 1.0
"""A peer that does not answer a close frame is on loopback and stuck: no reason to wait long for it."""

_handshakes = logging.getLogger(f"{__name__}.handshakes")
_handshakes.setLevel(logging.INFO)  # below that it shows headers, and a token is in them


class DevBrain:
    """A brain on a loopback socket. `stop` and `start` again keep the port, the tokens and what was seen.

    With `port` 0 the system chooses one at the first start. `path_prefix` ("/z4j") stands before every
    path, as behind a reverse proxy.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path_prefix: str = "",
        ssl_context: ssl.SSLContext | None = None,
        misbehaviour: Misbehaviour | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._prefix = path_prefix.rstrip("/")
        self._ssl_context = ssl_context
        self._state = BrainState(limits or Limits(), misbehaviour or Misbehaviour())
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        if self._server is not None:
            raise RuntimeError("this brain is already running")
        self._server = await serve(
            self._handle,
            self._host,
            self._port,
            ssl=self._ssl_context,
            process_request=self._answer_http,
            compression=None,  # loopback: it would cost time and save nothing
            max_size=self._state.limits.max_frame_bytes,
            close_timeout=CLOSE_TIMEOUT_S,
            logger=_handshakes,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Close every connection with 1001 and stop listening; does nothing when stopped."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()

    @property
    def port(self) -> int:
        """The port that it listens on, or did."""
        return self._port

    @property
    def url(self) -> str:
        """What goes into `Z4J_BRAIN_URL`."""
        scheme = "http" if self._ssl_context is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}{self._prefix}"

    @property
    def seen(self) -> Observations:
        """Everything that has arrived so far."""
        return self._state.seen

    @property
    def online_workers(self) -> tuple[str | None, ...]:
        """Worker ids of the sessions that are live now; None for one that named none."""
        return tuple(worker_id for _, worker_id in self._state.online)

    @property
    def queue_depths(self) -> dict[str, dict[str, int]]:
        """How many tasks wait, by engine and queue: what heartbeats said last."""
        return self._state.seen.queue_depths

    @property
    def worker_details(self) -> dict[str, dict[str, Any]]:
        """What each worker said last of itself, by its worker id: `stats`, `active`, `registered` …"""
        return self._state.seen.worker_details

    @property
    def misbehaviour(self) -> Misbehaviour:
        """What it does wrong; assign another to change its ways while it runs."""
        return self._state.misbehaviour

    @misbehaviour.setter
    def misbehaviour(self, misbehaviour: Misbehaviour) -> None:
        self._state.misbehaviour = misbehaviour

    def mint(self, agent_name: str, project: str = "default") -> Credentials:
        """Make an agent in a project, and the project too if need be."""
        return self._state.accounts.mint(agent_name, project)

    def environment(self, credentials: Credentials) -> dict[str, str]:
        """The `Z4J_*` variables with which a process becomes this agent."""
        return {
            "Z4J_BRAIN_URL": self.url,
            "Z4J_TOKEN": credentials.token,
            "Z4J_HMAC_SECRET": credentials.hmac_secret,
            "Z4J_PROJECT_ID": credentials.project,
            "Z4J_AGENT_NAME": credentials.agent_name,
        }

    async def revoke(self, token: str) -> None:
        """Make a token worthless, and end the sessions that were opened with it."""
        agent = self._state.accounts.revoke(token)
        for session in [live for live in self._state.online.values() if live.agent == agent]:
            await session.close(Close(CloseCode.REVOKED, "token revoked"))

    def drop_connections(self) -> None:
        """Cut every TCP stream without a close frame, as a crash or a dead load balancer does."""
        if self._server is not None:
            for connection in self._server.connections:
                connection.transport.abort()

    async def send_command(
        self,
        action: str,
        *,
        target: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout_seconds: int = 60,
        worker_id: str | None = None,
    ) -> Command:
        """Send a command to one online worker, the newest unless named; LookupError if there is none.

        The Command that is returned fills in as replies arrive; `wait_for_result` waits for its end.
        """
        command = Command.of(action, target or {}, parameters or {}, timeout_seconds)
        session = self._live_session(worker_id)
        self.seen.commands[command.id] = command
        await session.send("command", command.payload, command.id)
        return command

    async def send_again(self, command: Command, *, worker_id: str | None = None) -> None:
        """Deliver a command once more, as a brain does that has heard no answer. LookupError as above."""
        await self._live_session(worker_id).send("command", command.payload, command.id)

    async def command(
        self,
        action: str,
        /,
        *,
        engine: str | None = None,
        worker_id: str | None = None,
        timeout_s: float = WAIT_TIMEOUT_S,
        **asked: Any,
    ) -> Mapping[str, Any]:
        """Ask a worker for something as a person does on a dashboard, and wait for its answer.

            result = await brain.command("cancel_task", task_id="1")
            assert result["status"] == "success"

        `asked` is what the action takes: `task_id=`, `task_ids=`, `task_name=`, `queue=` with
        `observed_depth=`, `worker_name=` … `engine` is the first that the worker's hello names. TimeoutError
        where it stays unanswered.
        """
        session = self._live_session(worker_id)
        engine = engine or next(iter(session.engines), "")
        observed_depth = asked.pop("observed_depth", None)
        if action == Action.PURGE_QUEUE and observed_depth is not None:
            secret = self._state.accounts.project_secret(session.agent.project_id)
            asked["confirm_token"] = confirm_token(secret, asked["queue"], observed_depth)
        if action == Action.FIRE:
            fired_at = timestamp(utc_now())
            fire = {"fire_id": str(uuid.uuid4()), "schedule_id": str(uuid.uuid4())}
            asked = {**fire, "scheduled_for": fired_at, "fired_at": fired_at, **asked}
        if action == Action.SUBMIT_TASK and "task_name" in asked:
            asked["name"] = asked.pop("task_name")
        target, parameters = target_and_parameters(action, engine, **asked)
        seconds = max(SHORTEST_TIMEOUT_S, min(LONGEST_TIMEOUT_S, math.ceil(timeout_s)))
        command = await self.send_command(
            action, target=target, parameters=parameters, timeout_seconds=seconds, worker_id=worker_id
        )
        return await self.wait_for_result(command, timeout_s=timeout_s)

    @property
    def schedules(self) -> dict[str, Mapping[str, Any]]:
        """What the Schedules page shows of the workers' own schedules: rows by name."""
        return self._state.schedules.rows

    async def wait_for_schedules(self, *names: str, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until the page shows exactly these."""
        what = f"schedules {', '.join(names)}"
        await self.seen.until(lambda: self.schedules.keys() == set(names), what, timeout_s=timeout_s)

    async def run_schedule(self, name: str, *, timeout_s: float = WAIT_TIMEOUT_S) -> Mapping[str, Any]:
        """Run one of them now, as its button does; the answer, once the page agrees with it.

        LookupError where the page does not show it, or its worker is not online.
        """
        owner, asked = self._state.schedules.trigger(name)
        target = {"type": "scheduler", "id": asked["owner"], "scheduler": asked["owner"]}
        command = await self.send_command(
            MUTATE,
            target=target,
            parameters=asked,
            timeout_seconds=max(SHORTEST_TIMEOUT_S, math.ceil(timeout_s)),
            worker_id=owner.worker_id,
        )
        answer = await self.wait_for_result(command, timeout_s=timeout_s)
        if answer["status"] == "success" and not self._state.schedules.confirms(
            owner, asked, answer["result"]
        ):
            raise LookupError("the answer does not agree with the snapshot before it")
        return answer

    async def dead_letters(
        self,
        *,
        queue: str | None = None,
        limit: int = 100,
        engine: str | None = None,
        worker_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """All dead letters, page by page, each read as strictly as a brain reads it.

        ProtocolError where a page is not as a brain expects it, LookupError with the worker's words where it
        has none to give.
        """
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            where: dict[str, Any] = {"queue": queue, "limit": limit, "cursor": cursor}
            answer = await self.command(Action.LIST_DEAD_LETTERS, engine=engine, worker_id=worker_id, **where)
            if answer["status"] != "success":
                raise LookupError(answer["error"])
            found += read_dead_letters(answer["result"])
            cursor = answer["result"]["next_cursor"]
            if cursor is None:
                return found

    async def send_error(
        self, code: str, message: str, *, fatal: bool = False, worker_id: str | None = None
    ) -> None:
        """Send an `error` frame to one online worker, the newest unless named."""
        await self._live_session(worker_id).send("error", {"code": code, "message": message, "fatal": fatal})

    async def wait_for_result(
        self, command: Command, *, timeout_s: float = WAIT_TIMEOUT_S
    ) -> Mapping[str, Any]:
        """The payload of the command's result, once it is there."""
        what = f"a result for the command {command.action}"
        await self.seen.until(lambda: command.result is not None, what, timeout_s=timeout_s)
        assert command.result is not None  # noqa: S101 - what was waited for
        return command.result

    async def wait_for_events(self, count: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until so many distinct events have arrived in all."""
        await self.seen.until(lambda: len(self.seen.events) >= count, f"{count} events", timeout_s=timeout_s)

    async def wait_for_workers(self, count: int, *, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until exactly so many workers are online."""
        what = f"{count} workers online"
        await self.seen.until(lambda: len(self.online_workers) == count, what, timeout_s=timeout_s)

    async def _handle(self, websocket: ServerConnection) -> None:
        await AgentSession(self._state, websocket).run()

    def _answer_http(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets the upgrade to WebSocket go on."""
        path = request.path.partition("?")[0]
        if path == f"{self._prefix}/ws/agent":
            return None
        if path == f"{self._prefix}/api/v1/health":
            response = connection.respond(200, '{"status":"ok"}')
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
            return response
        return connection.respond(404, "Not Found\n")

    def _live_session(self, worker_id: str | None) -> AgentSession:
        sessions = list(self._state.online.values())
        if worker_id is not None:
            sessions = [session for session in sessions if session.worker_id == worker_id]
        if not sessions:
            raise LookupError("no such worker is online")
        return sessions[-1]
