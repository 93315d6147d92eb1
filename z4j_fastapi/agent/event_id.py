"""The ids of events: version 4 UUIDs (RFC 9562 §5.4), for as many events a second as a host emits.

The system's random numbers are drawn for many ids at once: each drawing is a system call, during which
another thread takes the interpreter.
"""

from __future__ import annotations

import os

from z4j_probes.portable.fork import at_fork

# A kilobyte, drawn within microseconds.
_DRAWN = 64

# Two bits say which variant it is, and two are random.
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

_drawn: list[str] = []
# else parent and child would give the same ids
at_fork(in_child=_drawn.clear)


def new_event_id() -> str:
    """An id that no other event has. From any thread, signal handler or destructor."""
    try:
        digits = _drawn.pop()
    except IndexError:
        text = os.urandom(16 * _DRAWN).hex()
        digits, *rest = [text[start : start + 32] for start in range(0, len(text), 32)]
        _drawn.extend(rest)
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
