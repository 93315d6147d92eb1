"""A host that gevent has monkey-patched, and what its agent says as JSON; an argument says how."""

from __future__ import annotations

import json
import sys

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all(**json.loads(sys.argv[1]))

import asyncio  # noqa: E402
import logging  # noqa: E402

from z4j_fastapi import Z4JAgent  # noqa: E402


async def main() -> None:
    """Enter, look, leave."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    async with Z4JAgent(preflight="warn") as agent:
        answer = {
            "reason": agent.status.reason,
            "state": agent.status.state,
            "kept": agent.emit("x", task_id="1"),
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    asyncio.run(main())
