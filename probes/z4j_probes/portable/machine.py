"""This machine's identity: one that survives a change of its network, and so of its host name."""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

# Where systemd and D-Bus keep it. Slim containers have neither.
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_PREFERENCES = Path("/Library/Preferences/SystemConfiguration/preferences.plist")


def machine_id(files: tuple[Path, ...] = MACHINE_ID_FILES) -> str | None:
    """The system's own id: machine-id(5), macOS's hardware UUID, Windows' MachineGuid; None without one."""
    if sys.platform == "win32":
        return _machine_guid()
    if sys.platform == "darwin":
        return _hardware_uuid()
    for file in files:
        try:
            found = file.read_text("ascii").strip()
        except (OSError, ValueError):
            continue
        # systemd writes this word into images that have not booted yet (machine-id(5)).
        if found and found != "uninitialized":
            return found
    return None


def host_name() -> str:
    """The host name, which is a container's own; on macOS the one that is set, not the network's."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):
            return local_host_name(_PREFERENCES.read_bytes()) or socket.gethostname()
    return socket.gethostname()


def local_host_name(preferences: bytes) -> str | None:
    """LocalHostName, as macOS's preferences of the system configuration keep it (scutil(8)); None without.

    gethostname(3) gives what the network's DHCP or reverse DNS says, where no HostName is set.
    """
    import plistlib

    try:
        found = plistlib.loads(preferences)["System"]["Network"]["HostNames"]["LocalHostName"]
    except (ValueError, KeyError, TypeError, plistlib.InvalidFileException):
        return None
    return found if isinstance(found, str) and found else None


def _machine_guid() -> str | None:
    if sys.platform == "win32":
        import winreg

        with contextlib.suppress(OSError):
            access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
            path = r"SOFTWARE\Microsoft\Cryptography"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, access) as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    return None


def _hardware_uuid() -> str | None:
    """By gethostuuid(2) of macOS, which asks no other program."""
    import ctypes
    import uuid

    try:
        ask = ctypes.CDLL(None).gethostuuid
    except (OSError, AttributeError, TypeError):
        return None
    found = (ctypes.c_ubyte * 16)()
    wait = (ctypes.c_long * 2)(1, 0)  # a timespec: seconds and nanoseconds
    if ask(found, ctypes.byref(wait)) != 0:
        return None
    return str(uuid.UUID(bytes=bytes(found)))
