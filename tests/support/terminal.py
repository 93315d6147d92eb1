"""A terminal with a shell in it, for pages that a person follows: what is typed, what is shown, Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.cli import PATIENCE_S
from tests.support.programs import program

_PROMPT = "what now? "


class Terminal:
    """80 columns, bash, and no color. Leaving the block ends what runs in it."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._screen, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        self._shell = subprocess.Popen(
            [program("bash"), "--noprofile", "--norc", "--noediting", "-i"],
            cwd=directory,
            env={**environ, "TERM": "dumb", "PS1": _PROMPT},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=_at_a_terminal,
        )
        os.close(inner)
        self._unread = ""
        self._runs = 0
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._screen)  # hangs up, which ends the shell with all that runs in it
        try:
            self._shell.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()

    def type(self, text: str) -> None:
        """As a person pastes it."""
        os.write(self._screen, text.encode())

    def wait_for(self, text: str) -> str:
        """All that is shown until that text, which is waited for once."""
        deadline_s = time.monotonic() + PATIENCE_S
        while text not in self._unread:
            if not select.select([self._screen], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
                raise TimeoutError(f"{text!r} was not shown, but:\n{self._unread}")
            new = os.read(self._screen, 65536).decode(errors="replace").replace("\r\n", "\n")
            self._unread += new
            self.shown += new
        before, _, self._unread = self._unread.partition(text)
        return before + text

    def run(self, commands: str) -> str:
        """What commands show, to the end of the last one."""
        self._runs += 1
        self.type(f"{commands}printf 'end of %s\\n' {self._runs}\n")
        return self.wait_for(f"end of {self._runs}\n")

    def run_until(self, commands: str, text: str) -> None:
        """Run them again and again, as a person does who waits for that text."""
        deadline_s = time.monotonic() + PATIENCE_S
        while text not in (shown := self.run(commands)):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{text!r} was not shown, but:\n{shown}")

    def interrupt(self) -> None:
        """Ctrl-C, until the shell asks what comes next."""
        self.type("\x03")
        self.wait_for(_PROMPT)


def _at_a_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in the background ignores it, and so would bash
