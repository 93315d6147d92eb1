"""There is one way to a brain: the ladder."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support import sources

CONNECTS = {"connect", "create_connection", "open_connection", "sock_connect", "create_unix_connection"}


def calls(path: Path) -> set[str]:
    names = set[str]()
    for node in ast.walk(sources.tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in CONNECTS and owner not in ("sqlite3", "protocol"):
                names.add(node.func.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONNECTS:
            names.add(node.func.id)
    return names


def test_only_the_ladders_rungs_open_connections() -> None:
    paths = [path for path in sources.that_have(f"{name}(" for name in CONNECTS) if calls(path)]
    found = {
        path.relative_to(room.parent) for room in sources.PACKAGES for path in paths if room in path.parents
    }
    assert found
    assert all(str(path).startswith("z4j_probes/rungs/") for path in found), found
