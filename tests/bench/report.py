"""Measures as a table of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.bench.measure import Measure


def table(measures: Sequence[Measure]) -> str:
    """Medians, and the spread from the least to the greatest."""
    lines = [
        "| what | ours | against | ratio (least – greatest) | bar | |",
        "|---|---|---|---|---|---|",
    ]
    for row in measures:
        against = f"{_amount(median(row.other))} {row.unit} ({row.other_is})" if row.other else ""
        lines.append(
            f"| {row.what} | {_spread(row.ours)} {row.unit} | {against} | "
            f"{_spread(row.ratios) + ' ×' if row.other else ''} | {row.bar or ''} | {_verdict(row)} |"
        )
    return "\n".join(lines) + "\n"


def _verdict(row: Measure) -> str:
    return {True: "met", False: "**missed**", None: ""}[row.met]


def _spread(samples: Sequence[float]) -> str:
    if len(samples) == 1:
        return _amount(samples[0])
    return f"{_amount(median(samples))} ({_amount(min(samples))} – {_amount(max(samples))})"


def _amount(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
