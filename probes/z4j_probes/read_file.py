"""Reading a file that someone named: a secret, settings. It may be anything, and need not answer.

A FIFO without a writer, a terminal and a network mount that has died never answer, and /dev/zero never stops.
None of them may hang a doctor or, worse, the service that makes an agent.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from z4j_probes.portable import flags
from z4j_probes.portable.readiness import wait_readable
from z4j_probes.threads import within

# A secret or an env file is a few hundred bytes: whatever is larger than this is none.
LIMIT_BYTES = 64 * 1024
# A disk answers at once, the program behind `<(vault read …)` within a second. Agents start as late as this.
BUDGET_S = 2.0


def read_small_file(
    path: str | os.PathLike[str], *, limit_bytes: int = LIMIT_BYTES, budget_s: float = BUDGET_S
) -> bytes:
    """Its content. TimeoutError where it does not answer in time; other OSErrors and ValueError say why."""
    place = Path(path).expanduser()
    # a dead mount blocks even open(2), for good: only a thread can be left behind there
    return within(budget_s, lambda: _read(place, limit_bytes, time.monotonic() + budget_s))


def _read(path: Path, limit_bytes: int, deadline_s: float) -> bytes:
    # not blocking: a thread that waits at a FIFO would later take what was written for the next reader
    descriptor = os.open(path, flags.READ | flags.NONBLOCK | flags.NOCTTY)
    try:
        answers = stat.S_ISREG(os.fstat(descriptor).st_mode)
        content = bytearray()
        while len(content) <= limit_bytes:
            if not answers:
                wait_readable(descriptor, deadline_s)
            chunk = os.read(descriptor, limit_bytes + 1 - len(content))
            if not chunk:
                return bytes(content)
            content += chunk
    finally:
        os.close(descriptor)
    raise ValueError(f"larger than {limit_bytes // 1024} KiB")
