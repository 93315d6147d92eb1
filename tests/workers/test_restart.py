"""A worker ends itself only where something shows that starts it again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from z4j_fastapi.workers.engine import Refused
from z4j_fastapi.workers.restart import restart_this_process, what_restarts

VARIABLES = ("SYSTEMD_EXEC_PID", "SUPERVISOR_ENABLED", "KUBERNETES_SERVICE_HOST")


@pytest.fixture(autouse=True)
def _no_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def terminated() -> AsyncIterator[asyncio.Event]:
    """Set when this process gets SIGTERM, which it survives meanwhile."""
    before, event = signal.getsignal(signal.SIGTERM), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, event.set)
    try:
        yield event
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


def systemctl_says(restart: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = directory / "systemctl"
    program.write_text(f"#!/bin/sh\necho {restart}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        pytest.param("SYSTEMD_EXEC_PID", str(os.getpid()), "systemd", id="main process"),
        pytest.param("SYSTEMD_EXEC_PID", str(os.getppid()), "systemd", id="child of the main process"),
        ("SYSTEMD_EXEC_PID", "1", None),  # of a service somewhere above
        ("SUPERVISOR_ENABLED", "1", "supervisord"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1", "Kubernetes"),
        ("INVOCATION_ID", "a0", None),  # a login shell has it as well
    ],
)
async def test_what_starts_a_worker_again_shows_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str | None
) -> None:
    monkeypatch.setenv(variable, value)
    assert what_restarts() == expected


async def test_a_worker_that_nothing_starts_again_goes_on() -> None:
    with pytest.raises(Refused, match="nothing is known"):
        await restart_this_process()


@pytest.mark.component
@pytest.mark.parametrize("restart", ["no", "on-failure", "on-abnormal", ""])
async def test_a_unit_that_stays_down_after_a_normal_end_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: str
) -> None:
    systemctl_says(restart, tmp_path, monkeypatch)
    with pytest.raises(Refused, match=f"Restart={restart or 'no'}"):
        await restart_this_process()


@pytest.mark.component
@pytest.mark.parametrize("restart", ["always", "on-success"])
async def test_a_unit_that_comes_back_ends_once_the_answer_has_had_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: str
) -> None:
    systemctl_says(restart, tmp_path, monkeypatch)
    async with terminated() as event:
        await restart_this_process()
        assert not event.is_set()
        async with asyncio.timeout(10):
            await event.wait()
