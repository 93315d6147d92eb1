"""Record what a real brain sends: `python -m tests.interop.record_commands` writes the vectors of commands.

It starts a brain with its scheduler (some 30 s), asks for every action over the brain's REST interface, and
writes the frames that arrive to tests/probes/protocol/command_vectors.json. reconcile_task is not among them:
a brain asks for it after a task has been silent for 15 minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.interop.test_real_brain_facts import Session, dial, event
from tests.support.brain_api import BrainApi, Credentials
from tests.support.real_brain import running_brain
from z4j_probes.protocol import Hello, HelloAck, parse, utc_now
from z4j_probes.protocol.actions import Action, capabilities

VECTORS = Path(__file__).parents[1] / "probes/protocol/command_vectors.json"
DEPTH = 3
FIRE_BUDGET_S = 60.0
SCHEDULER = {"Z4J_EMBEDDED_SCHEDULER": "true", "Z4J_SCHEDULER_GRPC_BIND_HOST": "127.0.0.1"}


async def record(brain: BrainApi) -> dict[str, Any]:
    """Every command once, and what the confirmation of a purge was made from."""
    agent = brain.mint()
    async with dial(brain, agent.token) as websocket:
        await websocket.send(_hello().frame())
        session = Session(websocket, HelloAck.from_frame(parse(await websocket.recv())), agent.hmac_secret)
        await session.send_batch(*(event(f"t-{n}", "task.failed", queue="jobs") for n in (1, 2)))
        assert (await session.receive())["payload"]["accepted"] == 2
        frames = [await _sent(session, brain, agent, action, body) for action, body in _ASKED]
        listing = asyncio.create_task(
            asyncio.to_thread(brain.dead_letters, agent, "arq", limit="2", cursor="c")
        )
        frames.append(
            await _answered(session, {"entries": [], "next_cursor": None, "total": 0, "engine": "arq"})
        )
        await listing
        given: dict[str, Any] = {"args": [1], "kwargs": {"a": 2}, "queue": "jobs"}
        schedule_id = brain.create_schedule("send_mail", "arq", "10s", **given)
        await asyncio.to_thread(brain.trigger, agent, schedule_id)
        wanted = {Action.SUBMIT_TASK.value, Action.FIRE.value}
        async with asyncio.timeout(FIRE_BUDGET_S):
            while wanted:
                frame = await _answered(session, {"task_id": "x", "engine": "arq"})
                if frame["payload"]["action"] in wanted:
                    wanted.remove(frame["payload"]["action"])
                    frames.append(frame)
    commands = [{"id": frame["id"], "payload": frame["payload"]} for frame in frames]
    return {"hmac_secret": agent.hmac_secret, "depth": DEPTH, "commands": commands}


_TASK = {"engine": "arq", "task_id": "t-1"}
_ASKED: list[tuple[str, dict[str, Any]]] = [
    ("cancel-task", _TASK),
    ("retry-task", {**_TASK, "override_args": [2], "override_kwargs": {"a": 1}, "eta_seconds": 5}),
    ("requeue-dead-letter", _TASK),
    ("bulk-retry", {"filter": {"engine": "arq", "task_ids": ["t-1", "t-2"]}, "max": 10}),
    ("purge-queue", {"queue": "jobs", "observed_depth": DEPTH}),
    ("purge-queue", {"queue": "jobs", "force": True}),
]


async def _sent(
    session: Session, brain: BrainApi, agent: Credentials, action: str, body: dict[str, Any]
) -> dict[str, Any]:
    await asyncio.to_thread(brain.ask, agent, action, **body)
    return await _answered(session, {})


async def _answered(session: Session, result: dict[str, Any]) -> dict[str, Any]:
    frame = await next_command(session)
    await answer(session, frame, result)
    return frame


async def next_command(session: Session) -> dict[str, Any]:
    """The frame of the next command; what else the brain says is passed over."""
    frame = await session.receive()
    while frame["type"] != "command":
        frame = await session.receive()
    return frame


async def answer(session: Session, frame: dict[str, Any], result: dict[str, Any]) -> None:
    """Take the command of this frame, and say that it succeeded."""
    claim = {"delivery_claim_token": frame["payload"]["delivery_claim_token"]}
    said = {"status": "success", "result": result, "error": None, **claim}
    await session.websocket.send(session.signer.sign("command_ack", claim, frame["id"]))
    await session.websocket.send(session.signer.sign("command_result", said, frame["id"]))


def _hello() -> Hello:
    return Hello(
        agent_version="0.0.0",
        worker_id="recorder",
        worker_role="task",
        worker_pid=os.getpid(),
        worker_started_at=utc_now(),
        engines=("arq",),
        capabilities={"arq": capabilities(frozenset(Action))},
    )


def main() -> None:
    """Record, and write the file."""
    with tempfile.TemporaryDirectory() as home, running_brain(Path(home), SCHEDULER) as process:
        brain = BrainApi(process.url)
        found = asyncio.run(record(brain))
        brain.close()
    VECTORS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
