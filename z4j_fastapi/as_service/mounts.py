"""Directories that systemd would hand to a service, in mounts of this process's own: the machine keeps its.

`linux.unshare_mounts()` comes first; everything here is then seen by only this process and its children.
"""

from __future__ import annotations

import os
import stat

from z4j_fastapi.as_service import syscalls as linux

_PAGE = 4096
_PLACE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def give_directory(path: str, uid: int, gid: int) -> None:
    """Make a StateDirectory= or the like the service's, as systemd does at each start."""
    try:
        real = os.open(path, _PLACE)
    except FileNotFoundError:
        _give_new(path, uid, gid)
        return
    try:
        is_theirs = os.fstat(real).st_uid == uid
        if os.path.islink(path) or not is_theirs:  # a link leads to a directory that only root may enter
            _give_new(path, uid, gid)
        if is_theirs:
            linux.bind(real, path)
            linux.make_writable(path)  # ProtectSystem=strict leaves these directories out
    finally:
        os.close(real)


def show_at(directory: str, path: str) -> None:
    """Have a directory appear at another path too, which need not be there."""
    real = os.open(directory, _PLACE)
    try:
        _give_new(path, 0, 0)
        linux.bind(real, path)
    finally:
        os.close(real)


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
