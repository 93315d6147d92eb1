"""Fixtures that tests of several rooms share: the real brain, and agents that are quick to come back."""

from __future__ import annotations

import gc
import os
import random
import re
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.agents import WAIT_S
from tests.support.brain_api import BrainApi
from tests.support.programs import free_port
from tests.support.real_brain import (
    BrainProcess,
    brain_executable,
    running_brain,
    shared_brain,
    stop_shared_brain,
)
from z4j_fastapi.agent.reconnect import Backoff
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.devbrain.observations import Observations

# A machine that tests on every core is slow, and that is no finding; what is found can be run again.
settings.register_profile(
    "busy machine", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")
# For `make quick`: the same properties, held against fewer examples.
settings.register_profile("quick", settings.get_profile("busy machine"), max_examples=10)
_MAY_START_PROGRAMS = {"component", "interop", "faults", "slow"}
# A file all of whose tests may do so.
_MARKED_AS_A_WHOLE = re.compile(rf"^pytestmark = .*\bmark\.({'|'.join(_MAY_START_PROGRAMS)})\b", re.MULTILINE)
_running: list[pytest.Item] = []


def _programs_are_marked(event: str, arguments: tuple[object, ...]) -> None:
    """`make quick` leaves out what starts a program; a test that does so without a marker fails."""
    if event == "subprocess.Popen" and _running:
        marks = {mark.name for mark in _running[-1].iter_markers()}
        if not marks & _MAY_START_PROGRAMS:
            raise RuntimeError(f"{_running[-1].name} starts {arguments[0]}: mark it `component`")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make quick` runs is defined here: by what a test needs."""
    parser.addoption("--quick", action="store_true", help="Run only tests that start no program.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file without a test for `make quick` is not imported by it: that costs more than most tests."""
    if config.getoption("--quick") and collection_path.name.startswith("test_"):
        return _MARKED_AS_A_WHOLE.search(collection_path.read_text(encoding="utf-8")) is not None or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: looking for garbage in it takes a third of collecting it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep which test is running, for the hook above."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


@pytest.fixture(autouse=True)
def _quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents of this process wait a twentieth of their schedule: tests are about what comes after."""
    monkeypatch.setattr(Backoff.__init__, "__defaults__", (lambda low, high: random.uniform(low, high) / 20,))


@pytest.fixture(autouse=True)
def _no_signal_is_held_back() -> Iterator[None]:
    """What a later test starts would inherit that, and could not be terminated."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    assert signal.pthread_sigmask(signal.SIG_SETMASK, before) == before


@pytest.fixture(scope="session")
def real_brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrainApi]:
    """The real brain that all tests of a session share: mint your own agents, and leave it running."""
    _require_brain()
    brain = shared_brain(_brain_directory(tmp_path_factory.getbasetemp()))
    yield brain
    brain.close()


@pytest.fixture
def own_brain(tmp_path: Path) -> Iterator[BrainProcess]:
    """A real brain of this test's own, to kill and restart."""
    _require_brain()
    with running_brain(tmp_path / "brain") as brain:
        yield brain


@pytest.fixture
def brain_with_scheduler(tmp_path: Path) -> Iterator[BrainApi]:
    """A real brain of this test's own that has schedules: its scheduler is a process beside it."""
    _require_brain(needs="z4j-scheduler")
    environ = {
        "Z4J_EMBEDDED_SCHEDULER": "true",
        "Z4J_SCHEDULER_BIND_PORT": str(free_port()),
        "Z4J_SCHEDULER_GRPC_BIND_HOST": "127.0.0.1",
        "Z4J_SCHEDULER_GRPC_BIND_PORT": str(free_port()),
    }
    with running_brain(tmp_path / "brain", environ) as brain:
        api = BrainApi(brain.url)
        yield api
        api.close()


@pytest.fixture
def own_reconciling_brain(tmp_path: Path) -> Iterator[BrainApi]:
    """A real brain of this test's own that asks after silent tasks as soon as it can be set to: a minute."""
    _require_brain()
    environ = {"Z4J_RECONCILIATION_SWEEP_SECONDS": "30", "Z4J_RECONCILIATION_STALE_THRESHOLD_SECONDS": "60"}
    with running_brain(tmp_path / "brain", environ) as brain:
        api = BrainApi(brain.url)
        yield api
        api.close()


def _be_patient() -> None:
    """What tests wait for comes at once or never, but on a machine that tests on every core."""
    waits = (DevBrain.wait_for_events, DevBrain.wait_for_workers, DevBrain.wait_for_schedules)
    for wait in (Observations.until, *waits):
        wait.__kwdefaults__ = {"timeout_s": WAIT_S}


def pytest_configure(config: pytest.Config) -> None:
    """A session that is told to end (`timeout`, a CI job that was cancelled) ends what it started, too."""
    if config.getoption("--quick"):
        chosen, left_out = config.option.markexpr, " or ".join(sorted(_MAY_START_PROGRAMS))
        config.option.markexpr = f"({chosen}) and not ({left_out})" if chosen else f"not ({left_out})"
        settings.load_profile("quick")
    sys.addaudithook(_programs_are_marked)
    _be_patient()
    if not _is_xdist_worker():
        signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell ignores Ctrl-C for what it runs in the background, and programs inherit that; the doctors
        # that tests interrupt are to take it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait are begun one by one over the first half of a run, beside others that work."""
    waiting = [item for item in items if item.get_closest_marker("waits")]
    others = [item for item in items if not item.get_closest_marker("waits")]
    apart = len(others) // (2 * len(waiting) or 1) + 1
    for number, item in enumerate(waiting):
        others.insert(number * apart, item)
    items[:] = others


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The process that no other outlives (xdist's controller, or the only one) ends the shared brain."""
    if _is_xdist_worker():
        return
    factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
    stop_shared_brain(_brain_directory(factory.getbasetemp()))


def _require_brain(needs: str = "z4j") -> None:
    executable = brain_executable()
    if executable is not None and executable.with_name(needs).exists():
        return
    reason = f"the real brain's {needs} is not installed: run `make brain`, or name its z4j in Z4J_TEST_BRAIN"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _brain_directory(base: Path) -> Path:
    return (base.parent if _is_xdist_worker() else base) / "shared-brain"


def _is_xdist_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ
