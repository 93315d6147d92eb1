"""The reconnect schedules side by side, as tables of Markdown."""

from __future__ import annotations

from tests.bench.reconnect_simulation import POLICIES, Outage, Recovery, simulate

# From a proxy's reload to a migration.
DOWN_S = (0.0, 1.0, 3.0, 10.0, 60.0)
# What 1.13.0 gets done.
SLOW_BRAIN_PER_S = 50.0


def tables(agents: int = 10_000) -> str:
    """By the length of the outage; then a slow brain, and agents behind few addresses."""
    lines = [
        f"| {agents:,} agents, peak connects per second | {' | '.join(f'{s:g} s down' for s in DOWN_S)} |"
    ]
    lines.append("|---" * (len(DOWN_S) + 1) + "|")
    late = [lines[0].replace("peak connects per second", "seconds until 99 % are back"), lines[1]]
    for name, policy in POLICIES.items():
        found = [simulate(policy, Outage(down_s, agents, agents)) for down_s in DOWN_S]
        lines.append(f"| {name} | {' | '.join(f'{one.peak_per_s:,}' for one in found)} |")
        late.append(f"| {name} | {' | '.join(_seconds(one.most_s) for one in found)} |")
    limits = [
        f"| {agents:,} agents, 60 s down | attempts | 50 % back | 99 % back |",
        "|---|---|---|---|",
    ]
    for what, outage in (
        (
            f"a brain of {SLOW_BRAIN_PER_S:g} connects a second",
            Outage(60, agents, agents, connects_per_second=SLOW_BRAIN_PER_S),
        ),
        ("behind four addresses, 600 a minute each", Outage(60, agents, 4)),
        ("behind one address, 600 a minute", Outage(60, agents, 1)),
    ):
        for name in ("ours", "upstream", "full jitter, 1 to 30 s"):
            one = simulate(POLICIES[name], outage)
            row = f"{one.attempts:,} | {_seconds(one.half_s)} s | {_seconds(one.most_s)} s"
            limits.append(f"| {what}: {name} | {row} |")
    return "\n\n".join("\n".join(table) for table in (lines, late, limits)) + "\n"


def check(real: Recovery, simulated: Recovery) -> str:
    """The real agents beside the simulated ones."""
    lines = [
        "| 500 agents, 10 s down | peak per second | attempts | 50 % back | 99 % back |",
        "|---|---|---|---|---|",
    ]
    for name, one in (("real agents", real), ("simulated", simulated)):
        lines.append(f"| {name} | {_row(one)} |")
    return "\n".join(lines) + "\n"


def _row(one: Recovery) -> str:
    return f"{one.peak_per_s} | {one.attempts} | {_seconds(one.half_s)} s | {_seconds(one.most_s)} s"


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"
