"""`doctor --pid` from the host, of a process in a container: users, files and a host name of its own."""

from __future__ import annotations

import asyncio
import os
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.as_service.test_process import diagnose, open_path, row
from tests.support import cli
from tests.support.certificates import authority, issue, server_context
from tests.support.container import FIRST_UID, HOSTNAME, container
from tests.support.tls_servers import tls_server
from z4j_fastapi.as_service.process import inner_id
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component

__all__ = ["open_path"]


@pytest.fixture
def state(open_path: Path) -> Path:
    """A directory that the container has a copy of."""
    path = open_path / "state"
    path.mkdir(mode=0o755)
    return path


def settings(state: Path, url: str, **more: str) -> dict[str, str]:
    """What the container's process was started with."""
    return {
        "Z4J_BRAIN_URL": url,
        "Z4J_TOKEN": "tok-of-the-container",
        "Z4J_HMAC_SECRET": "c2VjcmV0LW9mLXRoZS1jb250YWluZXItMDEyMzQ1Njc4OQ",
        "Z4J_HOME": str(state / "own" / "z4j"),
        "HOME": "/nonexistent",
    } | more


@pytest.mark.parametrize("user", [1000, 0])
async def test_a_container_is_seen_through_its_own_eyes(state: Path, user: int) -> None:
    async with DevBrain() as brain:
        given = brain.environment(brain.mint(HOSTNAME)) | {"Z4J_HOME": str(state / "own" / "z4j")}
        del given["Z4J_AGENT_NAME"]  # its host's name then
        with container(state, given, user=user) as pid:
            status, report = await asyncio.to_thread(diagnose, state, pid)
    assert (status, report["first_failure"]) == (0, None), report["probes"]
    assert report["config"]["agent_name"] == HOSTNAME
    assert f"uid {user}" in report["config"]["user"]
    assert row(report, "buffer")["details"]["uid"] == user
    assert os.listdir(state) == []


def test_its_files_are_owned_by_whom_it_says(state: Path) -> None:
    """Mode 0600 and root's: not even root of the container may read what is root's of the host."""
    (state / "token").write_text("tok-of-the-host")
    environ = settings(state, "http://127.0.0.1:1", Z4J_TOKEN_FILE="/etc/shadow")
    del environ["Z4J_TOKEN"]
    with container(state, environ, user=0) as pid:
        _, report = diagnose(state, pid, "--offline")
    assert report["first_failure"] == "config.secret_unreadable"


def test_what_it_trusts_is_in_its_own_files(state: Path) -> None:
    ca = authority("Company root")
    ca.save(state / "ca.pem")
    with tls_server(server_context(issue(ca, "localhost"))) as server:
        environ = settings(state, server.url(), SSL_CERT_FILE=str(state / "ca.pem"))
        with container(state, environ, user=1000) as pid:
            (state / "ca.pem").unlink()
            _, report = diagnose(state, pid, "--timeout", "2")
    assert row(report, "tls")["code"] == "tls.ok", row(report, "tls")["message"]


@pytest.mark.parametrize("fault", ["expired", "unknown_ca", "refused", "nxdomain"])
def test_a_diagnosis_needs_no_file_of_this_program(state: Path, fault: str) -> None:
    """What is loaded late (the reading of certificates, of dates, of DNS answers) was loaded before."""
    ca = authority("Company root")
    ca.save(state / "ca.pem")
    leaf = issue(ca, "localhost", expires=timedelta(days=-3 if fault == "expired" else 80))
    with tls_server(server_context(leaf)) as server:
        url = {"refused": "https://localhost:1", "nxdomain": "https://brain.invalid"}.get(fault, server.url())
        trust = {"Z4J_CA_FILE": str(state / "ca.pem")} if fault == "expired" else {}
        with container(state, settings(state, url, **trust), user=1000) as pid:
            _, report = diagnose(state, pid, "--timeout", "2")
    assert not [probe["code"] for probe in report["probes"] if probe["code"].endswith(".unexpected")]
    failed = {"expired": "tls.expired", "unknown_ca": "tls.unknown_ca", "refused": "tcp.refused"}
    assert report["first_failure"] == failed.get(fault, report["first_failure"])
    if fault == "nxdomain":
        assert report["first_failure"].startswith("dns.")
    if fault == "unknown_ca":  # certifi's bundle has come along
        assert any("certifi" in store and "No such file" not in store for store in stores(report))


def stores(report: dict[str, Any]) -> list[str]:
    return [str(value) for value in row(report, "tls")["details"].values() if "certifi" in str(value)]


def test_its_bundle_is_about_the_container(state: Path) -> None:
    file = state.parent / "bundle.zip"
    with container(state, settings(state, "http://127.0.0.1:1"), user=1000) as pid:
        done = cli.run("doctor", "--pid", str(pid), "--bundle", str(file), home=state)
    assert done.returncode == 1
    with zipfile.ZipFile(file) as bundle:
        texts = [bundle.read(name).decode() for name in bundle.namelist()]
    assert any('"uid": 1000' in text for text in texts)
    assert any(HOSTNAME in text for text in texts)
    assert not any("tok-of-the-container" in text for text in texts)


def test_the_buffer_there_is_written_as_its_user(state: Path) -> None:
    with container(state, settings(state, "http://127.0.0.1:1"), user=1000) as pid:
        diagnose(state, pid, "--offline")
        made = os.stat(f"/proc/{pid}/root{state}/own/z4j")
    assert (made.st_uid, made.st_gid) == (FIRST_UID + 1000, FIRST_UID + 1000)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [(100_000, 0), (100_999, 999), (165_535, 65_535), (1000, 70_000), (0, 65_534), (165_536, 65_534)],
)
def test_an_id_has_another_name_inside(outer: int, inner: int) -> None:
    assert inner_id("         0     100000      65536\n     70000       1000          1\n", outer) == inner
