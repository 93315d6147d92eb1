"""There is one way to a brain: the ladder."""

from __future__ import annotations

import ast
from pathlib import Path

import z4j_fastapi
import z4j_probes

CONNECTS = {"connect", "create_connection", "open_connection", "sock_connect", "create_unix_connection"}
ROOMS = (Path(z4j_fastapi.__file__).parent, Path(z4j_probes.__file__).parent)


def calls(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    names = set[str]()
    if not any(name in text for name in CONNECTS):
        return names
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in CONNECTS and owner not in ("sqlite3", "protocol"):
                names.add(node.func.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONNECTS:
            names.add(node.func.id)
    return names


def test_only_the_ladders_rungs_open_connections() -> None:
    found = {path.relative_to(room.parent) for room in ROOMS for path in room.rglob("*.py") if calls(path)}
    assert found
    assert all(str(path).startswith("z4j_probes/rungs/") for path in found), found
