"""A process as in a rootless container: namespaces, users and files of its own, and none of this project's.

Its user namespace calls this machine's uid 100000 root. Its file system hides the interpreter's library and
the project: whoever looks at it from outside has to bring along what it needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.namespaces import ROOT
from tests.support.programs import unavailable

FIRST_UID = 100_000
HOSTNAME = "inner-host"

_PROGRAM = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
user, state, first, hostname, *hidden = sys.argv[1:]
user, first = int(user), int(first)

def do(status):
    if status != 0:
        sys.exit(os.strerror(ctypes.get_errno()))

outer, (unshared, begin), (mapped, done) = os.getpid(), os.pipe(), os.pipe()
helper = os.fork()
if helper == 0:  # only from outside a whole range can be mapped
    os.read(unshared, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{outer}/{name}", "w") as file:
            file.write(f"0 {first} 65536")
    os.write(done, b"x")
    os._exit(0)
do(libc.unshare(0x10000000 | 0x20000 | 0x4000000 | 0x20000000))  # user, mnt, uts, pid
os.write(begin, b"x")
os.read(mapped, 1)
os.waitpid(helper, 0)
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
inner = os.fork()
if inner:
    print(inner, flush=True)
    os._exit(os.waitpid(inner, 0)[1] >> 8)
do(libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None))
do(libc.sethostname(hostname.encode(), len(hostname)))
files = {name: open(os.path.join(state, name), "rb").read() for name in os.listdir(state)}
for path in (state, *hidden):
    do(libc.mount(b"none", path.encode(), b"tmpfs", 0, b"mode=0755"))
for name, content in files.items():
    with open(os.path.join(state, name), "wb") as file:
        file.write(content)
place = os.path.join(state, "own")
os.mkdir(place, 0o700)
os.chown(place, user, user)
if user:
    os.setgroups([user + 5])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
os.chdir(place)
print("there", flush=True)
sys.stdin.read()
os._exit(0)
"""


@contextmanager
def container(state: Path, environ: Mapping[str, str], *, user: int) -> Iterator[int]:
    """The pid, here, of a process of that user. In there `state` has a copy of its files, and `own`."""
    if os.geteuid() != 0:
        unavailable("mapping users needs root")
    library = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    hidden = {_reachable(path) for path in (str(ROOT), *library)}
    outermost = [path for path in sorted(hidden) if not any(path.startswith(f"{other}/") for other in hidden)]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(user), str(state), str(FIRST_UID), HOSTNAME, *outermost],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        # which of the two processes speaks first is chance
        said = {process.stdout.readline().strip(), process.stdout.readline().strip()}
        if "there" not in said:
            assert process.stderr is not None
            unavailable(f"no containers here: {process.stderr.read()}")
        yield int(next(line for line in said if line != "there"))
    finally:
        process.communicate()


def _reachable(path: str) -> str:
    """The path, or what is above it and closed to others: in a container nobody gets any further."""
    for part in (*reversed(Path(path).parents), Path(path)):
        if not part.stat().st_mode & 0o001:
            return str(part)
    return path
