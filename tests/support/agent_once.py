"""An agent that is entered once, as a service does it, and says as JSON what became of it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from z4j_fastapi.agent.agent import Z4JAgent


class Lines(logging.Handler):
    """Keeps every log line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


async def main() -> None:
    """Enter, look, leave. An argument is the budget of the first climb in seconds."""
    kept = Lines()
    logging.getLogger("z4j").addHandler(kept)
    logging.getLogger("z4j").propagate = False
    async with Z4JAgent(preflight="warn", preflight_budget_s=float(sys.argv[1])) as agent:
        status = agent.status.to_dict()
    print(json.dumps({"status": status, "log": kept.lines}))


if __name__ == "__main__":
    asyncio.run(main())
