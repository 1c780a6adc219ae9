"""Choppiness Index and efficiency ratio, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.signal_formatter import choppiness_index, efficiency_ratio


def test_the_index_of_a_hand_computed_window() -> None:
    """Over 4 bars: true ranges 2 + 3 + 2 + 4 = 11, range 14 - 9 = 5, so 100 * log10(2.2) / log10(4)."""
    highs, lows, closes = [11.0, 12, 13, 12, 14], [9.0, 10, 10, 10, 10], [10.0, 11, 12, 11, 13]
    assert choppiness_index(highs, lows, closes, 4) == pytest.approx(100 * math.log10(11 / 4) / math.log10(4))


def test_a_gap_counts_as_ground_covered() -> None:
    """The true range reaches to the previous close: 10 to 21, then 21 to 22, so 11 + 1 over a range of 2."""
    highs, lows, closes = [10.0, 21.0, 22.0], [10.0, 20.0, 21.0], [10.0, 21.0, 21.5]
    assert choppiness_index(highs, lows, closes, 2) == pytest.approx(100 * math.log10(12 / 2) / math.log10(2))


def test_a_straight_line_is_not_choppy() -> None:
    """When each bar starts at the extreme of the last one, no ground is covered twice and the index is 0."""
    tops = [float(number) for number in range(1, 17)]
    bottoms = [top - 1 for top in tops]
    assert choppiness_index(tops, bottoms, tops) == pytest.approx(0.0, abs=1e-9)
    assert efficiency_ratio(tops) == pytest.approx(1.0)


def test_a_market_that_goes_nowhere_is_choppy() -> None:
    """When each bar covers the whole range, the index is 100 and nothing was won."""
    closes = [1.0, 2.0] * 8
    assert choppiness_index([2.0] * 16, [1.0] * 16, closes) == pytest.approx(100.0)
    assert efficiency_ratio(closes) == 0.0


def test_the_ratio_of_a_hand_computed_window() -> None:
    """Net 2 over a path of 1 + 2 + 3 = 6; closes before the window do not count."""
    assert efficiency_ratio([99.0, 10.0, 11.0, 9.0, 12.0], 3) == pytest.approx(2 / 6)


@pytest.mark.parametrize("count", [0, 1, 10, 14])
def test_too_few_bars_give_no_index(count: int) -> None:
    """Fourteen true ranges need fifteen bars."""
    values = [1.0 + number for number in range(count)]
    assert choppiness_index([value + 1 for value in values], values, values) is None


@pytest.mark.parametrize("count", [0, 1, 10])
def test_too_few_closes_give_no_ratio(count: int) -> None:
    """Ten changes need eleven closes."""
    assert efficiency_ratio([1.0 + number for number in range(count)]) is None


def test_periods_without_meaning_give_nothing() -> None:
    """An index over one bar and a ratio over none do not exist."""
    values = [1.0 + number for number in range(20)]
    assert choppiness_index([value + 1 for value in values], values, values, 1) is None
    assert efficiency_ratio(values, 0) is None


def test_a_market_that_stands_still_gives_nothing() -> None:
    """Where the price did not move, neither measure exists."""
    assert choppiness_index([1.0] * 20, [1.0] * 20, [1.0] * 20) is None
    assert efficiency_ratio([1.0] * 20) is None


def test_a_hole_gives_nothing_inside_the_window_and_does_not_matter_before_it() -> None:
    """A missing value spoils a measure if and only if the measure would use it."""
    good = [1.0 + number % 3 for number in range(20)]
    for hole in range(20):
        holed = [None if number == hole else value for number, value in enumerate(good)]
        assert (choppiness_index(good, [0.5] * 20, holed) is None) is (5 <= hole < 19)
        assert (choppiness_index(holed, [0.5] * 20, good) is None) is (hole >= 6)
        assert (efficiency_ratio(holed) is None) is (hole >= 9)


any_price = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(any_price, any_price, any_price), min_size=15, max_size=20))
def test_no_bars_make_a_measure_infinite(bars: list[tuple[float, float, float]]) -> None:
    """Of any finite numbers, even senseless ones, a measure is finite or absent."""
    highs, lows, closes = zip(*bars, strict=True)
    for value in (choppiness_index(highs, lows, closes), efficiency_ratio(closes)):
        assert value is None or math.isfinite(value)
