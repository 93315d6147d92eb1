"""Directories that systemd would hand to a service, in mounts of this process's own: the machine keeps its.

`linux.unshare_mounts()` comes first; everything here is then seen by this process and its children alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from z4j_fastapi.as_service import syscalls as linux

_PAGE = 4096
_PLACE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def hide(path: str) -> None:
    """An empty directory that everybody may write, in place of that one: PrivateTmp=."""
    linux.mount_tmpfs(path, "mode=1777")


def give_state(path: str, uid: int, gid: int, *, is_dynamic: bool) -> None:
    """Make a StateDirectory= the service's, as systemd does at each start."""
    try:
        real = os.open(path, _PLACE)
    except FileNotFoundError:
        _give_new(path, uid, gid)
        return
    try:
        is_theirs = os.fstat(real).st_uid == uid
        if is_dynamic and is_theirs:  # it is in /var/lib/private, where nobody else gets to
            _give_new(path, uid, gid)
            linux.bind(real, path)
        elif not is_theirs:
            _give_new(path, uid, gid)
    finally:
        os.close(real)


def give_credentials(directory: str, contents: Mapping[str, bytes], uid: int, gid: int) -> None:
    """The files that LoadCredential= names, readable by the service alone."""
    _give_new(directory, uid, gid)
    for name, content in contents.items():
        path = os.path.join(directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
            file.write(content)
        os.chown(path, uid, gid)


def _give_new(path: str, uid: int, gid: int) -> None:
    """A new directory of that user at that path, with as much room as there is in reality."""
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    if os.path.isdir(path) and not os.path.islink(path):
        linux.mount_tmpfs(path, f"mode=0755,uid={uid},gid={gid},size={_room(path)}")
        return
    _make_writable(parent, without=os.path.relpath(path, parent).split(os.sep)[0])
    os.makedirs(path, 0o755)
    os.chown(path, uid, gid)


def _make_writable(path: str, *, without: str) -> None:
    """Cover a directory by one in memory with the same entries, but for one."""
    real = os.open(path, _PLACE)
    try:
        found = os.fstat(real)
        mode, room = stat.S_IMODE(found.st_mode), _room(path)
        entries = [entry for entry in os.listdir(real) if entry != without]
        linux.mount_tmpfs(path, f"mode={mode:o},uid={found.st_uid},gid={found.st_gid},size={room}")
        for entry in entries:
            _repeat(real, entry, os.path.join(path, entry))
    finally:
        os.close(real)


def _repeat(directory: int, entry: str, path: str) -> None:
    kind = os.lstat(f"/proc/self/fd/{directory}/{entry}").st_mode
    if stat.S_ISLNK(kind):
        os.symlink(os.readlink(entry, dir_fd=directory), path)
        return
    if stat.S_ISDIR(kind):
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    linux.bind(directory, path, entry)


def _room(path: str) -> int:
    found = os.statvfs(path)
    return max(found.f_bavail * found.f_frsize, _PAGE)  # 0 would mean: no limit
