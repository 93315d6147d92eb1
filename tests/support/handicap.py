"""Run a module of Python as a process that lacks something: a user's rights, descriptors, locks, a disk.

    python -m tests.support.handicap user=4242 z4j_fastapi doctor --json

Everything is imported first, since the interpreter and the project may lie where only root can read.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import importlib
import importlib.util
import itertools
import os
import pkgutil
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import InspectLoader
from types import CodeType

# Not what loads a framework or a brain: that takes most of the time, and neither of them needs it.
_PACKAGES = (
    "z4j_probes",
    *(f"z4j_fastapi.{name}" for name in ("agent", "as_service", "buffer", "cli", "commands", "reports")),
)
# fcntl(2) with F_SETLK, F_SETLKW and their open-file-description forms
_LOCKING = (6, 7, 37, 38)
_FCNTL = {"x86_64": 72, "aarch64": 25}
_ENOLCK = 37
_CLONE3 = 435  # the same number everywhere
_CONNECT = {"x86_64": 42, "aarch64": 203}
_EPERM = 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_CLONE_NEWNS = 0x00020000
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE | MS_REC
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def load_everything() -> None:
    """Import what a doctor and an agent import late."""
    for package in _PACKAGES:
        module = importlib.import_module(package)
        for found in pkgutil.walk_packages(module.__path__, f"{package}."):
            if not found.name.endswith(("__main__", ".dev_brain")):
                importlib.import_module(found.name)
    import typer

    for found in pkgutil.walk_packages(typer.__path__, "typer."):
        with contextlib.suppress(ImportError, AssertionError):  # some are for Windows
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    late = ("dns.asyncquery", "certifi", "cryptography.x509", "rich.table", "zoneinfo", "uuid")
    for name in late:
        importlib.import_module(name)
    with contextlib.suppress(ImportError):  # what typer reaches for at the first command, in newer releases
        import pydantic

        pydantic.TypeAdapter(int | None).validate_python("1")
        importlib.import_module("pydantic.plugin._loader")
    for codec in ("ascii", "latin-1", "idna", "utf-8", "unicode-escape", "punycode"):
        codecs.lookup(codec)


def become(user: int) -> None:
    """Another user, known to the system or not, with no group but its own."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def without_descriptors(left: int) -> None:
    """Leave so many descriptors to open."""
    highest = max(number for number in map(int, os.listdir("/proc/self/fd")) if _is_open(number))
    for number in range(3, highest + 1):
        if not _is_open(number):
            os.dup2(os.open(os.devnull, os.O_RDONLY), number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + left, highest + 1 + left))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def without_locks() -> None:
    """File locks fail with ENOLCK, as on NFS without its lock daemon."""
    _forbid(_FCNTL[platform.machine()], _LOCKING, _ENOLCK)


def without_connect() -> None:
    """connect(2) fails with EPERM, as under a sandbox's filter."""
    _forbid(_CONNECT[platform.machine()], (), _EPERM)


def without_clone3() -> None:
    """clone3(2) fails with EPERM, as under the seccomp profile of Docker before 20.10.10."""
    _forbid(_CLONE3, (), _EPERM)


def with_a_dead_mount(path: str) -> None:
    """Mount a file system whose server never answers (FUSE); it ends with this process."""
    server = os.open("/dev/fuse", os.O_RDWR)
    _mount("fuse", path, f"fd={server},rootmode=40000,user_id=0,group_id=0")


def with_a_closed_directory(path: str) -> None:
    """Cover a directory by an empty one that root alone may write."""
    _mount("tmpfs", path, "mode=0755")


def _mount(kind: str, path: str, options: str) -> None:
    """Mount that in a mount table of this process's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, _PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if libc.mount(b"none", path.encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {path}")


def _forbid(call: int, second_arguments: tuple[int, ...], error: int) -> None:
    """A seccomp filter: that system call, with one of these as its second argument, fails."""
    load, equal, end = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0), (equal, 0, len(second_arguments) + 1, call)]
    if second_arguments:
        program.append((load, 0, 0, 24))  # struct seccomp_data: args[1], its lower half
        count = len(second_arguments)
        for index, value in enumerate(second_arguments):
            program.append((equal, count - index, 0, value))
        program.append((end, 0, 0, _ALLOW))
        program.append((end, 0, 0, _ERRNO | error))
    else:
        program += [(end, 0, 0, _ERRNO | error), (end, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(_PR_SET_SECCOMP, _FILTER, header) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def main() -> None:
    """Take away what the arguments name, and run the module."""
    arguments = sys.argv[1:]
    load_everything()
    handicaps = list(itertools.takewhile(lambda argument: "=" in argument, arguments))
    module, *arguments = arguments[len(handicaps) :]
    run(module, arguments, handicaps)


def run(module: str, arguments: Sequence[str], handicaps: Iterable[str]) -> None:
    """What `python -m module` does, in a process from which this was taken away first."""
    program = _load(module)
    for handicap in handicaps:
        _take_away(*handicap.split("=", 1))
    sys.argv = [program.co_filename, *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    exec(program, {"__name__": "__main__", "__builtins__": __builtins__})


def _take_away(name: str, value: str) -> None:
    match name:
        case "user":
            become(int(value))
        case "descriptors":
            without_descriptors(int(value))
        case "locks":
            without_locks()
        case "threads":
            resource.setrlimit(resource.RLIMIT_NPROC, (int(value), int(value)))
        case "size":
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), int(value)))
        case "connect":
            without_connect()
        case "clone3":
            without_clone3()
        case "dead_mount":
            with_a_dead_mount(value)
        case "closed":
            with_a_closed_directory(value)
        case "umask":
            os.umask(int(value, 8))
        case _:
            raise SystemExit(f"no such handicap: {name}")


def _load(module: str) -> CodeType:
    """What `python -m module` would run, read while it can still be."""
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{module}.__main__")
    assert spec is not None
    assert isinstance(spec.loader, InspectLoader)
    code = spec.loader.get_code(spec.name)
    assert code is not None
    return code


if __name__ == "__main__":
    main()
