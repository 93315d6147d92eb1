"""What a benchmark found: the samples of both sides, what they are held against, and whether that holds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit on the ratio of ours to the other's, or on ours alone."""

    limit: float
    of_ratio: bool = True
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:,g}{' ×' if self.of_ratio else ''}"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row. Samples of the same index were taken one after the other, so their ratios are fair."""

    what: str
    unit: str
    ours: tuple[float, ...]
    other: tuple[float, ...] = ()
    other_is: str = "upstream"
    bar: Bar | None = None

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours divided by the other's, pair by pair."""
        return tuple(ours / other for ours, other in zip(self.ours, self.other, strict=bool(self.other)))

    @property
    def met(self) -> bool | None:
        """Whether the bar holds for the median; None where there is no bar."""
        if self.bar is None:
            return None
        found = median(self.ratios if self.bar.of_ratio else self.ours)
        return found >= self.bar.limit if self.bar.at_least else found <= self.bar.limit


def percentile(samples: list[float], share: float) -> float:
    """The sample that `share` of all are not above."""
    ranked = sorted(samples)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
