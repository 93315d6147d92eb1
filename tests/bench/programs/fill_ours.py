"""Put COUNT events into the buffer file SLOT of the agent that the settings name, many at a time."""

from __future__ import annotations

import json
import sys

from z4j_fastapi.agent.events import EventEncoder
from z4j_fastapi.buffer.event_log import EventLog
from z4j_fastapi.buffer.slots import take
from z4j_probes import Settings
from z4j_probes.storage import choose, identity, private_directory

COUNT, SLOT = int(sys.argv[1]), int(sys.argv[2])
CHUNK = 10_000


def main() -> None:
    settings = Settings.load()
    name = identity(settings.brain_url or "", settings.project_id, settings.agent_name)
    slot = take(private_directory(choose(settings.home, settings.environ).path, name), SLOT)
    log = EventLog(slot.connection, slot.path)
    encoded = EventEncoder().encode(
        "task.succeeded", task_id="task", engine="arq", data={"task_name": "send_mail", "queue": "default"}
    )
    last = log.last_id + COUNT
    for first in range(log.last_id + 1, last + 1, CHUNK):
        log.move_in([(number, encoded) for number in range(first, min(first + CHUNK, last + 1))])
        log.checkpoint()
    print(json.dumps({"depth": log.depth}), flush=True)
    log.close()


main()
