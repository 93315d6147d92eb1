"""A green doctor against a dev brain of this very system: what a workflow runs on macOS and Windows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile

from z4j_fastapi import Z4JAgent
from z4j_fastapi.devbrain import DevBrain
from z4j_probes.portable import loop


async def main() -> None:
    async with DevBrain() as brain:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            settings = {**brain.environment(brain.mint("web")), "Z4J_HOME": os.path.join(home, "z4j")}
            doctor = [sys.executable, "-m", "z4j_fastapi", "doctor", "--verbose"]
            done = await asyncio.to_thread(
                subprocess.run, doctor, env={**os.environ, **settings}, check=False
            )
            assert done.returncode == 0
            os.environ.update(settings)
            async with Z4JAgent(preflight="strict") as agent:
                kept = [agent.emit("task.received", task_id=str(n), task_name="t") for n in range(200)]
            assert all(kept)
            await brain.seen.until(lambda: len(brain.seen.events) == 200, "200 events")
    print("doctor green, 200 of 200 events delivered")


if __name__ == "__main__":
    loop.run(main())
