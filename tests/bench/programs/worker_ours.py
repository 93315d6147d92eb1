"""One worker of many: says when it is online, lives until its input ends, and says what CPU that cost.

With an argument, it writes to that file which modules it has loaded by then.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent.status import State

# Longer than any start takes: a host that looked every few milliseconds would measure its own looks.
PREFLIGHT_S = 600.0


def tell_modules(path: Path) -> None:
    path.write_text("\n".join(name for name in sys.modules if name != "__main__"), encoding="utf-8")


async def main() -> None:
    async with Z4JAgent(preflight="warn", preflight_budget_s=PREFLIGHT_S, shutdown_budget_s=1) as agent:
        assert agent.status.state is State.ONLINE, agent.status
        used = resource.getrusage(resource.RUSAGE_SELF)
        said = {"worker": agent.status.worker_id, "cpu_s": used.ru_utime + used.ru_stime}
        for path in sys.argv[1:]:
            tell_modules(Path(path))
        print(json.dumps(said), flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
