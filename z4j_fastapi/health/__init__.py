"""health_app: a small ASGI application to mount, which says how the agent in this process is.

    app = FastAPI(lifespan=z4j_lifespan())
    app.mount("/z4j", health_app(lambda: app.state.z4j, authorize=is_operator))

| route | answer | open to |
| --- | --- | --- |
| `GET /live` | 200 while the agent runs in this process, also while the brain is down | everyone |
| `GET /ready` | 200 while the agent is online, else 503; JSON with state and code | everyone |
| `GET /status` | the agent's status with its last report, as JSON, and `agents` | whom `authorize` lets in |
| `GET /metrics` | all agents of this service on this host, for Prometheus | whom `authorize` lets in |
| `GET /` | the same as a page for people, with a button for the doctor | whom `authorize` lets in |
| `POST /doctor` | runs the doctor in this process, as its user, with its network | whom `authorize` lets in |

`agents` are all agents of this service on this host: a server with several workers has one in each.

Without `authorize` only `/live` and `/ready` are open. It is called with the ASGI scope (headers, client, and
what the host's own middleware left there) and answers a bool, or an awaitable of one:

    def is_operator(scope):
        return scope["client"][0] in ("127.0.0.1", "::1")

    async def is_operator(scope):
        user = await current_user(Request(scope))
        return user.is_admin

An HTTPException that it raises (of Starlette, FastAPI, or anything else with a `status_code`) is answered as
such, so that a 401 with `WWW-Authenticate` makes a browser ask for a password.

The doctor runs in a thread of its own, one at a time, and not more often than every `doctor_every_s` seconds;
in between its last report is given, with `Retry-After`. Browsers are refused where another site sends them.

An agent that was switched off on purpose (`Z4J_DISABLED`) is live and ready: there is nothing to wait for.
As a Kubernetes readiness probe `/ready` takes a service out of traffic while its brain is away, which few
services want: it is meant for monitoring, and `/live` for startup and liveness probes.
"""

from z4j_fastapi.health.app import DOCTOR_EVERY_S, Authorize, health_app

__all__ = ["DOCTOR_EVERY_S", "Authorize", "health_app"]
