"""The command line: `python -m z4j_fastapi`, installed as `z4j-fastapi` too.

Exit status: what the command says (see `doctor`), 2 for a wrong command line, 130 after Ctrl-C, 143 after
SIGTERM, and EXIT_INTERNAL where the program itself failed. A person never meets a traceback.
"""

from __future__ import annotations

import time

STARTED_S = time.monotonic()  # near enough to when the process began

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: neither a verdict nor a wrong command line
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_TERMINATED = 143  # 128 + SIGTERM


def status_when_interrupted() -> int:
    """The exit status of a run that was ended before its end, by what has ended it."""
    from z4j_fastapi.signals import is_over, was_terminated

    if was_terminated():
        return EXIT_TERMINATED
    return EXIT_FAILED if is_over() else EXIT_INTERRUPTED


class Verdict(SystemExit):
    """Ends the process with the status of a report, as the readers of its format understand it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
