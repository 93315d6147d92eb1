"""RestrictAddressFamilies=: which kinds of socket a service may open, as a seccomp filter (seccomp(2)).

The kernel shows that a process has filters, and not which; so one is made of what systemd says of the unit.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct

# <linux/bpf_common.h>, <linux/seccomp.h>; the number of socket(2) and AUDIT_ARCH_… of the machine.
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_MACHINES = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}


def has_filter() -> bool:
    """Whether a filter can be made for this machine."""
    return platform.machine() in _MACHINES


def restricts(shown: str) -> bool:
    """Whether RestrictAddressFamilies=, as systemd shows it, keeps a service from anything."""
    return shown not in ("", "~")


def filter_of(shown: str) -> bytes:
    """The filter of such a value (`AF_UNIX AF_INET`, `none`, or with a ~ what is refused)."""
    number, architecture = _MACHINES[platform.machine()]
    is_deny_list = shown.startswith("~")
    names = [name for name in shown.removeprefix("~").split() if name != "none"]
    families = [getattr(socket, name) for name in names if hasattr(socket, name)]
    matched, other = (_REFUSE, _ALLOW) if is_deny_list else (_ALLOW, _REFUSE)
    rest = len(families) + 2  # the comparisons and the two returns that follow them, of which one is skipped
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 0, rest + 3, architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_EQUAL, 0, rest + 1, number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *((_JUMP_EQUAL, len(families) - n, 0, family) for n, family in enumerate(families)),
        (_RETURN, 0, 0, other),
        (_RETURN, 0, 0, matched),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
