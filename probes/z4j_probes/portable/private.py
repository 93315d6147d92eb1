"""What is closed to other users: by modes on Unix, by access control lists (ACLs) on Windows.

Weaker on Windows: administrators are no strangers there, and a file system without ACLs (FAT, some network
shares) closes nothing to anyone, which is not objected to.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from pathlib import Path

from z4j_probes.portable import files, flags, user

# [MS-DTYP] 2.4.2.4, as SDDL abbreviates them: the system, administrators, the owner, and who creates a file.
_TRUSTED = frozenset({"SY", "BA", "OW", "CO", "LA", "S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"})
_INSTALLER = "S-1-5-80-"  # services, TrustedInstaller among them, own the system's directories
_NAMES = {
    "WD": "everyone",
    "AU": "every signed-in user",
    "BU": "all users",
    "IU": "every interactive user",
    "S-1-1-0": "everyone",
    "S-1-5-11": "every signed-in user",
    "S-1-5-32-545": "all users",
}
# FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL and _WRITE
_CHANGES = 0x2 | 0x4 | 0x40 | 0x10000 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000
_CHANGES_IN_LETTERS = frozenset({"FA", "FW", "GA", "GW", "DC", "LC", "DT", "SD", "WD", "WO"})
_ENTRY = r"\(([^()]*(?:\([^()]*\))?[^()]*)\)"
_OWNER = r"^O:(S-[\d-]+|[A-Z]{2})"


def make(path: Path) -> None:
    """Create the directory, closed to others, if it is not there. Raises OSError."""
    path.mkdir(mode=0o700, exist_ok=True)


def close_to_others(path: Path) -> None:
    """Close a directory of this user's to others. What stays open is the caller's to refuse."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            if not files.is_link(path) and objection_to_private(path):
                _set_acl(str(path), _own_list("OICI"))
        elif hasattr(os, "fchmod"):
            # by descriptor, so that it is the directory that was looked at
            descriptor = os.open(path, flags.READ | flags.DIRECTORY | flags.NOFOLLOW)
            try:
                found = os.fstat(descriptor)
                if user.owns(found) and found.st_mode & 0o077:
                    os.fchmod(descriptor, 0o700)
            finally:
                os.close(descriptor)


def close_new_file(path: Path) -> None:
    """Close a file that `tempfile` made to others, as Unix does by itself, before anything is in it."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            _set_acl(str(path), _own_list())


def objection_to_private(path: Path) -> str:
    """What speaks against it as a directory of only this user's; empty if nothing does. Raises OSError."""
    found = path.lstat()
    if files.is_link(path):
        return "is a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory"
    if sys.platform == "win32":
        return objection_in(_acl(str(path)), _own_sid(), to_reading=True)
    if not user.owns(found):
        return f"belongs to uid {found.st_uid}"
    if found.st_mode & 0o077:
        return f"is accessible to other users (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def objection_to_shared(path: Path) -> str:
    """Why another user could exchange what is put there; empty if none could. Raises OSError."""
    found = path.stat()
    if sys.platform == "win32":
        return objection_in(_acl(str(path)), _own_sid(), to_reading=False)
    if not user.owns(found) and found.st_uid != 0:
        return f"belongs to uid {found.st_uid}"
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        return "is writable by every user"
    return ""


def objection_in(sddl: str, own: str, *, to_reading: bool) -> str:
    """The same from a security descriptor in Windows' text form, for the user with the SID `own`.

    A descriptor without a list is that of a file system without ACLs.
    """
    owner = re.match(_OWNER, sddl)
    if owner and not _is_trusted(owner[1], own) and not owner[1].startswith(_INSTALLER):
        return f"belongs to {_NAMES.get(owner[1], owner[1])}"
    for entry in (found[1] for found in re.finditer(_ENTRY, sddl)):
        kind, _, rights, _, _, sid = (entry.split(";") + [""] * 6)[:6]
        if kind not in ("A", "XA") or _is_trusted(sid, own):
            continue
        if to_reading or _may_change(rights):
            verb = "is accessible to" if to_reading else "is writable by"
            return f"{verb} {_NAMES.get(sid, sid)}"
    return ""


def _is_trusted(sid: str, own: str) -> bool:
    return sid == own or sid in _TRUSTED


def _may_change(rights: str) -> bool:
    if rights.startswith("0x"):
        return bool(int(rights, 16) & _CHANGES)
    return any(rights[at : at + 2] in _CHANGES_IN_LETTERS for at in range(0, len(rights), 2))


if sys.platform == "win32":
    import ctypes
    from ctypes import byref, wintypes

    _FILE_OBJECT, _OWNER_AND_LIST, _LIST, _PROTECTED = 1, 0x1 | 0x4, 0x4, 0x80000000
    _TOKEN_QUERY, _TOKEN_USER, _REVISION = 0x8, 1, 1

    def _advapi() -> ctypes.WinDLL:
        return ctypes.WinDLL("advapi32", use_last_error=True)

    def _require(is_done: int) -> None:
        if not is_done:
            raise ctypes.WinError(ctypes.get_last_error())

    def _free(*pointers: ctypes.c_void_p | wintypes.LPWSTR) -> None:
        for pointer in pointers:
            ctypes.WinDLL("kernel32").LocalFree(ctypes.cast(pointer, ctypes.c_void_p))

    def _acl(path: str) -> str:
        """Owner and access control list, as SDDL."""
        advapi, descriptor, text = _advapi(), ctypes.c_void_p(), wintypes.LPWSTR()
        code = advapi.GetNamedSecurityInfoW(
            wintypes.LPCWSTR(path), _FILE_OBJECT, _OWNER_AND_LIST, None, None, None, None, byref(descriptor)
        )
        if code:
            raise ctypes.WinError(code)
        try:
            _require(
                advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, _REVISION, _OWNER_AND_LIST, byref(text), None
                )
            )
            return text.value or ""
        finally:
            _free(descriptor, text)

    def _own_list(inherited: str = "") -> str:
        """A list of the system, administrators, and this user: no one else may do anything there."""
        return "D:P" + "".join(f"(A;{inherited};FA;;;{sid})" for sid in ("SY", "BA", _own_sid()))

    def _set_acl(path: str, sddl: str) -> None:
        advapi, descriptor = _advapi(), ctypes.c_void_p()
        _require(
            advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wintypes.LPCWSTR(sddl), _REVISION, byref(descriptor), None
            )
        )
        try:
            _require(advapi.SetFileSecurityW(wintypes.LPCWSTR(path), _LIST | _PROTECTED, descriptor))
        finally:
            _free(descriptor)

    def _own_sid() -> str:
        """The SID of the user of this process."""
        advapi, kernel32 = _advapi(), ctypes.WinDLL("kernel32", use_last_error=True)
        kernel32.GetCurrentProcess.restype = wintypes.HANDLE
        kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
        advapi.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.c_void_p]
        advapi.GetTokenInformation.argtypes = [
            wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD, ctypes.c_void_p,
        ]  # fmt: skip
        token, size, text = wintypes.HANDLE(), wintypes.DWORD(), wintypes.LPWSTR()
        _require(advapi.OpenProcessToken(kernel32.GetCurrentProcess(), _TOKEN_QUERY, byref(token)))
        try:
            found = ctypes.create_string_buffer(256)  # a SID has at most 68 bytes
            _require(advapi.GetTokenInformation(token, _TOKEN_USER, found, len(found), byref(size)))
            sid = ctypes.cast(found, ctypes.POINTER(ctypes.c_void_p))[0]
            _require(advapi.ConvertSidToStringSidW(ctypes.c_void_p(sid), byref(text)))
            return text.value or ""
        finally:
            kernel32.CloseHandle(token)
            _free(text)
