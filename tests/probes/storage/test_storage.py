"""The state directory: where it is, where it moves, and what is never used."""

from __future__ import annotations

import errno
import json
import os
import pwd
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import NOBODY, run_python, run_python_with_mount
from z4j_probes.errors import StorageError
from z4j_probes.portable.machine import machine_id
from z4j_probes.storage import (
    LastHello,
    choose,
    classify,
    fingerprint,
    free_space,
    identity,
    open_database,
    private_directory,
    proof,
    recall_hello,
    remember_hello,
)

CHOOSE = """
import dataclasses, json, os, sys
from z4j_probes.errors import StorageError
from z4j_probes.storage import choose, proof
try:
    chosen = choose(sys.argv[1] or None, os.environ)
    proof(chosen.path)
except StorageError as exc:
    print(json.dumps({"code": exc.code, "message": str(exc)}))
else:
    print(json.dumps(chosen._asdict(), default=str))
"""


def chosen_by(
    user: int | None, home: Path | str = "", environ: dict[str, str] | None = None
) -> dict[str, object]:
    result = run_python(CHOOSE, home, user=user, environ=environ)
    assert result.returncode == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.fixture
def open_tmp() -> Iterator[Path]:
    """A TMPDIR as /tmp is, that every user can reach (pytest's own is closed to others)."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o1777)
        yield Path(name)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def fault_of(home: Path | str | None, environ: dict[str, str]) -> str:
    with pytest.raises(StorageError) as caught:
        choose(str(home) if home else None, environ)
    return caught.value.code


# Choosing.


def test_the_default_is_a_private_directory_in_the_home_directory(tmp_path: Path) -> None:
    chosen = choose(None, {"HOME": str(tmp_path)})
    assert chosen.path == chosen.requested == tmp_path / ".z4j"
    assert not chosen.relocated
    assert mode_of(chosen.path) == 0o700


def test_an_explicit_home_is_made_with_its_parents(tmp_path: Path) -> None:
    chosen = choose(str(tmp_path / "a" / "b"), {})
    assert chosen.path == tmp_path / "a" / "b"
    assert mode_of(chosen.path) == 0o700


def test_a_tilde_that_no_shell_expanded_is_expanded(tmp_path: Path) -> None:
    assert choose("~/state", {"HOME": str(tmp_path)}).path == tmp_path / "state"


def test_choosing_leaves_nothing_in_the_directory(tmp_path: Path) -> None:
    assert list(choose(str(tmp_path), {}).path.iterdir()) == []


@pytest.mark.component
def test_without_home_in_the_environment_the_passwd_entry_counts(open_tmp: Path) -> None:
    found = chosen_by(NOBODY, environ={"TMPDIR": str(open_tmp)})
    assert found["requested"] == str(Path(pwd.getpwuid(NOBODY).pw_dir, ".z4j"))


# Moving.


@pytest.mark.parametrize("home", ["/nonexistent", "/dev/null", "/proc/nothing/here"])
def test_a_home_that_does_not_exist_moves_the_directory(home: str, tmp_path: Path) -> None:
    chosen = choose(None, {"HOME": home, "TMPDIR": str(tmp_path)})
    assert chosen.relocated
    assert chosen.path == tmp_path / f"z4j-{os.geteuid()}"
    assert chosen.requested == Path(home, ".z4j")
    assert chosen.code.startswith("buffer.")
    assert str(chosen.requested) in chosen.reason
    assert mode_of(chosen.path) == 0o700


@pytest.mark.component
def test_a_user_without_a_passwd_entry_and_home_is_served(open_tmp: Path) -> None:
    found = chosen_by(54321, environ={"TMPDIR": str(open_tmp)})
    assert found["relocated"]
    assert found["requested"] is None
    assert found["path"] == str(open_tmp / "z4j-54321")


@pytest.mark.component
@pytest.mark.parametrize("home", ["/", "/var"])
def test_a_home_of_another_user_moves_the_directory(home: str, open_tmp: Path) -> None:
    found = chosen_by(NOBODY, environ={"HOME": home, "TMPDIR": str(open_tmp)})
    assert found["relocated"]
    assert found["code"] == "buffer.unwritable"
    assert "EACCES" in str(found["reason"])


@pytest.mark.component
def test_an_explicit_home_that_can_not_be_written_moves_too(open_tmp: Path) -> None:
    home = open_tmp / "closed"
    home.mkdir(mode=0o755)
    found = chosen_by(NOBODY, home, environ={"TMPDIR": str(open_tmp)})
    assert found["relocated"]
    assert found["requested"] == str(home)


@pytest.mark.component
def test_a_read_only_file_system_moves_the_directory_and_is_named(tmp_path: Path) -> None:
    mounted = tmp_path / "ro"
    mounted.mkdir()
    script = CHOOSE.replace("os.environ", repr({"TMPDIR": str(tmp_path)}))
    found = json.loads(run_python_with_mount(script, mounted, "ro", mounted).stdout)
    assert found["relocated"]
    assert found["code"] == "buffer.read_only"


def test_the_fault_of_the_requested_directory_is_raised_if_moving_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("z4j_probes.portable.home._TEMPORARY", ())
    assert fault_of(None, {"HOME": "/nonexistent", "TMPDIR": str(tmp_path / "none")}) == "buffer.unwritable"


# What moving would only hide.


@pytest.mark.parametrize("below", ["", "state"])
def test_a_home_that_names_a_file_is_a_failure(below: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert fault_of(file / below, {"TMPDIR": str(tmp_path)}) == "buffer.not_a_directory"


@pytest.mark.component
def test_a_full_disk_is_a_failure(tmp_path: Path) -> None:
    mounted = tmp_path / "full"
    mounted.mkdir()
    script = "open(__import__('sys').argv[1] + '/filler', 'wb', 0).write(bytes(2**20))\n" + CHOOSE
    found = json.loads(run_python_with_mount(script, mounted, "size=64k", mounted).stdout)
    assert found["code"] == "buffer.disk_full"


# Names that others may have taken.


def hostile(place: Path, how: str) -> None:
    if how == "symlink":
        (place.parent / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(place.parent / "elsewhere")
    elif how == "dangling symlink":
        place.symlink_to(place.parent / "nowhere")
    elif how == "file":
        place.write_text("")
    else:
        place.mkdir()
        place.chmod(int(how, 8))


@pytest.mark.parametrize("how", ["symlink", "dangling symlink", "file", "0755", "0770", "0777", "0701"])
def test_a_taken_name_is_never_used(how: str, tmp_path: Path) -> None:
    usual = tmp_path / f"z4j-{os.geteuid()}"
    hostile(usual, how)
    chosen = choose(None, {"HOME": "/nonexistent", "TMPDIR": str(tmp_path)})
    assert chosen.path != usual
    assert chosen.path.parent == tmp_path
    assert mode_of(chosen.path) == 0o700
    assert str(usual) in chosen.refused
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.component
def test_a_directory_of_another_user_is_never_used(open_tmp: Path) -> None:
    (open_tmp / f"z4j-{NOBODY}").mkdir(mode=0o700)  # root's
    found = chosen_by(NOBODY, environ={"HOME": "/nonexistent", "TMPDIR": str(open_tmp)})
    assert found["path"] != str(open_tmp / f"z4j-{NOBODY}")
    assert "belongs to uid 0" in str(found["refused"])


def test_the_next_start_finds_the_fresh_directory_again(tmp_path: Path) -> None:
    hostile(tmp_path / f"z4j-{os.geteuid()}", "0755")
    environ = {"HOME": "/nonexistent", "TMPDIR": str(tmp_path)}
    assert choose(None, environ).path == choose(None, environ).path


def test_a_directory_that_every_user_can_write_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / "everybody"
    home.mkdir()
    home.chmod(0o777)
    chosen = choose(str(home), {"TMPDIR": str(tmp_path)})
    assert chosen.relocated
    assert chosen.code == "buffer.unsafe_directory"


@pytest.mark.component
def test_a_volume_that_every_user_can_write_is_used(tmp_path: Path) -> None:
    mounted = tmp_path / "volume"
    mounted.mkdir()
    found = json.loads(run_python_with_mount(CHOOSE, mounted, "mode=0777", mounted).stdout)
    assert found["path"] == str(mounted)


def test_a_planted_subdirectory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "abc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link") as caught:
        private_directory(tmp_path, "abc")
    assert caught.value.code == "buffer.unsafe_directory"


@pytest.mark.parametrize("mode", [0o2770, 0o755, 0o777])
def test_a_subdirectory_of_ours_is_closed_to_others_again(mode: int, tmp_path: Path) -> None:
    """A kubelet opens all directories of a volume to its fsGroup, at every mount."""
    private_directory(tmp_path, "abc").chmod(mode)
    assert private_directory(tmp_path, "abc") == tmp_path / "abc"
    assert stat.S_IMODE((tmp_path / "abc").stat().st_mode) == 0o700


@pytest.mark.component
def test_a_subdirectory_of_another_user_is_refused_and_left_alone(open_tmp: Path) -> None:
    script = """
import sys
from pathlib import Path
from z4j_probes.storage import private_directory
private_directory(Path(sys.argv[1]), "abc")
"""
    (open_tmp / "abc").mkdir()
    (open_tmp / "abc").chmod(0o2775)
    assert "belongs to uid 0" in run_python(script, open_tmp, user=NOBODY).stderr
    assert stat.S_IMODE((open_tmp / "abc").stat().st_mode) == 0o2775


def test_what_a_planted_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere").chmod(0o755)
    (tmp_path / "abc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"):
        private_directory(tmp_path, "abc")
    assert mode_of(tmp_path / "elsewhere") == 0o755


# SQLite.


def test_the_proof_leaves_nothing_behind(tmp_path: Path) -> None:
    proof(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.component
@pytest.mark.parametrize("size", ["4k", "80k"])
def test_the_proof_names_a_full_disk_and_leaves_nothing_behind(size: str, tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from z4j_probes.errors import StorageError
from z4j_probes.storage import proof
try:
    proof(Path(sys.argv[1]))
except StorageError as exc:
    print(exc.code, os.listdir(sys.argv[1]))
"""
    result = run_python_with_mount(script, tmp_path, f"size={size}", tmp_path)
    assert result.stdout == "buffer.disk_full []\n", result.stderr


def test_the_proof_names_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        proof(tmp_path / "none")
    assert caught.value.code == "buffer.unwritable"


@pytest.mark.component
def test_a_database_is_private_and_locked(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    connection = open_database(path)
    with pytest.raises(StorageError) as caught:
        open_database(path)
    assert caught.value.code == "buffer.locked"
    script = """
import sys
from pathlib import Path
from z4j_probes.storage import open_database
open_database(Path(sys.argv[1]))
"""
    assert "is locked" in run_python(script, path).stderr
    assert mode_of(path) == 0o600
    connection.close()
    open_database(path).close()


def test_a_database_behind_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").symlink_to(tmp_path / "b.sqlite")
    with pytest.raises(StorageError) as caught:
        open_database(tmp_path / "a.sqlite")
    assert caught.value.code == "buffer.unsafe_directory"


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"rubbish" * 1000)
    with pytest.raises(StorageError) as caught:
        open_database(tmp_path / "a.sqlite")
    assert caught.value.code == "buffer.corrupt"


@pytest.mark.component
def test_free_space_is_what_this_user_can_write(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from z4j_probes.storage import free_space
print(free_space(Path(sys.argv[1])).bytes)
"""
    assert int(run_python_with_mount(script, tmp_path, "size=64k", tmp_path).stdout) == 64 * 1024
    assert run_python_with_mount(script, tmp_path, "nr_inodes=1", tmp_path).stdout == "0\n"
    assert free_space(tmp_path).bytes > 0


# Naming faults.


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "buffer.disk_full"),
        (errno.EDQUOT, "buffer.disk_full"),
        (errno.EROFS, "buffer.read_only"),
        (errno.ENOTDIR, "buffer.not_a_directory"),
        (errno.EEXIST, "buffer.not_a_directory"),
        (errno.EAGAIN, "buffer.locked"),
        (errno.EBUSY, "buffer.locked"),
        (errno.EACCES, "buffer.unwritable"),
        (errno.EPERM, "buffer.unwritable"),
        (errno.ENOENT, "buffer.unwritable"),
        (errno.ELOOP, "buffer.unwritable"),
        (errno.ENAMETOOLONG, "buffer.unwritable"),
        (errno.EIO, "buffer.unwritable"),
        (errno.EMFILE, "buffer.unwritable"),
    ],
)
def test_every_errno_has_a_code(number: int, code: str) -> None:
    assert classify(OSError(number, os.strerror(number))) == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_FULL", "buffer.disk_full"),
        ("SQLITE_READONLY", "buffer.read_only"),
        ("SQLITE_READONLY_DIRECTORY", "buffer.unwritable"),
        ("SQLITE_READONLY_DBMOVED", "buffer.read_only"),
        ("SQLITE_BUSY", "buffer.locked"),
        ("SQLITE_BUSY_RECOVERY", "buffer.locked"),
        ("SQLITE_LOCKED", "buffer.locked"),
        ("SQLITE_PROTOCOL", "buffer.locked"),
        ("SQLITE_CORRUPT", "buffer.corrupt"),
        ("SQLITE_CORRUPT_INDEX", "buffer.corrupt"),
        ("SQLITE_NOTADB", "buffer.corrupt"),
        ("SQLITE_IOERR_CORRUPTFS", "buffer.corrupt"),
        ("SQLITE_CANTOPEN", "buffer.unwritable"),
        ("SQLITE_CANTOPEN_ISDIR", "buffer.unwritable"),
        ("SQLITE_IOERR_WRITE", "buffer.unwritable"),
        ("SQLITE_IOERR_FSYNC", "buffer.unwritable"),
        ("SQLITE_MISUSE", "buffer.unexpected"),
        (None, "buffer.unexpected"),
    ],
)
def test_every_sqlite_result_has_a_code(name: str | None, code: str) -> None:
    exc = sqlite3.OperationalError("what SQLite says")
    if name:
        exc.sqlite_errorcode = getattr(sqlite3, name)
        exc.sqlite_errorname = name
    assert classify(exc) == code


# Names.


def test_the_identity_keeps_services_apart() -> None:
    cases = {("u", "p", "n"), ("u", "p", "m"), ("u", "q", "n"), ("v", "p", "n"), ("up", "", "n")}
    found = {identity(*case) for case in cases}
    assert len(found) == len(cases)
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in found)
    assert identity("u", "p", "n") == identity("u", "p", "n")


def test_the_fingerprint_keeps_machines_users_and_directories_apart() -> None:
    cases = [
        ("m", 1, "/a", "i"),
        ("n", 1, "/a", "i"),
        ("m", 2, "/a", "i"),
        ("m", 1, "/b", "i"),
        ("m", 1, "/a", "j"),
    ]
    found = {fingerprint(Path(d), i, machine=m, uid=u) for m, u, d, i in cases}
    assert len(found) == len(cases)
    assert all(len(name) == 8 and int(name, 16) >= 0 for name in found)


def test_a_machine_has_no_id_until_it_has_booted(tmp_path: Path) -> None:
    files = (tmp_path / "a", tmp_path / "b")
    assert machine_id(files) is None
    files[0].write_text("uninitialized\n")
    assert machine_id(files) is None
    files[1].write_text("0123abcd\n")
    assert machine_id(files) == "0123abcd"


# The last hello.


HELLO = LastHello("fastapi", ("arq", "taskiq"), ("arq",), {"arq": ("retry", "cancel")})


def test_the_last_hello_is_remembered_privately(tmp_path: Path) -> None:
    remember_hello(tmp_path, "abc", LastHello("fastapi"))
    remember_hello(tmp_path, "abc", HELLO)
    assert recall_hello(tmp_path, "abc") == HELLO
    assert mode_of(tmp_path / "abc" / "hello.json") == 0o600
    assert os.listdir(tmp_path / "abc") == ["hello.json"]


def test_recalling_makes_nothing(tmp_path: Path) -> None:
    assert recall_hello(tmp_path, "abc") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '{"framework": 1, "engines": [], "schedulers": [], "capabilities": {}}',
        '{"framework": "f", "engines": "arq", "schedulers": [], "capabilities": {}}',
        '{"framework": "f", "engines": [], "schedulers": [], "capabilities": {"a": [1]}}',
        '{"framework": "f", "engines": [], "schedulers": [], "capabilities": [1]}',
        '{"framework": "' + "f" * 300_000 + '", "engines": [], "schedulers": [], "capabilities": {}}',
    ],
    ids=str.__len__,
)
def test_a_damaged_hello_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "hello.json").write_text(text)
    assert recall_hello(tmp_path, "abc") is None


def test_a_hello_that_is_a_pipe_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    os.mkfifo(tmp_path / "abc" / "hello.json")
    assert recall_hello(tmp_path, "abc") is None
