"""`probes`: the registered probes, in the order of the ladder."""

from __future__ import annotations

import json
from shutil import get_terminal_size

from z4j_fastapi.cli.output import emit
from z4j_fastapi.reports.text import wrap
from z4j_fastapi.signals import interruptible
from z4j_probes import Registry, default_registry
from z4j_probes.plugins import add_plugins


def run(*, as_json: bool) -> int:
    """List them; the exit status."""
    with interruptible():
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
    names = max(len(name) for name in ("probe", *registry.names))
    needs = max(len("needs"), *(len(", ".join(probe.needs)) for probe in registry))
    indent = names + needs + 4
    width = max(get_terminal_size().columns - indent, 30)
    lines = [f"{'probe':<{names}}  {'needs':<{needs}}  question"]
    for probe in registry:
        first, *more = wrap(probe.question, width)
        lines.append(f"{probe.name:<{names}}  {', '.join(probe.needs) or '-':<{needs}}  {first}")
        lines += [f"{'':{indent}}{line}" for line in more]
    return "\n".join(lines) + "\n"
