"""Upstream's runtime as its public interface offers it, from the Z4J_* variables."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from z4j_bare import AgentRuntime
from z4j_core.models import Config, Event
from z4j_core.models.event import EventKind
from z4j_core.redaction import RedactionEngine

from z4j_fastapi import FastAPIFrameworkAdapter

RUN = os.getpid()  # to a brain a known task is less work than a new one
NOBODY = uuid.UUID(int=0)
REDACTION = RedactionEngine()


def make_runtime() -> Any:
    """A runtime that is not started yet."""
    config = Config(
        brain_url=os.environ["Z4J_BRAIN_URL"],
        token=os.environ["Z4J_TOKEN"],
        hmac_secret=os.environ["Z4J_HMAC_SECRET"],
        project_id="default",
        agent_name=os.environ["Z4J_AGENT_NAME"],
        transport="ws",
        dev_mode=True,
    )
    return AgentRuntime(config=config, framework=FastAPIFrameworkAdapter(config), engines=[])


def make_event(number: int) -> Any:
    """One event like those of our own programs; secrets are looked for when it is captured, as ours does."""
    return Event(
        id=uuid.uuid4(),
        project_id=NOBODY,
        agent_id=NOBODY,
        engine="arq",
        task_id=f"task-{RUN}-{number}",
        kind=EventKind.TASK_SUCCEEDED,
        occurred_at=datetime.now(UTC),
        data=REDACTION.scrub(
            {
                "task_name": "send_mail",
                "queue": "default",
                "args": ["someone@example.com", number],
                "runtime_ms": 12.5,
            }
        ),
    )


def wait_online(runtime: Any) -> None:
    """Return once the runtime has its session."""
    deadline_s = time.monotonic() + 30
    while runtime.supervisor_state()["session_id"] is None:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not online: {runtime.supervisor_state()}")
        time.sleep(0.005)
