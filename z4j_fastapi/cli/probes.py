"""`probes`: the registered probes, in the order of the ladder."""

from __future__ import annotations

import json

from z4j_fastapi.cli.output import emit
from z4j_fastapi.reports.text import printable
from z4j_probes import Registry, default_registry
from z4j_probes.plugins import add_plugins


def run(*, as_json: bool) -> int:
    """List them; the exit status."""
    registry = add_plugins(default_registry())
    emit(_document(registry) if as_json else _table(registry))
    return 0


def _document(registry: Registry) -> str:
    probes = [
        {
            "name": probe.name,
            "question": probe.question,
            "needs": list(probe.needs),
            "after": list(probe.after),
            "network": probe.network,
        }
        for probe in registry
    ]
    return json.dumps({"schema": "z4j.probes/1", "probes": probes}, indent=2) + "\n"


def _table(registry: Registry) -> str:
    names = max(len(name) for name in registry.names)
    needs = max(len(", ".join(probe.needs)) for probe in registry)
    lines = [f"{'probe':<{names}}  {'needs':<{max(needs, 5)}}  question"]
    for probe in registry:
        needed = ", ".join(probe.needs) or "-"
        lines.append(f"{probe.name:<{names}}  {needed:<{max(needs, 5)}}  {printable(probe.question)}")
    return "\n".join(lines) + "\n"
