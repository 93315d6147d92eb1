"""The recipes for builds: their commands, run by the shell that a runner uses, with what they leave."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from tests.support.cli import PATIENCE_S, environment
from tests.support.recipes import OURS, document

pytestmark = pytest.mark.component


def in_shell(script: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = environment(directory, {"CI": "true", **variables})
    return subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=directory,
        env=environ | {"PATH": f"{OURS}:{environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_step_of_github_adds_to_the_summary_and_has_the_diagnosis_in_its_log(tmp_path: Path) -> None:
    ((step,), summary) = document("GitHub Actions"), tmp_path / "summary.md"
    summary.write_text("# Tests\nall passed")
    done = in_shell(step["run"], tmp_path, GITHUB_STEP_SUMMARY=str(summary), Z4J_BRAIN_URL="ftp://x")

    assert done.returncode == 1
    assert "error[config.missing]" in done.stderr
    assert summary.read_text().startswith("# Tests\nall passed\n## ❌ z4j doctor: `config.missing`")


def test_a_job_of_gitlab_leaves_its_test_report(tmp_path: Path) -> None:
    job = document("GitLab CI")["z4j"]
    done = in_shell(job["script"], tmp_path)

    assert done.returncode == 1
    assert "error[config.missing]" in done.stderr
    report = etree.parse(tmp_path / job["artifacts"]["reports"]["junit"])
    assert [failure.get("type") for failure in report.iter("failure")] == ["config.missing"]
