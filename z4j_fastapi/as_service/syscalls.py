"""System calls of Linux that Python 3.11 has no names for: namespaces, mounts, capabilities, no way back."""

from __future__ import annotations

import ctypes
import os
import signal

# <linux/sched.h>, <sys/mount.h>, <sys/prctl.h>, <linux/capability.h>
_CLONE_NEWNS = 0x00020000
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def enter_namespace(descriptor: int) -> None:
    """setns(2): this process is in that namespace (with a pid namespace: its children to come)."""
    _check(_libc.setns(descriptor, 0), "setns")


def unshare_mounts() -> None:
    """Have mounts of our own, which no other process sees."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", None, _MS_PRIVATE | _MS_REC, "")


def mount_tmpfs(path: str, options: str) -> None:
    """Cover a directory by an empty one."""
    _mount("none", path, "tmpfs", 0, options)


def bind(directory: int, path: str, entry: str = ".") -> None:
    """Have an open directory, or an entry of it, appear at that path too, with what is mounted below."""
    _mount(f"/proc/self/fd/{directory}/{entry}", path, None, _MS_BIND | _MS_REC, "")


def make_writable(path: str) -> None:
    """Let what is mounted there be written, if only its mount forbids it."""
    _mount("none", path, None, _MS_REMOUNT | _MS_BIND, "")


def capabilities() -> int:
    """What this process may become capable of: its permitted set (capabilities(7))."""
    words = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), words), "capget")
    return words[1] | words[4] << 32


def keep_capabilities() -> None:
    """Let a change of the user leave what is permitted."""
    _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")


def give_up_capabilities(kept: int) -> None:
    """Have these and no others."""
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low halves, then high ones
    words[0] = words[1] = kept & 0xFFFFFFFF
    words[3] = words[4] = kept >> 32
    _check(_libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), words), "capset")


def bound_capabilities(kept: int) -> None:
    """Never again have others than these, whatever is executed."""
    for capability in range(_LAST_CAPABILITY + 1):
        if not kept >> capability & 1:
            # EINVAL: this kernel has no such capability, so no process has it
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def end_with_parent() -> None:
    """Be killed once the process that forked this one is gone, whatever ended it."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")


def lock_down() -> None:
    """Gain nothing by executing a set-user-ID program, and let no process of the same user look inside."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def filter_system_calls(program: bytes) -> None:
    """Install a seccomp filter (instructions of 8 bytes each) for good; no new privileges comes first."""
    code = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0), "seccomp")


def _mount(source: str, path: str, kind: str | None, flags: int, options: str) -> None:
    kind_ = kind.encode() if kind else None
    status = _libc.mount(
        os.fsencode(source), os.fsencode(path), kind_, ctypes.c_ulong(flags), options.encode()
    )
    _check(status, f"mount {path}")


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
