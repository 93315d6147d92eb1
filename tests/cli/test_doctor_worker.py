"""`doctor --worker`: what is wrong with a worker, by each of its codes, with a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from arq.connections import RedisSettings, create_pool
from redis.asyncio import Redis

from tests.support import fork_server
from tests.support.certificates import authority, issue, server_context
from tests.support.cli import PATIENCE_S
from tests.support.redis import running_redis
from z4j_fastapi.cli.options import Options, check
from z4j_fastapi.schedules.memory import ScheduleMemory, text_of
from z4j_probes.protocol.schedules import Kind, Row
from z4j_probes.protocol.snapshots import by_key
from z4j_probes.storage import identity

pytestmark = pytest.mark.component

ARQ = """
import os
from arq import cron
from arq.connections import RedisSettings
from z4j_fastapi.workers.arq import z4j_worker

print("noise on stdout")

async def send_mail(ctx): ...

@z4j_worker
class WorkerSettings:
    functions = [send_mail]
    cron_jobs = [cron(send_mail, hour=3)]
    queue_name = "mail"
    allow_abort_jobs = True
    redis_settings = RedisSettings.from_dsn(os.environ["TEST_REDIS"])

class Bare(WorkerSettings):
    z4j_worker = None

@z4j_worker
class NoAbort(WorkerSettings):
    allow_abort_jobs = False

settings = z4j_worker({"functions": [send_mail], "allow_abort_jobs": True, "queue_name": "mail",
                       "redis_settings": WorkerSettings.redis_settings})
number = 7
"""
TASKIQ = """
from taskiq import InMemoryBroker
from z4j_fastapi.workers.taskiq import Z4JMiddleware

broker = InMemoryBroker().with_middlewares(Z4JMiddleware())
bare = InMemoryBroker()

@broker.task(task_name="send_mail")
async def send_mail(): ...
"""
SLOW = "import time\ntime.sleep(3600)\n"
RUDE = "import os, sys\nsys.stderr.write('hunter2')\nos._exit(9)\n"
RAISES = "raise ValueError('hunter2')\n"


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


class Doctor:
    """Runs it beside a module `wk`, and gives the row about the worker."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def says(self, target: str, source: str, redis: str = "redis://127.0.0.1:1", *options: str) -> Any:
        (self._directory / "wk.py").write_text(source)
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "TEST_REDIS": redis,
            "Z4J_HOME": str(self._directory / "z4j"),
            "Z4J_AGENT_NAME": "mail",
            "Z4J_BRAIN_URL": "http://127.0.0.1:1",
            "Z4J_TOKEN": "Zk3vQ9xT7bLw2nRj5cHs8dYf1gMp4aUe6iVo0tXq",
            "Z4J_HMAC_SECRET": "A" * 43,
        }
        done = await asyncio.to_thread(
            fork_server.run,
            "z4j_fastapi",
            *("doctor", "--offline", "--json", "--worker", target, *options),
            environ=environ,
            directory=self._directory,
            timeout_s=PATIENCE_S,
        )
        assert "hunter2" not in done.stdout + done.stderr
        row = json.loads(done.stdout)["probes"][-1]
        assert row["name"] == "worker"
        return row


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


async def test_a_worker_that_is_well(doctor: Doctor, redis_url: str) -> None:
    counts = {
        "wk:WorkerSettings": "2 functions",
        "wk:settings": "1 function",
        "wk.WorkerSettings": "2 functions",
    }
    for target, count in counts.items():
        row = await doctor.says(target, ARQ, redis_url)
        assert (row["code"], row["status"]) == ("worker.ok", "pass"), row
        assert row["details"]["queue"] == "mail"
        assert row["message"] == f"{count}, queue mail, Redis answers"
    row = await doctor.says("wk:broker", TASKIQ)
    assert (row["code"], row["details"]["functions"]) == ("worker.ok", ["send_mail"])
    assert row["message"] == "1 task, in memory"


@pytest.mark.parametrize(
    ("target", "source", "hint"),
    [("wk:Bare", ARQ, "Add @z4j_worker"), ("wk:bare", TASKIQ, "Add Z4JMiddleware")],
)
async def test_a_worker_without_an_agent(doctor: Doctor, target: str, source: str, hint: str) -> None:
    row = await doctor.says(target, source)
    assert (row["code"], row["status"]) == ("worker.not_wired", "fail")
    assert hint in row["hint"]
    assert len(row["steps"]) == 1


@pytest.mark.parametrize(
    ("target", "source", "said"),
    [
        ("wk:Missing", ARQ, "AttributeError"),
        ("nowhere:WorkerSettings", ARQ, "ModuleNotFoundError: No module named 'nowhere'"),
        ("wk:number", ARQ, "neither arq settings nor a taskiq broker"),
        ("wk:x", RAISES, "raised ValueError at wk.py:1"),
        ("wk:x", RUDE, "ended the process with status 9"),
        ("wk:x", "def (", "SyntaxError"),
        ("wk:x", "import os; os.environ['MY_DSN']", "KeyError: 'MY_DSN' at wk.py:1"),
    ],
)
async def test_a_worker_that_can_not_be_imported(doctor: Doctor, target: str, source: str, said: str) -> None:
    row = await doctor.says(target, source)
    assert (row["code"], row["status"]) == ("worker.import_failed", "fail")
    assert said in row["message"]
    assert ("Name what the worker is started with" in row["hint"]) is (target == "wk:number")
    assert ("-c 'import wk'" in row["hint"]) is (" at wk.py:1" in row["message"])


@pytest.mark.parametrize("target", ["", "wk", "wk:", ":x", "../wk:x", "wk:x; ls"])
def test_a_name_that_can_be_no_worker_is_a_usage_error(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        check(Options(worker=target))
    assert f"invalid value {target!r} for --worker (expected MODULE:NAME)" in capsys.readouterr().err


async def test_the_worker_has_the_variables_of_the_env_file(
    doctor: Doctor, tmp_path: Path, redis_url: str
) -> None:
    file = tmp_path / "service.env"
    file.write_text(f"TEST_REDIS={redis_url}\n")
    row = await doctor.says("wk:WorkerSettings", ARQ, "redis://127.0.0.1:1", "--env-file", str(file))
    assert row["code"] == "worker.ok", row


async def test_a_function_that_makes_taskiqs_broker_is_called(doctor: Doctor) -> None:
    made = TASKIQ + "\ndef make(): return broker\ndef fail(): raise ValueError('hunter2')\n"
    row = await doctor.says("wk:make", made)
    assert (row["code"], row["details"]["functions"]) == ("worker.ok", ["send_mail"])
    assert "raised ValueError at wk.py" in (await doctor.says("wk:fail", made))["message"]


async def test_a_module_that_never_ends_is_given_up(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from z4j_fastapi.cli import worker
    from z4j_probes import Settings

    (tmp_path / "wk.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    row = await asyncio.to_thread(
        worker.examine, "wk:x", Settings(), "", sys.executable, 0.5, within_s=1.0432
    )
    assert (row.code, row.message) == ("worker.import_failed", "importing wk:x did not end within 1 s")
    assert "Move what waits" in row.hint


@pytest.mark.parametrize(("target", "source"), [("wk:x", RAISES), ("wk:missing", TASKIQ)])
async def test_a_service_that_is_named_already_is_not_asked_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, source: str
) -> None:
    from z4j_fastapi.cli import worker
    from z4j_probes import Settings

    (tmp_path / "wk.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    row = await asyncio.to_thread(
        worker.examine, target, Settings(), "", sys.executable, None, is_service=True
    )
    assert row.code == "worker.import_failed"
    assert row.hint
    assert "--pid" not in row.hint


@pytest.mark.parametrize(
    ("redis", "said"),
    [
        ("redis://127.0.0.1:1", "can't reach Redis at 127.0.0.1:1: connection refused"),
        ("redis://nowhere.invalid:6379", "can't reach Redis at nowhere.invalid:6379: "),
    ],
)
async def test_a_redis_that_is_not_there(doctor: Doctor, redis: str, said: str) -> None:
    row = await doctor.says("wk:WorkerSettings", ARQ, redis)
    assert (row["code"], row["status"]) == ("worker.redis_unreachable", "fail")
    assert row["message"].startswith(said)


async def test_a_redis_that_wants_another_password(doctor: Doctor, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.config_set("requirepass", "right")
    row = await doctor.says("wk:WorkerSettings", ARQ, redis_url.replace("//", "//:hunter2@"))
    assert row["code"] == "worker.redis_unreachable"
    assert row["message"].endswith("password rejected, or required")


async def test_a_redis_that_says_nothing_or_is_not_one(doctor: Doctor) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        row = await doctor.says("wk:WorkerSettings", ARQ, f"redis://127.0.0.1:{port}", "--timeout", "1")
    assert row["code"] == "worker.redis_unreachable"
    assert row["message"].endswith("no answer within 1 s")


async def test_sentinels_that_do_not_answer(doctor: Doctor) -> None:
    settings = "RedisSettings(host=[('127.0.0.1', 1)], sentinel=True)"
    source = f"{ARQ}\n@z4j_worker\nclass Found(WorkerSettings):\n    redis_settings = {settings}\n"
    row = await doctor.says("wk:Found", source)
    assert row["message"] == "can't reach Redis at 127.0.0.1:1: no sentinel names a server that answers"


async def test_a_redis_whose_certificate_is_not_trusted(doctor: Doctor) -> None:
    context = server_context(issue(authority("Test CA"), "localhost"))

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        row = await doctor.says("wk:WorkerSettings", ARQ, f"rediss://localhost:{port}")
    assert "certificate not trusted" in row["message"]


async def test_jobs_that_wait_where_no_worker_looks(doctor: Doctor, redis_url: str) -> None:
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    await pool.enqueue_job("send_mail", _queue_name="male")
    await pool.enqueue_job("another_service", _queue_name="other")
    row = await doctor.says("wk:WorkerSettings", ARQ, redis_url)
    assert (row["code"], row["status"]) == ("worker.queue_mismatch", "fail")
    assert row["message"] == "jobs of send_mail wait in male, and this worker reads mail"
    # where a worker reads that queue, it is another worker's
    await pool.set("male:health-check", b"x")
    row = await doctor.says("wk:WorkerSettings", ARQ, redis_url)
    assert row["code"] == "worker.ok"
    await pool.aclose()


async def test_a_worker_that_does_not_allow_aborts(doctor: Doctor, redis_url: str) -> None:
    row = await doctor.says("wk:NoAbort", ARQ, redis_url)
    assert (row["code"], row["status"]) == ("worker.abort_off", "warn")


async def test_an_owner_that_another_service_of_this_host_has(
    doctor: Doctor, tmp_path: Path, redis_url: str
) -> None:
    directory = tmp_path / "z4j" / identity("http://127.0.0.1:1", "default", "mail")
    directory.mkdir(parents=True, mode=0o700)
    rows = by_key([Row("nightly", "arq", "nightly", "n", Kind.CRON, "* * * * *", queue="bills").payload("x")])
    with ScheduleMemory(directory) as memory:
        memory.keep("arq-cron-mail", "s-1", text_of(rows))
    row = await doctor.says("wk:WorkerSettings", ARQ, redis_url)
    assert (row["code"], row["status"]) == ("worker.owner_taken", "fail")
    assert "bills" in row["message"]
