"""Send one task to taskiq_worker.py: `python taskiq_send.py`. The worker's log shows that it ran."""

import asyncio

from taskiq_worker import broker, divide


async def main() -> None:
    await broker.startup()
    task = await divide.kiq(6, 3)
    print("sent", task.task_id)
    await broker.shutdown()


asyncio.run(main())
