"""A machine of a test's own, as far as processes and temporary directories go: other tests have agents, too.

The script runs with a /proc in which only its own processes are, of no systemd unit, and with an empty /tmp
and /var/tmp.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.namespaces import ROOT, python_environ
from tests.support.programs import program, unavailable

_BUDGET_S = 120
_OWN = 'for place in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 none "$place" || exit 125; done; exec "$@"'
AGENT = """
import asyncio, sys
from z4j_fastapi import Z4JAgent
async def main():
    async with Z4JAgent(role=sys.argv[1], preflight_budget_s=30) as agent:
        agent.emit("task.sent", task_id="1")
        print(agent.status.state, flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


def on_own_machine(
    script: str,
    *arguments: object,
    environ: Mapping[str, str] | None = None,
    budget_s: float = _BUDGET_S,
) -> Any:
    """What the script prints last, as JSON. Skips where namespaces are not permitted."""
    command = [program("unshare"), "--mount", "--pid", "--cgroup", "--fork", "--mount-proc"]
    command += ["--propagation", "private", "sh", "-c", _OWN, "sh"]
    permitted = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if permitted.returncode != 0:
        unavailable(f"no namespaces: {permitted.stderr.strip()}")
    done = subprocess.run(
        [*command, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**python_environ(environ), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=budget_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def agent_command(role: str, *prefix: str) -> list[str]:
    """A process that has an agent with the settings of its environment until its stdin ends.

    It prints the agent's state first. `prefix` is what runs it.
    """
    return [*prefix, sys.executable, "-c", AGENT, role]
