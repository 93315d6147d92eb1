"""The doctor as a process that finds a fault, evidence included: against a green one of the same round.

Only faults at which nothing has to be waited for: each peer answers at once.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from tests.bench.doctor import COMMAND, FAILED
from tests.bench.measure import Bar, Measure
from tests.bench.stage import PROGRAMS, Stage
from tests.support.agents import closed_port
from tests.support.certificates import authority, issue, server_context
from tests.support.real_brain import PROJECT_ROOT
from tests.support.tls_servers import tls_server

_LIMIT = Bar(1.6)


def measure(stage: Stage) -> list[Measure]:
    """Each fault beside a pass."""
    home = stage.fresh_home()
    found: dict[str, list[float]] = {}
    green: list[float] = []
    with ExitStack() as stack:
        faults = {
            "tcp.refused": {"Z4J_BRAIN_URL": f"http://127.0.0.1:{stack.enter_context(closed_port())}"},
            "tls.expired": stack.enter_context(_expired(stage)),
            "auth.token_rejected": {"Z4J_TOKEN": secrets.token_urlsafe(32)},
        }
        name_server = stack.enter_context(_NameServer.beside(stage, home))
        for _ in range(stage.size(stage.rounds + 1, 1)):  # the first writes .pyc files
            green.append(stage.run("ours", *COMMAND, home=home).wall_s)
            for code, env in faults.items():
                run = stage.run("ours", *COMMAND, home=home, env=env, status=FAILED)
                assert run.said["first_failure"] == code, run.said
                found.setdefault(code, []).append(run.wall_s)
            if name_server is not None:
                found.setdefault("dns.nxdomain", []).append(name_server.doctor())
    return [
        Measure(f"`doctor --json`, `{code}`", "s", tuple(took_s[1:]), tuple(green[1:]), "passed", _LIMIT)
        for code, took_s in found.items()
    ]


@contextmanager
def _expired(stage: Stage) -> Iterator[Mapping[str, str]]:
    """The settings for a server whose certificate has expired, at an address: no name is looked up."""
    root = authority("Bench Root CA")
    leaf = issue(root, "127.0.0.1", starts=timedelta(days=-90), expires=timedelta(days=-3.1))
    trusted = root.save(stage.fresh_home() / "root.pem")
    with tls_server(
        server_context(leaf), answer=b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
    ) as server:
        yield {"Z4J_BRAIN_URL": server.url("127.0.0.1"), "Z4J_CA_FILE": trusted}


class _NameServer:
    """A doctor on a machine with a name server that knows no name; in mounts and a network of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @classmethod
    @contextmanager
    def beside(cls, stage: Stage, home: os.PathLike[str]) -> Iterator[_NameServer | None]:
        """None where namespaces are not permitted."""
        unshare = shutil.which("unshare")
        command = [unshare or "", "--map-root-user", "--mount", "--net", "--propagation", "private"]
        if unshare is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            print("no namespaces: dns.nxdomain is left out", file=sys.stderr)
            yield None
            return
        environment = stage.environment("ours") | {"HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT)}
        program = [sys.executable, str(PROGRAMS / "nxdomain_ours.py"), *COMMAND]
        with subprocess.Popen(
            [*command, *program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()

    def doctor(self) -> float:
        """The seconds of one run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        assert said["first_failure"] == "dns.nxdomain", said
        return float(said["wall_s"])
