"""A number of bytes, for people."""

from __future__ import annotations


def amount(size_bytes: float) -> str:
    """The number with three digits at most, in bytes, KiB, MiB, GiB, or TiB."""
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size_bytes < 1024:
            break
        size_bytes, unit = size_bytes / 1024, larger
    return f"{size_bytes:.3g} {unit}" if size_bytes < 1000 else f"{size_bytes:.0f} {unit}"
