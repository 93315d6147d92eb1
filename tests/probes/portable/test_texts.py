"""No text of the code names another system's tool, wherever it is written: in a rung, a command, or help.

Read from the source: no machine of one system can have all the failures that hints are for. What is of one
system is an argument of by_system, or stands behind is_linux, has_glibc, or is_windows.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.probes.portable.test_shell import IN_COMMANDS, names
from tests.support import sources
from z4j_probes.portable.system import System

ROOT = Path(__file__).parents[3]
EVERY = frozenset(System)
# The package for what differs is tested by calling it; others speak of systemd, or quote what programs say.
_ELSEWHERE = ("portable", "as_service", "systemd_unit.py", "unit_hints.py", "unit.py", "elsewhere.py")
_GUARDS = {"is_linux": System.LINUX, "has_glibc": System.LINUX, "is_windows": System.WINDOWS}
# These are also words of sentences: they are commands only where one begins.
_WORDS = {
    *("apt", "awk", "cat", "curl", "df", "dig", "export", "file", "install", "ls", "mv", "openssl", "printf"),
    *("quota", "ss", "tee", "traceroute", "ulimit"),
}


def strays(text: str, systems: frozenset[System]) -> set[str]:
    """Tools in the text that not all of the systems have."""
    tools = {tool for system in systems for tool in IN_COMMANDS[system]}
    return {tool for tool in tools if tool in text and _has(text, tool)}


def _has(text: str, tool: str) -> bool:
    if tool in _WORDS:
        return re.search(rf"(?:^|[;|&`(\n]|sudo ) *{tool} \S", text) is not None
    # alone, a path is opened, and a program is started by the code itself
    return " " in text and names(text, tool)


class _Texts(ast.NodeVisitor):
    """The texts of a module but docstrings, with the systems that they are for."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str, frozenset[System]]] = []
        self._systems = EVERY
        self._chosen: dict[str, frozenset[System]] = {}
        self._docstrings = set[ast.AST]()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                self._docstrings.add(node.value)
            elif isinstance(node, ast.Call) and _called(node) == "by_system":
                for argument, system in zip(node.args, System, strict=True):
                    if isinstance(argument, ast.Name):
                        self._chosen[argument.id] = self._chosen.get(argument.id, frozenset()) | {system}
        self.visit(tree)

    @contextlib.contextmanager
    def _on(self, systems: frozenset[System]) -> Iterator[None]:
        before, self._systems = self._systems, systems
        yield
        self._systems = before

    def visit_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        chosen = self._chosen.get(target.id) if isinstance(target, ast.Name) else None
        with self._on(chosen or self._systems):
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        if _called(node) != "by_system":
            self.generic_visit(node)
            return
        for argument, system in zip(node.args, System, strict=True):
            with self._on(frozenset({system})):
                self.visit(argument)

    def visit_If(self, node: ast.If) -> None:
        with self._on(self._behind(node.test)):
            for statement in node.body:
                self.visit(statement)
        self.visit(node.test)
        for statement in node.orelse:
            self.visit(statement)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        with self._on(self._behind(node.test)):
            self.visit(node.body)
        self.visit(node.test)
        self.visit(node.orelse)

    def _behind(self, test: ast.expr) -> frozenset[System]:
        """The systems on which the test can be true."""
        needed = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
        asked = {_GUARDS[name] for part in needed if (name := _called(part)) in _GUARDS}
        return frozenset(asked) or self._systems

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        self.found.append((node.lineno, "".join(map(str, parts)), self._systems))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node not in self._docstrings:
            self.found.append((node.lineno, node.value, self._systems))


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _strays_of(source: str) -> dict[int, set[str]]:
    """By line."""
    return _strays_in(ast.parse(source))


def _strays_in(tree: ast.Module) -> dict[int, set[str]]:
    return {line: wrong for line, text, systems in _Texts(tree).found if (wrong := strays(text, systems))}


def test_no_text_is_another_systems() -> None:
    found, count = {}, 0
    for path in sources.SOURCES:
        if not {*path.relative_to(ROOT).parts} & {*_ELSEWHERE}:
            count += 1
            for line, wrong in _strays_in(sources.tree(path)).items():
                found[f"{path.relative_to(ROOT)}:{line}"] = wrong
    assert not found
    assert count > 150


def test_a_text_is_judged_by_the_systems_that_see_it() -> None:
    assert _strays_of('hint = f"getent ahosts {name}"') == {1: {"getent"}}
    assert _strays_of('say(f"export {name}=1; ls -la")') == {1: {"export", "ls"}}
    assert _strays_of('by_system("ss -ltn", "ss -ltn", "icacls x")') == {1: {"ss"}}
    assert _strays_of('unix = "sudo ls x"\nby_system(unix, unix, "dir")') == {}
    assert _strays_of('unix = "getent x"\nby_system(unix, unix, "dir")') == {1: {"getent"}}
    assert _strays_of('if has_glibc() and x:\n    say("see nsswitch.conf")') == {}
    assert _strays_of('if not is_linux():\n    say("see nsswitch.conf")') != {}
    assert _strays_of('if has_glibc() or x:\n    say("see nsswitch.conf")') != {}
    assert _strays_of('say("install a certificate" if x else "a file of nsswitch.conf")') != {}
