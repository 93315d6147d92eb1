"""What a command line runs, and who of a family of processes lacks an agent."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from z4j_fastapi.inventory.processes import (
    STARTING_S,
    Process,
    Program,
    find_processes,
    find_unwired,
    program_of,
)

SECRET = "z4j_a_secret_in_argv"
ARQ = Program("arq", "shop.worker.WorkerSettings")


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("/opt/app/bin/python /opt/app/bin/arq shop.worker.WorkerSettings", ARQ),
        ("python3.11 -X dev -m arq shop.worker.WorkerSettings --burst", ARQ),
        ("arq --watch src shop.worker.WorkerSettings", ARQ),
        ("taskiq worker --workers 2 shop.tasks:broker", Program("taskiq", "shop.tasks:broker")),
        ("python -m taskiq scheduler shop.tasks:scheduler", None),
        ("uvicorn --host web.example.com app.main:app --port 8000", Program("uvicorn", "app.main:app")),
        ("python -m uvicorn app.main:create_app() --factory", Program("uvicorn", "app.main:create_app()")),
        ("gunicorn -k uvicorn.workers.UvicornWorker -b 0.0.0.0:8000 app:app", Program("gunicorn", "app:app")),
        ("gunicorn:\\ master\\ [app:app]", Program("gunicorn", "app:app")),
        ("hypercorn app:app", Program("hypercorn", "app:app")),
        ("granian --interface asgi app:app", Program("granian", "app:app")),
        ("/usr/bin/python3 /usr/bin/fastapi run app/main.py", Program("fastapi", "app/main.py")),
        (f"uvicorn --header x:{SECRET} app.main:app", Program("uvicorn", "app.main:app")),
        ("uvicorn --reload app.main:app", Program("uvicorn", "app.main:app")),
        (f"uvicorn app.main:app --header x:{SECRET}", Program("uvicorn", "app.main:app")),
        ("python manage.py runserver", None),
        ("python -c print(1) arq", None),
        ("sh -c arq\\ shop.worker.WorkerSettings", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_runs_is_told_by_the_command_line(line: str, program: Program | None) -> None:
    assert program_of(shlex.split(line)) == program


def test_an_argument_that_is_no_name_is_never_shown() -> None:
    words = ["uvicorn", "--header", "authorization: Bearer abc.def", f"--env={SECRET}", "postgres://u:p@h/x"]
    assert program_of(words) == Program("uvicorn")


COMPLETE = {"Z4J_BRAIN_URL": "x", "Z4J_TOKEN": "x", "Z4J_HMAC_SECRET": "x"}


def process(pid: int, parent: int, program: Program | None, **fields: object) -> Process:
    made = Process(pid, pid, 0, parent, 60.0, program, COMPLETE, unit="", world="")
    return replace(made, **fields)  # type: ignore[arg-type]


WEB, WORK = Program("uvicorn", "app:app"), Program("arq", "app.WorkerSettings")
NUMBERS = 2**22  # beyond pid_max: no process of this machine has them


def test_a_server_is_wired_where_one_of_its_workers_is_and_named_once_where_none_is() -> None:
    family = [
        process(NUMBERS + 1, 1, WEB),
        process(NUMBERS + 2, NUMBERS + 1, WEB),
        process(NUMBERS + 3, NUMBERS + 1, WEB),
    ]
    assert [one.pid for one in find_unwired(family, set())] == [NUMBERS + 1]
    assert find_unwired(family, {NUMBERS + 3}) == []


def test_a_worker_that_a_wired_service_started_is_looked_at_by_itself() -> None:
    family = [process(NUMBERS + 1, 1, WEB), process(NUMBERS + 2, NUMBERS + 1, WORK)]
    assert [one.pid for one in find_unwired(family, {NUMBERS + 1})] == [NUMBERS + 2]
    assert [one.pid for one in find_unwired(family, {NUMBERS + 2})] == [NUMBERS + 1]


def test_what_starts_is_off_on_purpose_or_runs_something_else_is_not_named() -> None:
    young = process(NUMBERS + 1, 1, WEB, age_s=STARTING_S / 2)
    off = process(NUMBERS + 2, 1, WEB, environ={"Z4J_BRAIN_URL": "x", "Z4J_DISABLED": "TRUE"})
    other = process(NUMBERS + 3, 1, None)
    assert find_unwired([young, off, other], set()) == []


def test_the_line_to_add_is_for_what_runs_and_incomplete_settings_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def steps(one: Process) -> str:
        (found,) = find_unwired([one], set())
        return " ".join(f"{step.text} {step.command}" for step in found.steps)

    assert "@z4j_worker" in steps(process(NUMBERS, 1, WORK))
    assert "lifespan=z4j_lifespan()" in steps(process(NUMBERS, 1, WEB))
    taskiq = steps(process(NUMBERS, 1, Program("taskiq", "shop.tasks:jobs")))
    assert "jobs = jobs.with_middlewares(Z4JMiddleware())" in taskiq
    bare = process(NUMBERS, 1, WORK, environ={"Z4J_BRAIN_URL": "x"})
    assert f"doctor --pid {NUMBERS}" in steps(bare)
    assert "z4j_worker" not in steps(bare)
    monkeypatch.setattr(sys, "argv", ["/opt/app/bin/z4j-fastapi", "status"])  # as the reader started it
    assert f" /opt/app/bin/z4j-fastapi doctor --pid {NUMBERS}" in steps(bare)


@contextmanager
def sleeper(**environ: str) -> Iterator[int]:
    """A process with this environment that is called like an arq worker."""
    with subprocess.Popen(
        ["arq", "-c", "import sys; sys.stdin.read()", "shop.WorkerSettings"],
        executable=sys.executable,
        env={"PATH": os.environ["PATH"], **environ},
        stdin=subprocess.PIPE,
    ) as one:
        try:
            yield one.pid
        finally:
            one.kill()


@pytest.mark.component
def test_processes_are_found_by_their_environment() -> None:
    with ExitStack() as stack:
        wanted = stack.enter_context(sleeper(Z4J_TOKEN_FILE="/run/token", Z4J_HOME="/x"))
        other = stack.enter_context(sleeper(TOKEN="x"))
        found = {one.pid: one for one in find_processes()}
    assert other not in found
    one = found[wanted]
    assert (one.parent, one.uid, one.program) == (
        os.getpid(),
        os.geteuid(),
        Program("arq", "shop.WorkerSettings"),
    )
    assert one.environ["Z4J_HOME"] == "/x"
    assert 0 <= one.age_s < 60
