"""`dev-brain`: what it prints leads a doctor to green."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import command, document, environment, run

pytestmark = pytest.mark.component


def test_a_doctor_is_green_with_the_settings_that_dev_brain_writes(tmp_path: Path) -> None:
    env_file = tmp_path / "dev.env"
    brain = subprocess.Popen(
        command("dev-brain", "--env-file", str(env_file)),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert brain.stdout is not None
        first = brain.stdout.readline()
        assert first.startswith("export Z4J_")
        assert env_file.stat().st_mode & 0o777 == 0o600

        done = run("doctor", "--json", "--env-file", str(env_file), home=tmp_path)
        report = document(done.stdout)
        assert done.returncode == 0, report
        assert report["summary"]["fail"] == 0
    finally:
        brain.send_signal(signal.SIGINT)
        brain.communicate(timeout=30)
    assert brain.returncode == 130
