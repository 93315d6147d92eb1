"""How much memory this process had at most."""

from __future__ import annotations


def peak_mib() -> float:
    """From proc(5): `ru_maxrss` of a child begins with what its parent had."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
