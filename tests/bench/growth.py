"""What grows with the work: measured at several sizes, and drawn as one plot each."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.dev_brain import dev_brain_process
from tests.bench.measure import percentile
from tests.bench.stage import PROGRAMS, Stage
from tests.support.agents import closed_port

MEGABYTE = 1024.0


@dataclass(frozen=True, slots=True)
class Plot:
    """Points from small to large, and the names of the file, the plot and both axes."""

    name: str
    title: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]


def measure(stage: Stage) -> list[Plot]:
    """All plots."""
    return [_emit(stage), _delivery(stage), _sessions(stage)]


def draw(plots: list[Plot], directory: Path) -> None:
    """As PNG and SVG, the same bytes for the same points."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "z4j"
    for plot in plots:
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*plot.points, strict=True), marker="o")
        axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y, xscale="log")
        axes.set_ylim(0, 1.1 * max(y for _, y in plot.points))
        axes.grid(visible=True, alpha=0.3)
        figure.savefig(directory / f"{plot.name}.svg", metadata={"Date": None})
        figure.savefig(directory / f"{plot.name}.png", dpi=120, metadata={"Software": None})


def _emit(stage: Stage) -> Plot:
    home, filled, points = stage.fresh_home(), 0, []
    with closed_port() as port:
        env = {"Z4J_BRAIN_URL": f"http://127.0.0.1:{port}"}
        for events in (10**3, 10**4, 10**5, 10**6, 2 * 10**6, 4 * 10**6)[: stage.size(6, 2)]:
            stage.program("ours", "fill", str(events - filled), "0", home=home, env=env)
            filled, took = events, []
            for _ in range(stage.rounds):
                count = stage.size(5000, 10)
                took.append(percentile(_took_us(stage, count, home, env), 0.99))
                filled += count
            points.append((events, sorted(took)[len(took) // 2]))
    title = "emit, p99, over events that are buffered already"
    return Plot("bench-emit", title, "buffered events", "µs", tuple(points))


def _took_us(stage: Stage, count: int, home: Path, env: dict[str, str]) -> list[float]:
    took: list[float] = stage.program("ours", "emit", str(count), home=home, env=env).said["took_us"]
    return took


def _delivery(stage: Stage) -> Plot:
    points = []
    for batch in (1, 5, 20, 50, 100, 200, 500)[: stage.size(7, 2)]:
        rates = []
        for _ in range(min(stage.rounds, 3)):
            with dev_brain_process() as brain:
                events = str(stage.size(min(20_000, 2_000 * batch), 20))
                said = stage.program("ours", "drain", events, str(batch), env=brain.settings).said
            rates.append(said["events"] / said["took_s"])
        points.append((batch, sorted(rates)[len(rates) // 2]))
    return Plot(
        "bench-delivery", "events delivered, dev brain", "events in a batch", "events/s", tuple(points)
    )


def _sessions(stage: Stage) -> Plot:
    with dev_brain_process() as brain:
        command = [sys.executable, str(PROGRAMS / "sessions_bare.py")]
        environment = stage.environment("bare") | brain.settings
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as clients:
            assert clients.stdin is not None
            assert clients.stdout is not None
            points = []
            for sessions in (1, 10, 50, 100, 250, 500, 1000)[: stage.size(7, 2)]:
                clients.stdin.write(f"{sessions}\n")
                clients.stdin.flush()
                assert json.loads(clients.stdout.readline()) == sessions
                points.append((sessions, brain.ask()["rss_kib"] / MEGABYTE))
            clients.stdin.close()
    title = "memory of the dev brain, over its sessions"
    return Plot("bench-sessions", title, "sessions", "MiB", tuple(points))
