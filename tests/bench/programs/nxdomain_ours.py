"""Run the command once for each line of stdin, where a name server says NXDOMAIN; in namespaces of its own.

For each run a line of JSON: `wall_s`, and the `first_failure` of its report.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.support.dns_server import name_server
from tests.support.resolver_lab import HOSTS, NSSWITCH, arrange, bring_loopback_up

FILES = {
    "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    "/etc/hosts": HOSTS,
    "/etc/nsswitch.conf": NSSWITCH,
}


def serve(ready: threading.Event) -> None:
    async def forever() -> None:
        async with name_server({}, "127.0.0.1", 53):
            ready.set()
            await asyncio.Event().wait()

    asyncio.run(forever())


with tempfile.TemporaryDirectory() as scratch:
    arrange(FILES, Path(scratch))
    bring_loopback_up()
    ready = threading.Event()
    threading.Thread(target=serve, args=(ready,), daemon=True).start()
    ready.wait()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ["Z4J_BRAIN_URL"] = "https://brain.example"
    for _ in sys.stdin:
        started_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *sys.argv[1:]], env=environ, stdout=subprocess.PIPE, cwd=scratch
        )
        wall_s = time.perf_counter() - started_s
        said = {"wall_s": wall_s, "first_failure": json.loads(done.stdout)["first_failure"]}
        print(json.dumps(said), flush=True)
