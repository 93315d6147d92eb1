"""Acting as a service: its user, groups, capabilities, environment, directory and namespaces.

A child process enters them, gives up every right that the service does not have, does what it was made for,
and hands the result back as JSON. What runs there has been imported before: the service's file system need
not hold this program, and nothing is ever loaded from it into a process that root started.
Not taken over: security modules, and of seccomp filters all but those on kinds of socket.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import pkgutil
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any, NoReturn

from z4j_fastapi.as_service import syscalls as linux
from z4j_fastapi.as_service.errors import CannotActAs
from z4j_fastapi.signals import interruptible
from z4j_probes.systemd_unit import ServiceUnit

# Beside the budget of what is done: to enter the namespaces, and to hand over the result.
_GRACE_S = 10.0
# To the end of a child that was interrupted: it only writes its report.
_FAREWELL_S = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """Where a service lives, as open descriptors; None and nothing where it is where we are.

    A pid namespace is entered by being born in it; `user` comes last, since root of this machine may enter
    all the others, and a process in there may not. `root` and `directory` are the service's own, whatever way
    leads there.
    """

    control_group: int | None = None
    pids: int | None = None
    namespaces: tuple[int, ...] = ()
    user: int | None = None
    root: int | None = None
    directory: int | None = None
    is_foreign: bool = False
    """Whether its file system is another one than ours."""

    def descriptors(self) -> Iterator[int]:
        """All of them."""
        found = (self.control_group, self.pids, *self.namespaces, self.user, self.root, self.directory)
        yield from (descriptor for descriptor in found if descriptor is not None)


@dataclass(frozen=True, slots=True)
class Service:
    """What a service runs as. `capabilities` is its effective set, a mask (capabilities(7)), `unit` the
    systemd unit that it is of.

    `limits` are soft and hard ones by their numbers (getrlimit(2)), `socket_filter` a seccomp filter.
    `uid` and `gid` are those of its own user namespace, `groups` those of ours. `prepare` is called as root
    in the child once its world is entered, for what has to be arranged there.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    environ: Mapping[str, str] = field(repr=False)
    directory: str = "/"
    pid: int = 0
    """The process that all this was read of."""
    control_group: str | None = None
    """The path of its control group, unless it is ours."""
    is_filtered: bool = False
    """Whether it has a seccomp filter."""
    capabilities: int = 0
    umask: int = 0o022
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    socket_filter: bytes | None = None
    unit: ServiceUnit | None = None
    world: World = World()
    prepare: Callable[[], None] | None = None


def act_as(service: Service, act: Callable[[], Mapping[str, Any]], *, budget_s: float) -> Mapping[str, Any]:
    """The result of something that the service itself could have done.

    CannotActAs where the kernel refuses a step, or no result came within `budget_s` and a bit more.
    """
    _import_everything()
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = _fork(service.world.pids)
    if child == 0:
        _be(service, act, writer)
    os.close(writer)
    try:
        said = _hear(reader, child, time.monotonic() + budget_s + _GRACE_S)
    finally:
        os.close(reader)
        for descriptor in service.world.descriptors():
            os.close(descriptor)
        os.waitpid(child, 0)
    result: Mapping[str, Any] = json.loads(said or '{"error": "it ended without a word"}')
    if "error" in result:
        raise CannotActAs(f"can't act as {service.name}: {result['error']}")
    return result


def _fork(pids: int | None) -> int:
    """fork(2), with the child in that pid namespace."""
    if pids is None:
        return os.fork()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    child = None
    try:
        linux.enter_namespace(pids)
        child = os.fork()
        return child
    except OSError as exc:  # its namespace is dying, or root is not root here
        raise CannotActAs(f"can't enter its namespaces: {exc.strerror} ({exc.filename or 'fork'})") from exc
    finally:
        if child != 0:  # what is born in there has no way out
            linux.enter_namespace(own)
        os.close(own)


def _hear(reader: int, child: int, deadline_s: float) -> str:
    """What the child says until it ends. Ctrl-C is passed on; one that hangs is ended."""
    said = bytearray()
    while True:
        try:
            with interruptible():
                ready, _, _ = select.select([reader], [], [], max(0.0, deadline_s - time.monotonic()))
        except KeyboardInterrupt:
            os.kill(child, signal.SIGTERM)
            deadline_s = min(deadline_s, time.monotonic() + _FAREWELL_S)
            continue
        chunk = os.read(reader, 65536) if ready else b""
        said += chunk
        if not ready:
            os.kill(child, signal.SIGKILL)
            return '{"error": "it did not answer: timed out"}'
        if not chunk:
            return said.decode()


def _be(service: Service, act: Callable[[], Mapping[str, Any]], writer: int) -> NoReturn:
    said: Mapping[str, Any]
    try:
        linux.end_with_parent()
        _leave_the_terminal(keep={writer, *service.world.descriptors()})
        run_as(service)
        linux.end_with_parent()  # again: a change of user makes the kernel forget it
        said = act()
    except OSError as exc:
        hint = (
            ": is this root's power limited, as in a container?" if isinstance(exc, PermissionError) else ""
        )
        said = {"error": f"{exc.strerror or exc} ({exc.filename or 'as root'}){hint}"}
    except BaseException as exc:
        said = {"error": type(exc).__name__}  # not what it says: nothing has redacted that
    with contextlib.suppress(OSError), open(writer, "w", encoding="utf-8") as pipe:
        json.dump(said, pipe)
    os._exit(0)  # the parent's buffers and exit handlers are the parent's


def _leave_the_terminal(keep: set[int]) -> None:
    """Be out of reach of root's terminal, and of whatever else it has open (TIOCSTI in ioctl_tty(2))."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    first = 3
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def run_as(service: Service) -> None:
    """Turn this process into the service's equal, for good. OSError where the kernel refuses a step."""
    _enter(service)
    # from here on its own user namespace counts: there it has what can be had, and gives up all but its due
    kept = service.capabilities & linux.capabilities()
    linux.bound_capabilities(kept)
    if kept:  # another user than root has them too, where its unit says so (AmbientCapabilities=)
        linux.keep_capabilities()
    os.setresgid(service.gid, service.gid, service.gid)
    os.setresuid(service.uid, service.uid, service.uid)
    linux.give_up_capabilities(kept)
    linux.lock_down()
    if service.socket_filter is not None:
        linux.filter_system_calls(service.socket_filter)
    if service.world.directory is None:
        os.chdir(service.directory)
    os.environ.clear()
    os.environ.update(service.environ)


def _enter(service: Service) -> None:
    world = service.world
    if world.control_group is not None:
        os.write(world.control_group, b"0")
    for number, limits in service.limits.items():
        with contextlib.suppress(ValueError):  # a root that may not raise its own, as in a container
            resource.setrlimit(number, limits)
    os.umask(service.umask)
    os.setgroups(service.groups)  # a rootless container forbids it inside (user_namespaces(7))
    for descriptor in world.namespaces:
        linux.enter_namespace(descriptor)
    if world.root is not None:
        os.fchdir(world.root)
        os.chroot(".")
    if world.directory is not None:
        os.fchdir(world.directory)
    if service.prepare is not None:
        service.prepare()
    if world.user is not None:
        linux.enter_namespace(world.user)
    for descriptor in world.descriptors():
        os.close(descriptor)
    if world.is_foreign:
        sys.meta_path[:] = [BuiltinImporter, FrozenImporter]


def _import_everything() -> None:
    """What is imported late: in the service's file system it would not be found."""
    import importlib.metadata

    import dns

    import z4j_probes

    for package in (z4j_probes, dns):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):  # dnspython's QUIC and DoH want packages of their own
                importlib.import_module(found.name)
    importlib.metadata.PackageNotFoundError.__name__  # noqa: B018 - it may be one that loads when it is used
    for codec in ("ascii", "latin-1", "idna", "punycode", "unicode-escape", "utf-16-be"):
        codecs.lookup(codec)
    for name in (
        "cryptography.x509",
        "email.utils",
        "shutil",
        "tempfile",
        "unicodedata",
        "_strptime",
        "decimal",
        "uuid",
    ):
        importlib.import_module(name)
