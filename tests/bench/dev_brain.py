"""A dev brain in a process of its own, so that it has a core for itself, and what to ask it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.stage import PROGRAMS


class DevBrainProcess:
    """`settings` are the variables with which a process becomes its one agent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.settings: dict[str, str] = self._answer()

    def ask(self, order: str = "look") -> dict[str, Any]:
        """Tell it to "stop", "start" or just "look"; what it has seen so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def dev_brain_process() -> Iterator[DevBrainProcess]:
    """Up until the end of the block."""
    command = [sys.executable, str(PROGRAMS / "dev_brain.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield DevBrainProcess(process)
        finally:
            process.terminate()
