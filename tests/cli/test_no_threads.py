"""A process that may start no thread: the doctor says so, and where the limit may be."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.ladders import SECRET, TOKEN
from tests.support.namespaces import ROOT

pytestmark = pytest.mark.component

USER = 4243
"""Of nobody: its processes are counted."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of that user, where it can get to."""
    with tempfile.TemporaryDirectory(prefix="z4j-open-") as directory:
        os.chown(directory, USER, USER)
        yield Path(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's limits need root")
def test_a_limit_of_processes_is_named_where_a_thread_can_not_start(home: Path) -> None:
    given = {"Z4J_BRAIN_URL": "http://127.0.0.1:1", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    handicapped = [sys.executable, "-m", "tests.support.handicap", "threads=1", f"user={USER}"]
    process = subprocess.run(
        [*handicapped, "z4j_fastapi", "doctor", "--offline", "--json"],
        env=cli.environment(home, given),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = cli.document(process.stdout)
    row = next(probe for probe in report["probes"] if probe["name"] == "buffer")
    assert (process.returncode, row["code"]) == (1, "buffer.unexpected")
    assert row["message"].startswith(f"this process gets no further thread (uid {USER} may have 1 ")
    assert row["hint"].startswith("Raise the limit of threads for this user: `ulimit -u ")


def test_a_sandbox_that_forbids_threads_is_named_where_no_limit_is_near(tmp_path: Path) -> None:
    given = {"Z4J_BRAIN_URL": "http://127.0.0.1:1", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    handicapped = [sys.executable, "-m", "tests.support.handicap", "clone3=no"]
    process = subprocess.run(
        [*handicapped, "z4j_fastapi", "doctor", "--offline", "--json"],
        env=cli.environment(tmp_path, given),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = cli.document(process.stdout)
    row = next(probe for probe in report["probes"] if probe["name"] == "buffer")
    assert row["code"] == "buffer.unexpected"
    assert "a sandbox forbids it" in row["message"]
    assert "20.10.10" in row["hint"]
    assert "ulimit" not in row["hint"]
