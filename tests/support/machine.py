"""A small Debian with a systemd of its own, booted in a container, where units can do what they like.

`.ci/systemd-root` makes its root directory. It is booted over an overlay in memory, in a mount namespace
whose /tmp and /run are new, and whether that is so is looked at before anything is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import ROOT

DIRECTORY = Path(ROOT) / ".systemd" / "root"
READY = DIRECTORY.parent / ".ready-1"
PYTHON = "/opt/my-service/bin/python"
BRAIN_ENV = "/run/brain.env"
_BOOT_S = 90.0
_RUN_S = 120.0

# Nothing of it is done where the namespace is not our own: then a systemd would be let loose on this machine.
_ENTER = """
set -e
[ "$(readlink /proc/self/ns/mnt)" != "$(readlink /proc/1/ns/mnt)" ]
mount -t tmpfs none /tmp
mount -t tmpfs -o mode=0755 none /run
[ -z "$(ls -A /tmp /run | grep -v :)" ]
if [ ! -e /sys/fs/cgroup/cgroup.procs ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
mkdir "/sys/fs/cgroup/$NAME"
echo 0 > "/sys/fs/cgroup/$NAME/cgroup.procs"
run() {
    systemd-nspawn --quiet --directory="$ROOT" --volatile=overlay --machine="$NAME" --register=no \\
        --keep-unit --private-network --link-journal=no --resolv-conf=off --timezone=off \\
        --bind-ro="$PROJECT:/z4j" --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON \\
        --system-call-filter=bpf "$@" < /dev/null
}
run --as-pid2 /bin/sh -c '
    for place in / /dev /run /tmp; do
        awk -v place="$place" "\\$5 == place { kind = \\$(NF-2) } END { exit kind !~ /^(tmpfs|overlay)$/ }" \\
            /proc/self/mountinfo || { echo "$place is not its own"; exit 1; }
    done'
echo isolated
run --boot --console=read-only
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A booted one; `leader` is its first process, as this machine counts them."""

    leader: int

    def run(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root, in a unit of its own."""
        enter = "nsenter --mount --uts --ipc --net --pid --cgroup --root --wd=/ --target"
        run = "systemd-run --quiet --pipe --wait --collect /bin/bash -s"
        done = subprocess.run(
            [*enter.split(), str(self.leader), "--", *run.split()],
            input=script,
            capture_output=True,
            text=True,
            timeout=_RUN_S,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{script}\n{done.stdout}\n{done.stderr}")
        return done

    def unit(self, name: str, text: str) -> None:
        """Write a service's file, and let systemd read it."""
        self.run(f"cat > /run/systemd/system/{name} <<'END'\n{text}\nEND\nsystemctl daemon-reload")

    def doctor(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """Its doctor's exit status, report (empty where it made none) and stderr."""
        done = self.run(
            shlex.join([PYTHON, "-m", "z4j_fastapi", "doctor", "--json", *arguments]), check=False
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def pid(self, unit: str) -> int:
        """A unit's main process, as that machine counts them."""
        return int(self.run(f"systemctl show --property=MainPID --value {unit}").stdout)


@contextmanager
def booted() -> Iterator[Machine]:
    """One for as long as the context lasts; the test is skipped where that is not possible."""
    if os.geteuid() != 0:
        pytest.skip("booting a systemd needs root")
    if not READY.exists():
        pytest.skip("no root directory to boot: make systemd")
    if shutil.which("systemd-nspawn") is None or shutil.which("nsenter") is None:
        pytest.skip("booting a systemd needs systemd-nspawn and nsenter")
    name = f"z4j-{os.getpid()}"
    log = DIRECTORY.parent / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "/bin/bash", "-c", _ENTER],
            env={"PATH": os.environ["PATH"], "NAME": name, "ROOT": str(DIRECTORY), "PROJECT": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _when_running(process, log)
    finally:
        for child in reversed(_descendants(process.pid)[:1]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, 15)  # systemd-nspawn: it shuts its machine down
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            for child in _descendants(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)
            process.wait()
        log.unlink()
        _remove_group(name)


def _when_running(process: subprocess.Popen[bytes], log: Path) -> Machine:
    deadline_s = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            pytest.skip(f"no systemd can be booted here: {log.read_text()[-500:]}")
        found = _descendants(process.pid)  # systemd-nspawn, and its first process
        if "isolated" in log.read_text() and len(found) > 1:
            machine = Machine(found[1])
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                if machine.run("systemctl is-system-running --wait || true").stdout.strip():
                    return machine
        time.sleep(0.1)
    pytest.skip(f"systemd did not boot within {_BOOT_S:.0f} s: {log.read_text()[-500:]}")


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _remove_group(name: str) -> None:
    for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        for directory, _, _ in os.walk(f"{mount}/{name}", topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
