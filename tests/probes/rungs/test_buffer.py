"""The buffer probe: the directory that the runtime would use, proven, and how to mend one that is no use."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import fork_server
from tests.support.cli import document
from tests.support.ladders import SECRET, TOKEN, climb_to, ladder, settings
from tests.support.namespaces import python_environ, run_python_with_mount
from z4j_fastapi.buffer import SetAside
from z4j_probes import ProbeResult, Settings, Status, StorageError
from z4j_probes.portable.disk import Room
from z4j_probes.result import Step
from z4j_probes.rungs.buffer import check
from z4j_probes.rungs.buffer.probe import PROBE
from z4j_probes.rungs.config import probe as config
from z4j_probes.storage import StateDirectory, identity
from z4j_probes.systemd_unit import ServiceUnit

PROBES = (config.PROBE, PROBE)
UID = os.geteuid()


async def judged(environ: Mapping[str, str]) -> ProbeResult:
    return await climb_to("buffer", PROBES, settings(environ))


async def test_a_writable_home_is_made_private_and_proven(tmp_path: Path) -> None:
    home = tmp_path / "state"
    result = await judged({"Z4J_HOME": str(home)})
    assert result.code == "buffer.ok"
    assert f"{home} is writable (" in result.message
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert list(home.iterdir()) == []  # the proof leaves nothing behind
    assert result.details["free_bytes"] > 0


async def test_the_default_is_below_the_users_home(tmp_path: Path) -> None:
    result = await judged({"HOME": str(tmp_path)})
    assert result.details["directory"] == str(tmp_path / ".z4j")


async def test_the_directory_is_left_for_the_other_rungs_and_in_the_report(tmp_path: Path) -> None:
    climbing = ladder(PROBES, settings({"Z4J_HOME": str(tmp_path / "state")}))
    async with climbing.start() as climb:
        results = [result async for result in climbing.climb(climb)]
        assert climb.directory.path == tmp_path / "state"
    assert climbing.report(climb, results).to_dict()["config"]["buffer_dir"] == str(tmp_path / "state")


async def test_a_service_user_without_a_home_is_moved_and_told_both_directories(tmp_path: Path) -> None:
    result = await judged({"HOME": "/nonexistent", "TMPDIR": str(tmp_path)})
    assert result.code == "buffer.relocated"
    assert result.status is Status.WARN
    assert f"{tmp_path}/z4j-{UID}" in result.message
    assert "/nonexistent/.z4j" in result.message
    assert f"-o {UID} /var/lib/z4j" in result.hint
    assert "Z4J_HOME=" in result.hint


async def test_a_home_that_is_a_file_is_not_papered_over(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.touch()
    result = await judged({"Z4J_HOME": str(file), "TMPDIR": str(tmp_path)})
    assert result.code == "buffer.not_a_directory"
    assert str(file) in result.message
    assert str(file) in result.hint


async def test_a_directory_that_this_user_may_not_write_is_mended_by_chown(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir(mode=0o500)
    if os.access(home, os.W_OK):
        pytest.skip("this user writes everywhere, as root does")
    result = await judged({"Z4J_HOME": str(home), "TMPDIR": str(tmp_path)})
    assert result.code == "buffer.relocated"
    assert f"`sudo chown -R {UID} {home} && sudo chmod 0700 {home}`" in result.hint


async def test_a_directory_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir()
    home.chmod(0o777)
    private = tmp_path / "tmp"
    private.mkdir(mode=0o700)
    result = await judged({"Z4J_HOME": str(home), "TMPDIR": str(private)})
    assert result.code == "buffer.relocated"
    assert result.details["reason_code"] == "buffer.unsafe_directory"
    assert f"chmod 0700 {home}" in result.hint


async def test_a_proof_that_fails_gives_its_code_and_keeps_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: Path) -> None:
        raise StorageError("buffer.disk_full", f"a file in {directory} can't be written (ENOSPC)")

    monkeypatch.setattr(check, "proof", full)
    climbing = ladder(PROBES, settings({"Z4J_HOME": str(tmp_path)}))
    async with climbing.start() as climb:
        results = [result async for result in climbing.climb(climb)]
        assert climb.directory.path == tmp_path
    assert results[1].code == "buffer.disk_full"
    assert f"df -i {tmp_path}" in results[1].hint


async def test_a_dead_mount_ends_with_the_timeout_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount_is_back = threading.Event()
    monkeypatch.setattr(check, "proof", lambda directory: mount_is_back.wait())
    try:
        given = settings({"Z4J_HOME": str(tmp_path)})
        report = await ladder(PROBES, given, timeout_s=1.0).run()
    finally:
        mount_is_back.set()
    result = report.results[1]
    assert result.code == "buffer.timeout"
    assert f"findmnt -T {tmp_path}" in result.hint


def own_directory(home: Path) -> Path:
    """Where the agent of these tests keeps its buffer."""
    given = settings()
    return home / identity(given.brain_url or "", given.project_id, given.agent_name)


async def test_a_volume_that_fsgroup_opened_is_closed_again_and_proven_where_the_agent_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven: list[Path] = []
    monkeypatch.setattr(check, "proof", proven.append)
    own = own_directory(tmp_path)
    own.mkdir()
    own.chmod(0o2770)
    assert (await judged({"Z4J_HOME": str(tmp_path)})).code == "buffer.ok"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert proven == [own]


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("link", "buffer.unsafe_directory", "is a symbolic link"),
        ("file", "buffer.not_a_directory", "EEXIST"),
    ],
)
async def test_a_place_that_the_agent_would_refuse_is_refused(
    how: str, code: str, said: str, tmp_path: Path
) -> None:
    own = own_directory(tmp_path)
    if how == "link":
        (tmp_path / "elsewhere").mkdir()
        own.symlink_to(tmp_path / "elsewhere")
    else:
        own.touch()
    result = await judged({"Z4J_HOME": str(tmp_path)})
    assert result.code == code
    assert said in result.message
    assert f"mv {own}" in result.hint


@pytest.mark.skipif(UID != 0, reason="only root can give a directory away")
async def test_root_is_told_that_the_place_is_another_users(tmp_path: Path) -> None:
    own = own_directory(tmp_path)
    own.mkdir()
    os.chown(own, 4242, 4242)
    result = await judged({"Z4J_HOME": str(tmp_path)})
    assert result.code == "buffer.wrong_user"
    assert f"{own} belongs to #4242" in result.message


def verdict(chosen: StateDirectory, free_bytes: int, files: int | None = None) -> ProbeResult:
    return check.verdict_on(Settings(), chosen, Room(free_bytes, files), uid=1000, unit=None)


def test_little_space_is_a_warning_with_the_amount() -> None:
    result = verdict(StateDirectory(Path("/state"), Path("/state")), 3 * 1024 * 1024)
    assert result.code == "buffer.low_space"
    assert "3 MiB free" in result.message
    assert "df -h /state" in result.hint


def test_few_inodes_are_a_warning_with_their_number() -> None:
    result = verdict(StateDirectory(Path("/state"), Path("/state")), 2**40, 5)
    assert result.code == "buffer.low_space"
    assert "only 5 inodes free" in result.message
    assert "df -i /state" in result.hint
    assert verdict(StateDirectory(Path("/state"), Path("/state")), 2**40, 1000).code == "buffer.ok"


def test_a_moved_buffer_with_little_space_says_both() -> None:
    moved = StateDirectory(Path("/tmp/z4j-1000"), None, True, "buffer.unwritable", "no home directory")
    result = verdict(moved, 0)
    assert result.code == "buffer.relocated"
    assert "only 0 bytes free" in result.message
    assert result.headline == "temporary directory: /tmp/z4j-1000"


def test_under_systemd_the_hint_is_a_state_directory() -> None:
    unit = ServiceUnit("web.service")
    edit, restart = check.fix(
        "buffer.unwritable", "/var/www/.z4j", uid=33, unit=unit, settings=Settings.load(environ={})
    )
    assert edit.command == "sudo systemctl edit web.service"
    assert "StateDirectory=web and Environment=Z4J_HOME=%S/web/z4j" in edit.text
    assert restart.command == "sudo systemctl restart web.service"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("buffer.disk_full", "df -h /srv/state"),
        ("buffer.corrupt", "findmnt -T /srv/state"),
        ("buffer.locked", "fuser -v /srv/state/*"),
        ("buffer.read_only", "Mount a writable volume at /srv/state"),
        ("buffer.not_a_directory", "Set Z4J_HOME to a directory"),
        ("buffer.unwritable", "sudo install -d -m 0700 -o 1000 /srv/state"),
    ],
)
def test_each_fault_has_its_own_remedy(code: str, said: str) -> None:
    settings = Settings.load(environ={"Z4J_HOME": "/srv/state"})
    assert said in str(check.fix(code, "/srv/state", uid=1000, unit=None, settings=settings)[0])


@pytest.mark.parametrize(
    ("environ", "in_file", "argument", "typed_at", "said"),
    [
        ({}, "", None, True, "Then set it: `export Z4J_HOME=/var/lib/z4j`"),
        ({"Z4J_HOME": "/nonexistent/z4j"}, "", None, True, "Then set it: `export Z4J_HOME=/var/lib/z4j`"),
        ({}, "Z4J_AGENT_NAME=web\n", None, True, "Then add Z4J_HOME=/var/lib/z4j to FILE"),
        ({}, "Z4J_HOME=/nonexistent/z4j\n", None, True, "Then add Z4J_HOME=/var/lib/z4j to FILE"),
        ({}, "", "/nonexistent/z4j", True, "Pass home='/var/lib/z4j', or remove it and set Z4J_HOME"),
        ({}, "", None, False, "Set Z4J_HOME=/var/lib/z4j where the service gets its environment"),
    ],
    ids=["shell", "shell that sets it", "env file", "env file that sets it", "code", "service"],
)
def test_another_directory_is_set_where_the_settings_come_from(
    environ: dict[str, str],
    in_file: str,
    argument: str | None,
    typed_at: bool,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/app/z4j_fastapi/__main__.py" if typed_at else "uvicorn", "doctor"])
    for name in ("CI", "JOURNAL_STREAM", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "web.env"
    file.write_text(in_file)
    settings = Settings.load(environ=environ, env_file=str(file) if in_file else None, home=argument)
    *_, step = check.fix("buffer.unwritable", None, uid=1000, unit=None, settings=settings)
    assert str(step) == said.replace("FILE", str(file))


def test_in_a_pod_a_directory_is_a_volume() -> None:
    settings = Settings.load(environ={"KUBERNETES_SERVICE_HOST": "10.96.0.1"})
    made, _ = check.fix("buffer.unwritable", None, uid=1000, unit=None, settings=settings)
    assert made == Step(
        "Mount a writable volume at /var/lib/z4j (an emptyDir survives a restart of the container)"
    )


OWNER_ABOVE = """
import os, sys
from z4j_probes.rungs.buffer.wrong_user import owner_above
volume = sys.argv[1]
os.makedirs(f"{volume}/app")
os.chown(f"{volume}/app", 4242, 4242)
print(owner_above(f"{volume}/z4j"), owner_above(f"{volume}/app/z4j"), owner_above(f"{volume}/app/a/b"),
      owner_above(f"{volume}/app"))
"""


@pytest.mark.component
def test_root_makes_a_directory_in_a_volume_and_in_nobody_elses(tmp_path: Path) -> None:
    """A volume belongs to whoever owns it outside of the container."""
    done = run_python_with_mount(OWNER_ABOVE, tmp_path, "uid=1234", tmp_path)
    assert (done.stdout.split(), done.stderr) == (["None", "#4242", "#4242", "None"], "")


async def test_a_doctor_counts_what_is_set_aside(tmp_path: Path) -> None:
    given = settings({"Z4J_HOME": str(tmp_path)})
    own = tmp_path / identity(given.brain_url or "", given.project_id, given.agent_name)
    own.mkdir(mode=0o700)
    SetAside(own).add(["{}", "{}"], "session.event_set_aside")
    result = await climb_to("buffer", PROBES, given)
    assert result.code == "buffer.ok"
    assert result.message.endswith("; 2 events set aside")
    assert result.details["set_aside"] == 2


@pytest.mark.component
@pytest.mark.parametrize(
    ("handicap", "said", "hint"),
    [
        ("size=1000", "a file of this process may have 1000 bytes at most", "LimitFSIZE="),
        ("descriptors=3", "open files at most", "LimitNOFILE="),
    ],
)
def test_a_limit_of_this_process_is_named_and_no_other_directory(
    tmp_path: Path, handicap: str, said: str, hint: str
) -> None:
    given = {"Z4J_BRAIN_URL": "http://127.0.0.1:1", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    done = fork_server.run(
        "z4j_fastapi",
        *("doctor", "--only", "buffer", "--json"),
        environ=python_environ({"HOME": str(tmp_path), **given}),
        directory=tmp_path,
        handicaps=(handicap,),
        timeout_s=30.0,
    )
    found = next(row for row in document(done.stdout)["probes"] if row["name"] == "buffer")
    assert found["code"] == "buffer.unwritable"
    assert said in found["message"]
    assert hint in found["hint"]
    assert "Z4J_HOME" not in found["hint"]
