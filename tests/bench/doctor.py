"""The doctor as a process: green against the real brain, and against an address from which nothing comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage

COMMAND = ("-m", "z4j_fastapi", "doctor", "--json")
# What it can't do without, in any design: a loop, TLS, a database, signatures, and the WebSocket client.
UNAVOIDABLE = "import argparse, asyncio, hmac, json, sqlite3, ssl, websockets.asyncio.client"
BUDGET_S = 5.0


def measure(stage: Stage) -> list[Measure]:
    """Whole processes, from the fork to the exit status."""
    ours, peer, floor = [], [], []
    homes = stage.fresh_home(), stage.fresh_home()
    for _ in range(stage.rounds + 1):  # the first writes .pyc files and state directories
        run = stage.run("ours", *COMMAND, home=homes[0])
        assert run.said["ok"], run.said
        assert all(probe["status"] in ("pass", "skip") for probe in run.said["probes"]), run.said
        ours.append(run.wall_s)
        peer.append(stage.run("peer", *COMMAND, home=homes[1]).wall_s)
        floor.append(stage.run("ours", "-c", UNAVOIDABLE).wall_s)
    rows = [
        Measure("`doctor --json`, all passed", "s", tuple(ours[1:]), tuple(peer[1:]), bar=Bar(0.55)),
        Measure(
            "the same against an empty Python with the unavoidable imports",
            "s",
            tuple(ours[1:]),
            tuple(floor[1:]),
            other_is="floor",
        ),
    ]
    budget_s = 0.5 if stage.smoke else BUDGET_S
    with black_hole() as port:
        took_s = []
        for _ in range(1 if stage.smoke else min(stage.rounds, 3)):
            program = (
                "import sys; from z4j_fastapi.cli.main import main; "
                f"sys.argv = ['z4j-fastapi', 'doctor', '--json', '--timeout', '{budget_s}']\n"
                "try: main()\n"
                "except SystemExit as end: sys.exit(0 if end.code == 1 else 9)"
            )
            run = stage.run(
                "ours", "-c", program, home=homes[0], env={"Z4J_BRAIN_URL": f"http://127.0.0.1:{port}"}
            )
            assert run.said["first_failure"] == "tcp.timeout", run.said
            took_s.append(run.wall_s)
    budgets = tuple(budget_s for _ in took_s)
    return [
        *rows,
        Measure(
            "`doctor --json` to a black-holed address", "s", tuple(took_s), budgets, "its budget", Bar(1.1)
        ),
    ]


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
