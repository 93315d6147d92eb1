"""A host with all kinds of agents: a uvicorn of four workers, an arq and a taskiq worker, and one unwired.

The arq workers run `shop.py`, which is written into a directory of their own, and so are the others: what a
person sees of a command line is then of a shop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import cli
from tests.support.own_machine import on_own_machine
from tests.support.programs import unavailable
from tests.support.redis import running_redis
from tests.support.taskiq_worker import INTERPRETER
from z4j_fastapi.devbrain import DevBrain

ROOT = Path(__file__).parents[2]
SOURCES = {
    "web.py": """
from fastapi import FastAPI
from z4j_fastapi import z4j_lifespan
app = FastAPI(lifespan=z4j_lifespan())
""",
    "mail.py": """
import os
from arq.connections import RedisSettings
from z4j_fastapi.workers.arq import z4j_worker
async def send(ctx): pass
redis = RedisSettings.from_dsn(os.environ["REDIS_URL"])
class Unwired:
    functions, queue_name, redis_settings = [send], "unwired", redis
@z4j_worker
class WorkerSettings:
    functions, queue_name, redis_settings = [send], "mail", redis
""",
    "stock.py": """
import os
from taskiq_redis import RedisStreamBroker
from z4j_fastapi.workers.taskiq import Z4JMiddleware
broker = RedisStreamBroker(os.environ["REDIS_URL"], xread_block=200).with_middlewares(Z4JMiddleware())
""",
}
UVICORN_WORKERS = 4


# Processes of a machine that has just come up have numbers of few digits, which looks like none.
_LOOK = """
import sys
from pathlib import Path
from tests.support.busy_host import look
Path("/proc/sys/kernel/ns_last_pid").write_text("4700")
look(Path(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True)
class BusyHost:
    """What runs: the brain, what a person's shell has set, and the processes by what they are."""

    brain: DevBrain
    environ: Mapping[str, str]
    processes: Mapping[str, asyncio.subprocess.Process]


@asynccontextmanager
async def busy_host(directory: Path) -> AsyncIterator[BusyHost]:
    """Until the block is left. All agents are online, and the unwired worker is old enough to be named."""
    shop = directory / "shop"
    shop.mkdir(parents=True)  # a machine of its own may have an empty directory for temporary files
    (shop / "__init__.py").touch()
    for name, source in SOURCES.items():
        (shop / name).write_text(source)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(running_redis(directory))
        brain = await stack.enter_async_context(DevBrain())
        plain = {"HOME": str(directory), "PATH": os.environ["PATH"], "REDIS_URL": redis, "LANG": "C.UTF-8"}
        # what PYTHONPATH finds for this interpreter is not for the other one
        plain |= {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "probes", directory)))}
        started: dict[str, asyncio.subprocess.Process] = {}

        async def start(name: str, agent: str, python: str, *command: str) -> None:
            settings = brain.environment(brain.mint(agent)) | {"Z4J_HOME": str(directory / "z4j")}
            log = stack.enter_context((directory / f"{name}.log").open("wb"))
            process = await asyncio.create_subprocess_exec(
                python, "-m", *command, cwd=directory, env=plain | settings, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            started[name] = process
            stack.push_async_callback(_end, process)

        await start("unwired", "mail-2", sys.executable, "arq", "shop.mail.Unwired")
        unwired_s = asyncio.get_running_loop().time()
        workers = str(UVICORN_WORKERS)
        await start(
            "web", "web", sys.executable, "uvicorn", "shop.web:app", "--port", "0", "--workers", workers
        )
        await start("arq", "mail", sys.executable, "arq", "shop.mail.WorkerSettings")
        await start(
            "taskiq", "stock", str(INTERPRETER), "taskiq", "worker", "--workers", "1", "shop.stock:broker"
        )
        await brain.wait_for_workers(UVICORN_WORKERS + 2, timeout_s=60)
        await asyncio.sleep(max(0.0, unwired_s + 11 - asyncio.get_running_loop().time()))
        yield BusyHost(brain, plain | {"Z4J_HOME": str(directory / "z4j")}, started)


def seen(directory: Path) -> dict[str, Any]:
    """What `status` says on such a host: its `document`, what a `terminal` shows, and the host's `pids`."""
    if not INTERPRETER.exists():
        unavailable("taskiq-redis is not installed: run `make taskiq`")
    found: dict[str, Any] = on_own_machine(_LOOK, directory, budget_s=180)
    return found


def look(directory: Path) -> None:
    """In the process that `seen` starts: print it."""

    async def main() -> None:
        async with busy_host(directory) as host:
            done = await asyncio.to_thread(cli.run, "status", "--json", home=directory, env=host.environ)
            colors = {**host.environ, "COLORTERM": "truecolor"}
            _, terminal = await asyncio.to_thread(
                cli.on_terminal, "status", home=directory, columns=80, env=colors
            )
        pids = {name: process.pid for name, process in host.processes.items()}
        said = {"document": json.loads(done.stdout), "terminal": terminal.decode(), "pids": pids}
        print(json.dumps(said))

    asyncio.run(main())


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it, and its children, which are of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
