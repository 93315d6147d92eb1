"""Cuts after the same time, told from losses by chance."""

from __future__ import annotations

import pytest

from z4j_fastapi.agent.cuts import Cuts


@pytest.mark.parametrize(
    ("lasted_s", "said"),
    [
        ([8.0, 8.1], ["", ""]),
        ([8.0, 8.1, 8.3], ["", "", "cut after 8 s, 3 times in a row"]),
        (
            [60.0, 60.2, 65.0, 60.1],
            ["", "", "cut after 62 s, 3 times in a row"] * 1 + ["cut after 61 s, 4 times in a row"],
        ),
        ([8.0, 8.0, 100.0, 8.0, 8.0], [""] * 5),
        ([0.1, 0.1, 0.1, 0.1], [""] * 4),
        ([3600.0, 3700.0, 3500.0], ["", "", "cut after 3600 s, 3 times in a row"]),
    ],
)
def test_the_same_time_again_and_again_is_a_cut(lasted_s: list[float], said: list[str]) -> None:
    cuts = Cuts()
    assert [cuts.lost(one) for one in lasted_s] == said


def test_an_end_with_a_reason_starts_the_count_again() -> None:
    cuts = Cuts()
    assert [cuts.lost(8.0), cuts.lost(8.0)] == ["", ""]
    cuts.ended()
    assert cuts.lost(8.0) == ""
