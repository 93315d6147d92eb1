"""health_app: a small ASGI application to mount, which says how the agent in this process is.

    app = FastAPI(lifespan=z4j_lifespan())
    app.mount("/z4j", health_app(lambda: app.state.z4j, authorize=is_operator))

| route | answer | open to |
| --- | --- | --- |
| `GET /ready` | 200 while the agent is online, else 503; JSON with state and code | everybody |
| `GET /status` | the agent's status with its last report, as JSON | whom `authorize` lets in |
| `GET /` | the same as a page for people | whom `authorize` lets in |
| `POST /doctor` | runs the doctor in this process, as its user, with its network | whom `authorize` lets in |

Without `authorize` only `/ready` is open. It is called with the ASGI scope (headers, client, and what the
host's own middleware left there) and answers a bool, or an awaitable of one. The doctor runs in a thread of
its own, one at a time, and not more often than every `doctor_every_s` seconds; in between its last report is
given.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from z4j_fastapi.agent import Z4JAgent
from z4j_fastapi.status import AgentStatus, State
from z4j_probes import Ladder, Report, default_registry
from z4j_probes.threads import in_daemon_thread

log = logging.getLogger("z4j.health")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Authorize = Callable[[Scope], bool | Awaitable[bool]]

# A doctor is a connection to the brain, which counts them: a page that is reloaded must not be a flood.
DOCTOR_EVERY_S = 30.0

_SECURE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def health_app(
    agent: Callable[[], Z4JAgent],
    *,
    authorize: Authorize | None = None,
    doctor_every_s: float = DOCTOR_EVERY_S,
) -> HealthApp:
    """The application; `agent` is asked for the agent at each request, since a lifespan makes it later."""
    return HealthApp(agent, authorize, doctor_every_s)


class HealthApp:
    """An ASGI 3 application. Made by `health_app`; never raises into its host."""

    def __init__(
        self, agent: Callable[[], Z4JAgent], authorize: Authorize | None, doctor_every_s: float
    ) -> None:
        self._agent = agent
        self._authorize = authorize
        self._doctor_every_s = doctor_every_s
        self._running: asyncio.Task[Report] | None = None
        self._last: Report | None = None
        self._last_s = -doctor_every_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a lifespan that comes along is the host's business."""
        if scope["type"] != "http":
            return
        status, kind, body, more = await self._answer(scope)
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            *_SECURE,
            *more,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        empty = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if empty else body})

    async def _answer(self, scope: Scope) -> _Answer:
        try:
            return await self._route(scope)
        except Exception:
            log.exception("a health request failed by an error of ours; please report it")
            return _json(500, {"error": "internal error; the log says more"})

    async def _route(self, scope: Scope) -> _Answer:
        path, method = _path(scope), scope["method"]
        routes = {"/ready": "GET", "/status": "GET", "/": "GET", "/doctor": "POST"}
        if path not in routes:
            return _json(404, {"error": f"no such route; there are: {', '.join(routes)}"})
        if method not in (routes[path], "HEAD" if routes[path] == "GET" else ""):
            return _json(405, {"error": f"{path} takes {routes[path]}"}, (b"allow", routes[path].encode()))
        status = self._agent().status
        if path == "/ready":
            ready = status.state is State.ONLINE
            return _json(200 if ready else 503, {"ready": ready, "state": status.state, "code": status.code})
        if not await self._may_enter(scope):
            return _json(403, {"error": "closed: see `authorize` of health_app"})
        if path == "/doctor":
            return await self._doctor(scope)
        if path == "/status":
            return _json(200, status.to_dict())
        return _html(200, _page(status, self._last, scope))

    async def _may_enter(self, scope: Scope) -> bool:
        if self._authorize is None:
            return False
        verdict = self._authorize(scope)
        return bool(await verdict if inspect.isawaitable(verdict) else verdict)

    async def _doctor(self, scope: Scope) -> _Answer:
        if self._running is None:
            wait_s = self._last_s + self._doctor_every_s - time.monotonic()
            if self._last is not None and wait_s > 0:
                return self._reported(scope, self._last, (b"retry-after", str(int(wait_s) + 1).encode()))
            self._running = asyncio.create_task(self._run(), name="z4j doctor")
        # whoever comes meanwhile waits for the same run, and one that hangs up does not end it
        return self._reported(scope, await asyncio.shield(self._running))

    async def _run(self) -> Report:
        ladder = Ladder(default_registry(), self._agent().settings)
        try:
            self._last = await in_daemon_thread(lambda: asyncio.run(ladder.run()))
            return self._last
        finally:
            self._last_s, self._running = time.monotonic(), None

    def _reported(self, scope: Scope, report: Report, *more: tuple[bytes, bytes]) -> _Answer:
        if _wants_html(scope):
            return _html(200, _page(self._agent().status, report, scope), *more)
        return _json(200, report.to_dict(), *more)


_Answer = tuple[int, str, bytes, tuple[tuple[bytes, bytes], ...]]


def _path(scope: Scope) -> str:
    """The path below the mount point; servers and frameworks differ in whether they cut it off."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return (path.removeprefix(root) if root and path.startswith(root) else path).rstrip("/") or "/"


def _json(status: int, value: Any, *more: tuple[bytes, bytes]) -> _Answer:
    return status, "application/json", json.dumps(value).encode(), more


def _html(status: int, text: str, *more: tuple[bytes, bytes]) -> _Answer:
    return status, "text/html; charset=utf-8", text.encode(), more


def _wants_html(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _page(status: AgentStatus, doctor: Report | None, scope: Scope) -> str:
    from z4j_fastapi.reports.html import pairs, sections
    from z4j_fastapi.reports.page import document, text

    report = doctor or status.report
    facts = {
        "State": status.state,
        "Since": f"{status.since:%Y-%m-%d %H:%M:%S} UTC",
        "Reason": f"{status.code}: {status.reason}" if status.code else status.reason or "–",
        "Buffered events": status.buffered,
        "Dropped events": status.dropped,
        "Buffer": status.buffer_path or "memory",
        "Worker": status.worker_id or "–",
    }
    action = f"{scope.get('root_path', '').rstrip('/')}/doctor"
    button = f'<form method="post" action="{text(action)}"><button>Run the doctor now</button></form>'
    agent = f"<section><h2>The agent in this process</h2>{pairs(facts.items())}{button}</section>"
    return document(f"{status.state} – z4j agent", agent, *(sections(report) if report else ()))
