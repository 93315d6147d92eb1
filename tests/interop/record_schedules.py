"""Record what a real brain asks of an owner of schedules: `python -m tests.interop.record_schedules`.

It starts a brain, sends two snapshots that the brain takes, has a schedule run, and writes both commands and
the frames to tests/probes/protocol/schedule_vectors.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.interop.record_commands import answer, next_command
from tests.interop.test_real_brain_facts import Session, dial
from tests.support.brain_api import BrainApi
from tests.support.real_brain import running_brain
from z4j_probes.protocol import Hello, HelloAck, parse, utc_now
from z4j_probes.protocol.schedules import RUNTIME_FEATURE, Kind, Mutation, Row, Stream, capabilities
from z4j_probes.protocol.snapshots import Publication, Snapshot, by_key

VECTORS = Path(__file__).parents[1] / "probes/protocol/schedule_vectors.json"
OWNER = "arq-cron-mail"


async def record(brain: BrainApi) -> dict[str, Any]:
    """An activation, what was sent for it and taken, and a Run now that the brain calls APPLIED."""
    agent = brain.mint()
    rows = [
        Row("nightly", "arq", "nightly", "nightly", Kind.CRON, "30 3 * * *", queue="arq:queue"),
        Row("often", "arq", "often", "send", Kind.INTERVAL, "30s", args=(1, "ü"), kwargs={"a": 1.5}),
    ]
    async with dial(brain, agent.token) as websocket:
        await websocket.send(_hello().frame())
        session = Session(websocket, HelloAck.from_frame(parse(await websocket.recv())), agent.hmac_secret)
        activation = await next_command(session)
        stream = Stream.read(activation["payload"]["parameters"])
        publication = Publication(stream, {})
        first = await _sent(session, publication, rows)
        await answer(session, activation, dict(first.receipt))
        shown = await asyncio.to_thread(brain.schedules)
        clicked = asyncio.create_task(asyncio.to_thread(brain.run_now, agent, shown[0]))
        mutation = await next_command(session)
        second = await _sent(session, publication, rows)
        asked = Mutation.read(mutation["payload"]["parameters"])
        result = asked.result(second.receipt, second.rows[asked.key], "task-1")
        await answer(session, mutation, result)
        operation = await clicked
        assert operation["status"] == "APPLIED", operation
    frames = [payload["events"][0] for snapshot in (first, second) for payload in snapshot.frames.values()]
    return {
        "activation": activation["payload"],
        "mutation": mutation["payload"],
        "result": result,
        "events": frames,
    }


async def _sent(session: Session, publication: Publication, rows: list[Row]) -> Snapshot:
    snapshot = publication.next(by_key(row.payload(OWNER) for row in rows), "recorded", utc_now())
    assert snapshot is not None
    for frame_id, payload in snapshot.frames.items():
        await session.websocket.send(session.signer.sign("event_batch", payload, frame_id))
        reply = await session.receive()
        assert reply["payload"]["accepted"] == 1, reply
        assert publication.acknowledged(reply["payload"]["acked_id"], reply["payload"]["rejected"])
    assert publication.accepted is snapshot
    return snapshot


def _hello() -> Hello:
    return Hello(
        agent_version="0.0.0",
        worker_id="recorder",
        worker_role="task",
        worker_pid=os.getpid(),
        worker_started_at=utc_now(),
        engines=("arq",),
        schedulers=(OWNER,),
        capabilities={"arq": (), OWNER: capabilities(run_now=True)},
        runtime_features=(RUNTIME_FEATURE,),
    )


def main() -> None:
    """Record, and write the file."""
    with tempfile.TemporaryDirectory() as home, running_brain(Path(home)) as process:
        brain = BrainApi(process.url)
        found = asyncio.run(record(brain))
        brain.close()
    VECTORS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
