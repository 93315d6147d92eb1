"""What an operator does with a brain, over its HTTP interface: mint agents, look at what arrived, command.

Calls block for some 20 ms each; the brain is another process, so an agent in the caller's event loop is only
held up, never deadlocked.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "Correct-Horse-7-Battery"  # of brains that live for one test session on loopback
REQUEST_TIMEOUT_S = 60.0
"""The brain handles one thing at a time: behind a batch of 500 events, all wait for seconds."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the brain shows once when an agent is minted."""

    token: str = field(repr=False)
    hmac_secret: str = field(repr=False)
    agent_id: str
    project_id: str
    name: str
    project: str


class BrainApi:
    """A brain, seen by its administrator. Logs in at the first call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = self._from_a_new_address()

    def _from_a_new_address(self) -> httpx.Client:
        """A brain lets each address do ten things a minute that concern many tasks."""
        address = ".".join(["127", *(str(1 + secrets.randbelow(250)) for _ in range(3))])
        return httpx.Client(
            base_url=f"{self.url}/api/v1",
            timeout=REQUEST_TIMEOUT_S,
            trust_env=False,
            transport=httpx.HTTPTransport(local_address=address),
        )

    def close(self) -> None:
        self._client.close()

    def mint(self, name: str | None = None, project: str = "default") -> Credentials:
        """A new agent. Names are unique in a project: tests that share a brain leave it out."""
        name = name or f"agent-{secrets.token_hex(6)}"
        minted = self._call("POST", f"/projects/{project}/agents", {"name": name})
        agent = minted["agent"]
        return Credentials(
            token=minted["token"],
            hmac_secret=minted["hmac_secret"],
            agent_id=agent["id"],
            project_id=agent["project_id"],
            name=name,
            project=project,
        )

    def revoke(self, agent: Credentials) -> None:
        """Its live sessions are closed with 4003; later ones with 4401."""
        self._call("DELETE", f"/projects/{agent.project}/agents/{agent.agent_id}")

    def agents(self, project: str = "default") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", f"/projects/{project}/agents")
        return found

    def agent(self, agent: Credentials) -> dict[str, Any]:
        """The dashboard's row of one agent: state, framework_adapter, engine_adapters, host_name …"""
        return next(row for row in self.agents(agent.project) if row["id"] == agent.agent_id)

    def workers(self, agent: Credentials) -> list[dict[str, Any]]:
        """The processes that ever connected as this agent: worker_id, role, state, pid …"""
        rows = self._call("GET", f"/projects/{agent.project}/agent-workers?limit=500")
        return [row for row in rows if row["agent_id"] == agent.agent_id]

    def engine_workers(self, agent: Credentials) -> list[dict[str, Any]]:
        """The dashboard's Workers page: engine, name …; a row comes with a worker's first own event."""
        rows = self._call("GET", f"/projects/{agent.project}/workers")
        return list(rows["items"] if isinstance(rows, dict) else rows)

    def engine_worker(self, agent: Credentials, worker_id: str) -> dict[str, Any]:
        """The page of one of them, by its row's id: metadata with stats, active, registered …"""
        row: dict[str, Any] = self._call("GET", f"/projects/{agent.project}/workers/{worker_id}")
        return row

    def queue_depths(self, project: str) -> dict[str, int]:
        """What the project's overview says of how many tasks wait in each queue."""
        stats = self._call("GET", f"/projects/{project}/stats")
        return {row["name"]: row["pending_count"] for row in stats["queue_depths"]}

    def health(self, agent: Credentials) -> list[dict[str, Any]]:
        """What an agent said of its own health, newest first."""
        rows: list[dict[str, Any]] = self._call(
            "GET", f"/projects/{agent.project}/agents/{agent.agent_id}/health"
        )
        return rows

    def tasks(self, project: str = "default", **filters: str) -> list[dict[str, Any]]:
        """All tasks, page by page; filters are the brain's own: queue, name, state, search, worker."""
        tasks: list[dict[str, Any]] = []
        parameters = {**filters, "limit": "200"}
        while True:
            page = self._call("GET", f"/projects/{project}/tasks?{httpx.QueryParams(parameters)}")
            tasks += page["items"]
            if page["next_cursor"] is None:
                return tasks
            parameters["cursor"] = page["next_cursor"]

    def purge_queue(self, agent: Credentials, queue: str = "jobs") -> str:
        """Command what any connected agent is sent, whatever its capabilities; returns the command's id."""
        return self._command(agent, "purge-queue", {"queue": queue, "force": True})

    def ask(self, agent: Credentials, action: str, **body: Any) -> str:
        """Command what the dashboard's buttons do ("retry-task", "purge-queue" …); the command's id."""
        return self._command(agent, action, body)

    def bulk_retry(self, agent: Credentials, engine: str, most: int = 100) -> str:
        """Have every failed task of an engine retried, as the dashboard does; the request's id."""
        body = {
            "idempotency_key": secrets.token_hex(8),
            "agent_id": agent.agent_id,
            "filter": {"engine": engine, "state": "failure"},
            "max": most,
        }
        request_id: str = self._call("POST", f"/projects/{agent.project}/bulk-retry-requests", body)["id"]
        return request_id

    def bulk_counts(self, agent: Credentials, request_id: str) -> dict[str, int]:
        """How far a bulk retry has come: total, pending, succeeded, failed, unknown."""
        row = self._call("GET", f"/projects/{agent.project}/bulk-retry-requests/{request_id}")
        counts: dict[str, int] = row["counts"]
        return counts

    def dead_letters(self, agent: Credentials, engine: str, **query: str) -> dict[str, Any]:
        """One page of them, which the brain asks an agent for."""
        parameters = httpx.QueryParams({"engine": engine, **query})
        page: dict[str, Any] = self._call("GET", f"/projects/{agent.project}/dead-letters?{parameters}")
        return page

    def trigger(self, agent: Credentials, schedule_id: str) -> None:
        """Run it now, as its button does."""
        self._call("POST", f"/projects/{agent.project}/schedules/{schedule_id}/trigger")

    def cancel_task(self, agent: Credentials, engine: str, task_id: str) -> str:
        """Command what only an agent is sent whose hello names `cancel_task` for this engine."""
        return self._command(agent, "cancel-task", {"engine": engine, "task_id": task_id})

    def command(self, agent: Credentials, command_id: str) -> dict[str, Any]:
        """What became of it: status (pending, dispatched, completed, failed, timeout), result, error."""
        row: dict[str, Any] = self._call("GET", f"/projects/{agent.project}/commands/{command_id}")
        return row

    def create_schedule(
        self, name: str, engine: str, every: str, project: str = "default", **body: Any
    ) -> str:
        """A schedule that the brain's own scheduler fires; returns its id. Its task has the same name."""
        body = {"name": name, "task_name": name, "engine": engine, "scheduler": "z4j-scheduler", **body}
        body |= {"kind": "interval", "expression": every}
        schedule_id: str = self._call("POST", f"/projects/{project}/schedules", body)["id"]
        return schedule_id

    def schedules(self, project: str = "default") -> list[dict[str, Any]]:
        """The Schedules page."""
        rows = self._call("GET", f"/projects/{project}/schedules?limit=200")
        return list(rows["items"] if isinstance(rows, dict) else rows)

    def run_now(self, agent: Credentials, row: Mapping[str, Any], within_s: float = 60.0) -> dict[str, Any]:
        """Run a worker's own schedule, as its button does, and wait for what becomes of it: status, error."""
        path = f"/projects/{agent.project}/schedules/native-operations"
        asked = {
            "scheduler": row["scheduler"],
            "operation": "trigger",
            "schedule_id": row["id"],
            "definition": {},
            "request_id": str(uuid.uuid4()),
            "observed_control_token": row["control_token"],
        }
        operation: dict[str, Any] = self._call("POST", path, asked)
        deadline_s = time.monotonic() + within_s
        while operation["status"] == "PENDING" and time.monotonic() < deadline_s:
            time.sleep(0.1)
            operation = self._call("GET", f"{path}/{operation['id']}")
        return operation

    def try_edit(self, agent: Credentials, row: Mapping[str, Any], action: str) -> int:
        """Press a button that changes a schedule (`disable`, `enable`); the brain's HTTP status."""
        return self._status("POST", f"/projects/{agent.project}/schedules/{row['id']}/{action}")

    def schedule(self, schedule_id: str, project: str = "default") -> dict[str, Any]:
        """The dashboard's row of a schedule: is_enabled …"""
        row: dict[str, Any] = self._call("GET", f"/projects/{project}/schedules/{schedule_id}")
        return row

    def fires(self, schedule_id: str, project: str = "default") -> list[str]:
        """What became of each time that it was due: accepted, terminal_failed …"""
        rows = self._call("GET", f"/projects/{project}/schedules/{schedule_id}/fires")
        return [row["status"] for row in (rows["items"] if isinstance(rows, dict) else rows)]

    def create_project(self, slug: str) -> str:
        """A second project; returns its UUID."""
        project_id: str = self._call("POST", "/projects", {"slug": slug, "name": slug})["id"]
        return project_id

    def archive_project(self, slug: str) -> None:
        """Its agents' live sessions are closed with 4003; later ones with 4401."""
        self._call("DELETE", f"/projects/{slug}")

    def _command(self, agent: Credentials, action: str, body: dict[str, Any]) -> str:
        body = {"agent_id": agent.agent_id, **body}
        command_id: str = self._call("POST", f"/projects/{agent.project}/commands/{action}", body)["id"]
        return command_id

    def _status(self, method: str, path: str) -> int:
        self.agents()  # logs in, with the headers that a change needs
        return self._client.request(method, path).status_code

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if "z4j_csrf" not in self._client.cookies:
            self._log_in()
        response = self._client.request(method, path, json=body)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:  # tests share this brain, and this address
            self._client.close()
            self._client = self._from_a_new_address()
            self._log_in()
            response = self._client.request(method, path, json=body)
        elif response.status_code == httpx.codes.INTERNAL_SERVER_ERROR:  # its database was busy
            response = self._client.request(method, path, json=body)
        if not response.is_success:
            raise AssertionError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def _log_in(self) -> None:
        credentials = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        self._client.post("/auth/login", json=credentials).raise_for_status()
        self._client.headers["X-CSRF-Token"] = self._client.cookies["z4j_csrf"]
