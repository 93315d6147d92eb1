"""The doctor as a process: green against the real brain, and against an address from which nothing comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Run, Stage

# A machine's own pace varies by a third from one moment to the next; a run is a quarter of a second.
RUNS_PER_ROUND = 3
COMMAND = ("-m", "z4j_fastapi", "doctor", "--json")
FAILED = 1
# What it can't do without, in any design: a loop, TLS, a database, signatures, and the WebSocket client.
UNAVOIDABLE = "import argparse, asyncio, hmac, json, sqlite3, ssl, websockets.asyncio.client"
BUDGET_S = 5.0
# What the env file has, and the environment beside it has not.
_IN_FILE = dict.fromkeys(
    ("Z4J_BRAIN_URL", "Z4J_TOKEN", "Z4J_HMAC_SECRET", "Z4J_PROJECT_ID", "Z4J_AGENT_NAME")
)


def measure(stage: Stage) -> list[Measure]:
    """Whole processes, from the fork to the exit status."""
    return [*_green(stage), _black_hole(stage)]


def _green(stage: Stage) -> list[Measure]:
    homes = stage.fresh_home(), stage.fresh_home()
    file = _env_file(stage)
    name = {"Z4J_BRAIN_URL": stage.brain.url.replace("127.0.0.1", "localhost")}
    ours, peer, floor, from_file, tables, named = [], [], [], [], [], []
    runs = RUNS_PER_ROUND * stage.rounds + 1  # the first writes .pyc files and state directories
    for _ in range(stage.size(runs, 1)):
        ours.append(_passed(stage.run("ours", *COMMAND, home=homes[0])))
        peer.append(stage.run("peer", *COMMAND, home=homes[1]).wall_s)
        floor.append(stage.run("ours", "-c", UNAVOIDABLE).wall_s)
        run = stage.run("ours", *COMMAND, "--env-file", str(file), home=homes[0], env=_IN_FILE)
        from_file.append(_passed(run))
        run = stage.run(
            "ours", *COMMAND[:-1], home=homes[0], env={"TERM": "xterm-256color"}, on_terminal=True
        )
        assert "\x1b[" in run.said, run.said  # rich, in color
        tables.append(run.wall_s)
        named.append(_passed(stage.run("ours", *COMMAND, home=homes[0], env=name)))
    against = tuple(floor[1:])
    return [
        Measure("`doctor --json`, all passed", "s", tuple(ours[1:]), tuple(peer[1:]), bar=Bar(0.45)),
        Measure(
            "the same against an empty Python with the unavoidable imports",
            "s",
            tuple(ours[1:]),
            against,
            "floor",
            Bar(1.4),
        ),
        Measure(
            "the same, settings from `--env-file`", "s", tuple(from_file[1:]), against, "floor", Bar(1.4)
        ),
        Measure("`doctor` on a terminal: the table", "s", tuple(tables[1:]), against, "floor", Bar(1.9)),
        Measure("`doctor --json`, a brain with a name", "s", tuple(named[1:]), against, "floor"),
    ]


def _passed(run: Run) -> float:
    assert run.said["ok"], run.said
    assert all(probe["status"] in ("pass", "skip") for probe in run.said["probes"]), run.said
    return run.wall_s


def _env_file(stage: Stage) -> Path:
    settings = stage.environment("ours")
    path = stage.fresh_home() / "service.env"
    path.write_text("".join(f"{name}={settings[name]}\n" for name in _IN_FILE))
    path.chmod(0o600)
    return path


def _black_hole(stage: Stage) -> Measure:
    budget_s = 0.5 if stage.smoke else BUDGET_S
    home = stage.fresh_home()
    with black_hole() as port:
        took_s = []
        for _ in range(1 if stage.smoke else min(stage.rounds, 3)):
            run = stage.run(
                "ours",
                *COMMAND,
                "--timeout",
                str(budget_s),
                home=home,
                env={"Z4J_BRAIN_URL": f"http://127.0.0.1:{port}"},
                status=FAILED,
            )
            assert run.said["first_failure"] == "tcp.timeout", run.said
            took_s.append(run.wall_s)
    budgets = tuple(budget_s for _ in took_s)
    return Measure(
        "`doctor --json` to a black-holed address", "s", tuple(took_s), budgets, "its budget", Bar(1.1)
    )


@contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel answers no SYN to it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.append(client)
        try:
            yield port
        finally:
            for client in waiting:
                client.close()
