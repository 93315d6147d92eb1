"""`make dashboard`: the dashboard's pages about an arq and a taskiq worker, as a browser shows them.

A real brain, a real Redis, a worker of each kind, and headless Chromium. What the pages say is held to what
the workers have by a test.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.brain_api import ADMIN_EMAIL, ADMIN_PASSWORD, BrainApi
from tests.support.browser import LoggedIn
from tests.support.real_brain import running_brain
from tests.support.redis import running_redis
from tests.support.taskiq_worker import INTERPRETER

HERE = Path(__file__).parent / "pictures"
PAGES = {
    "workers": ("reports", "mail", "2/2"),
    "schedules": ("cron:newsletter", "30 3 * * *", "monthly", "Run"),
    "dead-letters": ("send_invoice", "ConnectionError", "Requeue"),
}
"""Each picture's page, and what is on it."""

TASKIQ_OPTIONS = ("--workers", "1", "--max-async-tasks", "8")

MAIL = """
import asyncio, os
from arq import cron
from arq.connections import RedisSettings
from z4j_fastapi.workers.arq import z4j_worker

async def send_mail(ctx, to): ...
async def send_invoice(ctx, number): raise ConnectionError("smtp.example.com did not answer")
async def import_addresses(ctx): await asyncio.sleep(300)
async def newsletter(ctx): ...
async def clean_up(ctx): ...

@z4j_worker
class WorkerSettings:
    functions = [send_mail, send_invoice, import_addresses]
    cron_jobs = [cron(newsletter, weekday="mon", hour=8, minute=0), cron(clean_up, hour=3, minute=30)]
    queue_name = "mail"
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])

async def send():
    from arq.connections import create_pool
    pool = await create_pool(WorkerSettings.redis_settings, default_queue_name="mail")
    for number in range(4):
        await pool.enqueue_job("send_mail", f"user{number}@example.com")
    for number in range(2):
        await pool.enqueue_job("send_invoice", number)
    await pool.enqueue_job("import_addresses")
"""
REPORTS = """
import os
from taskiq_redis import RedisStreamBroker
from z4j_fastapi.workers.taskiq import Z4JMiddleware

broker = RedisStreamBroker(os.environ["REDIS_URL"], queue_name="reports").with_middlewares(Z4JMiddleware())

@broker.task(task_name="render")
async def render(number): ...

@broker.task(task_name="upload")
async def upload(name): raise PermissionError("bucket reports is read-only")

@broker.task(task_name="monthly", schedule=[{"cron": "0 6 1 * *"}])
async def monthly(): ...

async def send():
    os.environ["Z4J_DISABLED"] = "1"
    await broker.startup()
    for number in range(3):
        await render.kiq(number)
    await upload.kiq("q3.pdf")
    await broker.shutdown()
"""


async def draw(directory: Path) -> dict[str, str]:
    """Write the pictures; what each page says."""
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        home = Path(made)
        (home / "mail.py").write_text(MAIL)
        (home / "reports.py").write_text(REPORTS)
        async with running_redis(home) as redis_url:
            brain = await asyncio.to_thread(_at_work, stack, home, redis_url)
            return await _seen(brain, directory)


def _at_work(stack: ExitStack, home: Path, redis_url: str) -> BrainApi:
    """A brain, and the two workers with something to do."""
    brain = BrainApi(stack.enter_context(running_brain(home / "brain")).url)
    stack.callback(brain.close)
    for name, python, arguments in (
        ("mail", sys.executable, ["arq", "mail.WorkerSettings"]),
        (
            "reports",
            str(INTERPRETER),
            ["taskiq", "worker", "reports:broker", "--workers", "1", "--max-async-tasks", "8"],
        ),
    ):
        minted = brain.mint(name)
        settings = {
            "Z4J_BRAIN_URL": brain.url,
            "Z4J_TOKEN": minted.token,
            "Z4J_HMAC_SECRET": minted.hmac_secret,
            "Z4J_AGENT_NAME": name,
            "Z4J_HOME": str(home / "z4j"),
            "REDIS_URL": redis_url,
        }
        stack.enter_context(_process(home, python, *arguments, environment=settings))
        sends = f"import asyncio, {name}; asyncio.run({name}.send())"
        environment = {**os.environ, "REDIS_URL": redis_url}
        subprocess.run([python, "-c", sends], env=environment, cwd=home, check=True)
    return brain


async def _seen(brain: BrainApi, directory: Path) -> dict[str, str]:
    said = {}
    async with LoggedIn(brain.url, ADMIN_EMAIL, ADMIN_PASSWORD) as browser:
        for page, words in PAGES.items():
            said[page] = await browser.shows(f"/projects/default/{page}", words)
            (directory / f"dashboard-{page}.png").write_bytes(await browser.picture())
    return said


@contextmanager
def _process(cwd: Path, python: str, *arguments: str, environment: Mapping[str, str]) -> Iterator[None]:
    with subprocess.Popen(
        [python, "-m", *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(draw(HERE))
