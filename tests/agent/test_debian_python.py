"""The agent's thread on Debian 12's own Python, 3.11.2: its asyncio has other ways to end a task."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.component

PYTHON = Path("/usr/bin/python3.11")
TESTS = Path(__file__).parent / "test_thread.py"


@pytest.mark.slow
def test_the_thread_survives_there_too() -> None:
    if not PYTHON.exists() or Path(sys.executable).resolve() == PYTHON.resolve():
        pytest.skip(f"{PYTHON}, Debian 12's Python, is not installed, or is what runs this")
    if sys.version_info[:2] != (3, 11):
        pytest.skip(f"packages that are built for this Python do not load in {PYTHON}")
    packages = [path for path in sys.path if not path.startswith(sys.base_prefix)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environ["PYTHONPATH"] = os.pathsep.join(packages)
    command = [str(PYTHON), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
    result = subprocess.run(
        command,
        cwd=TESTS.parents[2],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
