"""The same with upstream's runtime."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from typing import Any

from peer_runtime import make_event, make_runtime, wait_online

SECONDS = float(sys.argv[1])
TICK_S = 0.001


async def lateness_ms(runtime: Any) -> list[float]:
    loop = asyncio.get_running_loop()
    late, began_s = [], loop.time()
    for number in range(int(SECONDS / TICK_S)):
        due_s = began_s + (number + 1) * TICK_S
        await asyncio.sleep(due_s - loop.time())
        late.append(max(0.0, loop.time() - due_s) * 1e3)
        if runtime:
            runtime.record_event(make_event(number))
    return late


async def main() -> None:
    logging.disable()
    alone = await lateness_ms(None)
    runtime = make_runtime()
    runtime.start()
    wait_online(runtime)
    emitting = await lateness_ms(runtime)
    print(json.dumps({"alone": alone, "emitting": emitting}), flush=True)
    os._exit(0)  # what is undelivered would take it minutes


asyncio.run(main())
