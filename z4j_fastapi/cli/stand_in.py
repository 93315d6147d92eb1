"""Standing in for a service: its user, groups, capabilities, environment, directory and namespaces.

A child process enters them, gives up every right that the service has not, climbs, and hands the report
back as JSON. What runs there has been imported before: the service's file system need not hold this program.
Not taken over: seccomp filters, security modules and control groups.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from z4j_fastapi.cli.output import usage_error
from z4j_probes import Report

# <linux/sched.h>, <sys/prctl.h>, <linux/capability.h>
CLONE_NEWNS = 0x00020000
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Service:
    """What a service runs as. `capabilities` is its effective set, a mask (capabilities(7)).

    `namespaces` are open descriptors, the mount namespace last; `prepare` is called as root in the child once
    they are entered, for what has to be arranged there.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    environ: Mapping[str, str]
    directory: str = "/"
    capabilities: int = 0
    namespaces: tuple[int, ...] = ()
    prepare: Callable[[], None] | None = None


def climb_as(service: Service, climb: Callable[[], Report]) -> Report:
    """The report of a climb that the service itself could have made."""
    _import_everything()
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be(service, climb, writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        try:
            said = json.loads(pipe.read() or '{"error": "it ended without a word"}')
        except KeyboardInterrupt:
            os.kill(child, signal.SIGINT)
            said = json.loads(pipe.read() or '{"error": "interrupted"}')
    os.waitpid(child, 0)
    if "error" in said:
        usage_error(f"can't stand in for {service.name}: {said['error']}")
    return Report.from_dict(said)


def _be(service: Service, climb: Callable[[], Report], writer: int) -> NoReturn:
    said: Mapping[str, object]
    try:
        become(service)
        said = climb().to_dict()
    except OSError as exc:
        said = {"error": f"{exc.strerror or exc} ({exc.filename or 'as root?'})"}
    except BaseException as exc:
        said = {"error": f"{type(exc).__name__}: {exc}"}
    with contextlib.suppress(OSError), open(writer, "w", encoding="utf-8") as pipe:
        json.dump(said, pipe)
    os._exit(0)  # the parent's buffers and exit handlers are the parent's


def become(service: Service) -> None:
    """Turn this process into the service's equal, for good. OSError where the kernel refuses a step."""
    mine = _own_capabilities()  # more than that nobody can pass on
    for descriptor in service.namespaces:
        _check(_libc.setns(descriptor, 0), "setns")
        os.close(descriptor)
    if service.prepare is not None:
        service.prepare()
    for capability in range(_LAST_CAPABILITY + 1):
        if not service.capabilities >> capability & 1:
            # EINVAL: this kernel has no such capability, so nobody has it
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups(service.groups)
    os.setresgid(service.gid, service.gid, service.gid)
    os.setresuid(service.uid, service.uid, service.uid)
    _set_capabilities(service.capabilities & mine if service.uid == 0 else 0)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    os.chdir(service.directory)
    os.environ.clear()
    os.environ.update(service.environ)


def unshare_mounts() -> None:
    """Have mounts of our own, of which nobody else hears."""
    private_and_recursive = 1 << 18 | 1 << 14
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _check(_libc.mount(b"none", b"/", None, private_and_recursive, None), "/")


def mount_tmpfs(path: str, options: str) -> None:
    """Cover a directory by an empty one."""
    _check(_libc.mount(b"none", os.fsencode(path), b"tmpfs", 0, options.encode()), path)


def _own_capabilities() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapPrm:"))


def _set_capabilities(mask: int) -> None:
    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low halves, then high ones
    words[0] = words[1] = mask & 0xFFFFFFFF
    words[3] = words[4] = mask >> 32
    _check(_libc.capset(ctypes.byref(Header(_CAPABILITY_VERSION_3, 0)), words), "capset")


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _import_everything() -> None:
    """What a climb imports late: in the service's file system it would not be found."""
    import dns

    import z4j_probes

    for package in (z4j_probes, dns):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):  # dnspython's QUIC and DoH want packages of their own
                importlib.import_module(found.name)
    for codec in ("ascii", "latin-1", "idna", "punycode", "unicode-escape"):
        codecs.lookup(codec)
    for name in ("certifi", "cryptography.x509", "unicodedata", "decimal", "uuid"):
        importlib.import_module(name)
