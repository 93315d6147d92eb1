"""The routes: who may ask for what, and what is answered."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from typing import Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.status import State
from z4j_fastapi.health.doctor import ResidentDoctor
from z4j_fastapi.health.response import Receive, Response, Scope, Send, as_json, as_page, refusal
from z4j_fastapi.inventory.rows import UNACKNOWLEDGED_S
from z4j_fastapi.log import logger
from z4j_probes.threads import in_daemon_thread

log = logger("z4j.health")

Authorize = Callable[[Scope], bool | Awaitable[bool]]

# A doctor is a connection to the brain, which counts them: a page that is reloaded must not be a flood.
DOCTOR_EVERY_S = 30.0

_LOOK = ("GET", "HEAD")
_ROUTES = {
    "/live": _LOOK,
    "/ready": _LOOK,
    "/status": _LOOK,
    "/metrics": _LOOK,
    "/": _LOOK,
    "/doctor": ("POST",),
}


def health_app(
    agent: Callable[[], Z4JAgent],
    *,
    authorize: Authorize | None = None,
    doctor_every_s: float = DOCTOR_EVERY_S,
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI 3 application; asks `agent` for the agent at each request, since a lifespan makes it later."""
    return _HealthApp(agent, authorize, doctor_every_s)


class _HealthApp:
    """Never raises into its host."""

    def __init__(
        self, agent: Callable[[], Z4JAgent], authorize: Authorize | None, doctor_every_s: float
    ) -> None:
        self._agent = agent
        self._authorize = authorize
        self._doctor = ResidentDoctor(doctor_every_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a lifespan that comes along is the host's business."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] == "http":
            response = await self._answer(scope)
            await response.send(send, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope) -> Response:
        try:
            return await self._route(scope)
        except Exception:
            log.exception("a health request failed")
            return as_json(500, {"error": "internal error: see the log"})

    async def _route(self, scope: Scope) -> Response:
        path, method = _path(scope), scope["method"]
        if path not in _ROUTES:
            return as_json(404, {"error": f"no such route; valid routes: {', '.join(_ROUTES)}"})
        if method not in _ROUTES[path]:
            return as_json(405, {"error": f"{path} takes {_ROUTES[path][0]}"}, allow=", ".join(_ROUTES[path]))
        if path == "/live":
            return self._live()
        if path == "/ready":
            return self._ready()
        denied = await self._denied(scope)
        if denied is not None:
            return denied
        agent = self._present_agent()
        if agent is None:
            return as_json(503, {"error": "there is no agent in this process yet"})
        if path == "/status":
            return await self._status(agent)
        if path == "/metrics":
            return await self._metrics(agent, scope)
        if path == "/doctor":
            return await self._examine(agent, scope)
        return await self._page(agent, scope)

    def _live(self) -> Response:
        """Whether this process has its agent, whatever the brain does: that no restart brings back."""
        agent = self._present_agent()
        state, code = ("absent", "") if agent is None else (agent.status.state.value, agent.status.code)
        return as_json(
            503 if agent is None else 200, {"live": agent is not None, "state": state, "code": code}
        )

    def _ready(self) -> Response:
        agent = self._present_agent()
        if agent is None:
            return as_json(503, {"ready": False, "state": "absent", "code": ""})
        status = agent.status
        is_online = status.state is State.ONLINE and status.unacknowledged_s < UNACKNOWLEDGED_S
        ready = is_online or (
            status.state is State.DISABLED and agent.settings.is_disabled  # switched off on purpose
        )
        answer = {"ready": ready, "state": status.state.value, "code": status.code}
        return as_json(200 if ready else 503, answer)

    def _present_agent(self) -> Z4JAgent | None:
        try:
            return self._agent()
        except (AttributeError, KeyError, LookupError):  # the host has not come to it: `app.state.z4j`
            return None

    async def _denied(self, scope: Scope) -> Response | None:
        if self._authorize is None:
            return as_json(403, {"error": "closed: pass `authorize` to health_app"})
        if scope["method"] == "POST" and _header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site"):
            return as_json(403, {"error": "refused: sent from another site"})
        try:
            verdict = self._authorize(scope)
            may_enter = await verdict if inspect.isawaitable(verdict) else verdict
        except Exception as exc:
            response = refusal(exc)
            if response is None:
                raise
            return response
        return None if may_enter else as_json(403, {"error": "refused by `authorize`"})

    async def _status(self, agent: Z4JAgent) -> Response:
        description = agent.describe()

        def read() -> list[dict[str, Any]]:
            from z4j_fastapi.health.service import rows_beside

            return [row.to_dict() for row in rows_beside(description)]

        agents = await in_daemon_thread(read)
        return as_json(200, {**agent.status.to_dict(), "agents": agents})

    async def _metrics(self, agent: Z4JAgent, scope: Scope) -> Response:
        description, accept = agent.describe(), _header(scope, b"accept")

        def read() -> tuple[str, str]:
            from z4j_fastapi.health.service import exposition

            return exposition(description, accept)

        text, kind = await in_daemon_thread(read)
        return Response(200, text, kind)

    async def _examine(self, agent: Z4JAgent, scope: Scope) -> Response:
        rests_s = math.ceil(self._doctor.rests_s)
        report = await self._doctor.report(agent.settings)
        if b"text/html" in _header(scope, b"accept"):
            return Response(303, headers=(("location", "./"),))  # so that reloading does not ask again
        return as_json(200, report.to_dict(), **({"retry-after": str(rests_s)} if rests_s else {}))

    async def _page(self, agent: Z4JAgent, scope: Scope) -> Response:
        # relative, since a proxy may have cut off a part of the path that we were not told of
        path = str(scope["path"])
        action = "doctor" if path.endswith("/") else f"{path.rpartition('/')[2]}/doctor"
        status, doctor = agent.status, self._doctor

        def render() -> str:
            from z4j_fastapi.health.page import render

            return render(status, doctor.last, action=action, rests_s=doctor.rests_s)

        return as_page(await in_daemon_thread(render))


def _path(scope: Scope) -> str:
    """The path below the mount point; servers and frameworks differ in whether they cut it off."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    below = path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path
    return below.rstrip("/") or "/"


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((bytes(value) for name, value in scope["headers"] if name.lower() == wanted), b"")
