"""Our figures against those of scipy, statsmodels, arch and TA-Lib, which stand in the tests alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import talib
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import isotonic_regression
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.tsa.stattools import acf

from llm_integration.signal_formatter import choppiness_index, efficiency_ratio
from llm_integration.worth import dependence, market, ranks, rater, shares
from llm_integration.worth.dependence import Timeline
from llm_integration.worth.evidence import shift_test
from llm_integration.worth.trades import BarColumns, Floats, Ints

RNG = np.random.default_rng(11)


def sticky(count: int, phi: float, rng: np.random.Generator) -> Floats:
    values = np.empty(count)
    values[0] = rng.normal()
    for at in range(1, count):
        values[at] = phi * values[at - 1] + rng.normal()
    return values


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=50))
def test_ranks_are_scipys(values: list[int]) -> None:
    """Ties share the mean of their ranks."""
    column = np.array(values, dtype=float)
    assert ranks.ranks(column).tolist() == stats.rankdata(column).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(-9, 9)), min_size=3, max_size=60))
def test_a_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """With ties on both sides; None where scipy has no number."""
    one, other = (np.array([pair[at] for pair in pairs], dtype=float) for at in (0, 1))
    found = ranks.correlation(ranks.ranks(one), ranks.ranks(other))
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)


@given(st.integers(0, 39), st.integers(1, 39))
def test_intervals_of_a_share_are_statsmodels(wins: int, count: int) -> None:
    """Wilson's and the exact one, which takes over below 40."""
    wins = min(wins, count)
    for method, mine in (("wilson", shares.wilson), ("beta", shares.clopper_pearson)):
        expected = proportion_confint(wins, count, method=method)
        assert mine(wins, count) == pytest.approx(expected, abs=1e-9)
    assert shares.share_interval(wins, count) == shares.clopper_pearson(wins, count)
    assert shares.share_interval(wins, 40) == shares.wilson(wins, 40)
    assert shares.share_interval(0, 0) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(values: list[float]) -> None:
    """In the order in which they were given, ties and extremes too."""
    expected = multipletests(values, method="holm")[1]
    assert shares.holm(values) == pytest.approx(expected.tolist(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=6, max_size=40))
def test_jonckheere_is_a_sum_of_mann_whitney_and_as_certain_as_kendall(pairs: list[tuple[int, int]]) -> None:
    """The statistic is the sum of U over pairs of groups; with all ties its deviate is Kendall's."""
    groups: Ints = np.array([pair[0] for pair in pairs], dtype=np.int64)
    values = np.array([pair[1] for pair in pairs], dtype=float)
    statistic, z = shares.jonckheere(groups, values)
    names = sorted(set(groups.tolist()))
    total = 0.0
    for at, low in enumerate(names):
        for high in names[at + 1 :]:
            total += stats.mannwhitneyu(values[groups == high], values[groups == low]).statistic
    assert statistic == total
    if len(names) > 1 and len(set(values)) > 1 and z is not None:
        kendall = stats.kendalltau(groups, values, method="asymptotic")
        assert shares.normal_p(z) == pytest.approx(kendall.pvalue, abs=1e-9)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_autocorrelations_are_statsmodels(phi: float) -> None:
    """The biased ones, by FFT."""
    values = sticky(200, phi, RNG)
    assert dependence.autocorrelations(values, 40) == pytest.approx(acf(values, nlags=40)[1:], abs=1e-10)


def test_the_effective_number_is_bartletts() -> None:
    """Of two series with autocorrelations a^k and b^k: n (1 - ab) / (1 + ab); never more than n."""
    rng = np.random.default_rng(3)
    everything = [np.arange(20_000)]
    one, other = sticky(20_000, 0.8, rng), sticky(20_000, 0.7, rng)
    found = dependence.effective_number(one, other, everything)
    assert found == pytest.approx(20_000 * (1 - 0.56) / (1 + 0.56), rel=0.08)
    white = dependence.effective_number(rng.normal(size=20_000), rng.normal(size=20_000), everything)
    assert 20_000 >= white > 19_000
    assert dependence.effective_number(one, -other, everything) == pytest.approx(found)


@pytest.mark.parametrize(("count", "phi"), [(50, 0.0), (139, 0.4), (300, 0.9), (1_000, 0.6)])
def test_the_block_length_is_archs(count: int, phi: float) -> None:
    """Politis and White's, as arch has it; never below one value."""
    values = sticky(count, phi, RNG)
    expected = float(optimal_block_length(values)["stationary"].iloc[0])
    assert dependence.best_block(values) == pytest.approx(max(expected, 1.0), rel=1e-9)


def test_the_stationary_bootstrap_spreads_as_archs_does() -> None:
    """The same mean and standard deviation of resampled means of a sticky series; seeded, the same again."""
    values = sticky(300, 0.7, np.random.default_rng(5))
    mine = dependence.bootstrap_means(values, 12.0, np.random.default_rng(1), 4_000)
    other = StationaryBootstrap(12, values, seed=np.random.default_rng(2))
    drawn: Any = other.bootstrap(4_000)
    theirs: Floats = np.array([np.mean(data[0][0]) for data in drawn], dtype=np.float64)
    assert mine.mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / math.sqrt(4_000))
    assert mine.std() == pytest.approx(theirs.std(), rel=0.06)
    again = dependence.bootstrap_means(values, 12.0, np.random.default_rng(1), 4_000)
    assert (mine == again).all()
    low, high = dependence.interval_of_mean(values, np.random.default_rng(1)) or (0, 0)
    assert low < values.mean() < high
    assert dependence.interval_of_mean(values[:7], np.random.default_rng(1)) is None


def test_shifts_by_fft_are_shifts_by_hand() -> None:
    """Every shift of one symbol, and of three at once; p counts the identity in."""
    rng = np.random.default_rng(8)
    one, other = rng.normal(size=23), rng.normal(size=23)
    alone = Timeline.of([np.arange(23)], np.repeat(np.arange(12), 2)[:23])
    shifts = dependence.offsets(alone, rng)
    assert shifts.tolist() == list(range(1, 23))
    null = dependence.null_products(one, other, alone, shifts)
    by_hand = [float(np.roll(one, by) @ other) for by in range(1, 23)]
    assert null == pytest.approx(by_hand, abs=1e-9)
    middle = float(np.mean([*by_hand, float(one @ other)]))
    b = sum(abs(value - middle) >= abs(float(one @ other) - middle) for value in by_hand)
    assert dependence.shift_p(one, other, alone, null) == (1 + b) / 23
    parts = [np.arange(5), np.arange(5, 14), np.arange(14, 23)]
    at = np.concatenate([np.sort(rng.choice(40, size=len(part), replace=False)) for part in parts])
    three = Timeline.of(parts, at)
    every = dependence.offsets(three, rng)
    assert len(every) == len(np.unique(at)) - 1
    products = dependence.null_products(one, other, three, every)
    expected = [float(dependence.turned(one, three, by) @ other) for by in every.tolist()]
    assert products == pytest.approx(expected, abs=1e-9)
    assert dependence.null_mean(one, other, three) == pytest.approx(
        float(np.mean([*expected, float(one @ other)])), abs=1e-9
    )


def test_symbols_are_shifted_by_the_same_time() -> None:
    """Each signal gets what its own symbol had last had that long before, round the end; never another's."""
    at = np.array([10, 20, 30, 10, 30, 15, 35])
    three = Timeline.of([np.arange(3), np.arange(3, 5), np.arange(5, 7)], at)
    assert (three.size, three.ticks.tolist()) == (5, [0, 2, 3, 0, 3, 1, 4])
    ratings = np.array([1.0, 2, 3, 11, 12, 21, 22])
    assert dependence.turned(ratings, three, 0).tolist() == ratings.tolist()
    assert dependence.turned(ratings, three, 1).tolist() == [3, 1, 2, 12, 11, 22, 21]
    assert dependence.turned(ratings, three, 2).tolist() == [3, 1, 1, 12, 11, 22, 21]
    together = Timeline.of([np.arange(4), np.arange(4, 8)], np.tile(np.arange(4), 2))
    same = np.tile(np.array([1.0, 2, 3, 4]), 2)
    assert dependence.turned(same, together, 3).tolist() == [2, 3, 4, 1] * 2


def test_what_symbols_have_in_common_is_counted_once() -> None:
    """Eight symbols that say and do the same are worth about as much as one, others eight times that."""
    rng = np.random.default_rng(5)
    groups = [np.arange(at * 60, at * 60 + 60) for at in range(8)]
    timeline = Timeline.of(groups, np.tile(np.arange(60), 8))
    same = shift_test(np.tile(rng.normal(size=60), 8), np.tile(rng.normal(size=60), 8), timeline, rng)[2]
    apart = shift_test(rng.normal(size=480), rng.normal(size=480), timeline, rng)[2]
    assert 30 < same < 100
    assert apart > 250


def test_no_ratings_can_be_told_from_a_shift_of_themselves() -> None:
    """Over rotations of any series p is uniform: exactly 5% of them are significant at 5%."""
    rng = np.random.default_rng(4)
    one, other = sticky(100, 0.9, rng), rng.normal(size=100)
    alone = Timeline.of([np.arange(100)], np.arange(100))
    found = [shift_test(np.roll(one, by), other, alone, rng)[1] for by in range(100)]
    assert sum(p is not None and p <= 0.05 for p in found) == 5


@pytest.mark.parametrize(
    ("effective", "smallest"),
    [
        (50, 0.40),
        (100, 0.29),
        (139, 0.24),
        (200, 0.20),
        (400, 0.14),
        (800, 0.10),
        (1_600, 0.07),
        (3_200, 0.05),
    ],
)
def test_the_smallest_effect_is_that_of_the_table(effective: int, smallest: float) -> None:
    """80% power at 5% two-sided; and so many signals are needed for it."""
    found = ranks.minimum_detectable(effective)
    assert found is not None
    assert found == pytest.approx(smallest, abs=0.006)
    assert ranks.needed_for(found) in (effective, effective + 1)  # rounded up


def test_an_interval_of_a_correlation_holds_it_and_narrows() -> None:
    """By Fisher's z with the variance of ranks; none below 4 pairs."""
    low, high = ranks.correlation_interval(0.04, 112) or (0, 0)
    assert (round(low, 2), round(high, 2)) == (-0.15, 0.23)
    assert ranks.correlation_interval(0.04, 4) is None
    assert ranks.minimum_detectable(3) is None
    assert ranks.correlation_interval(1.0, 50) is not None


def test_partial_residuals_are_those_of_least_squares() -> None:
    """Uncorrelated with everything beside; the correlation left is scipy's partial one."""
    rng = np.random.default_rng(2)
    beside = rng.normal(size=(80, 3))
    one = beside @ [1.0, -2.0, 0.5] + rng.normal(size=80)
    other = beside @ [0.3, 1.0, 0.0] + 0.4 * one + rng.normal(size=80)
    left, right = ranks.partial_residuals(one, beside), ranks.partial_residuals(other, beside)
    assert np.abs(left @ beside).max() < 1e-9
    inverse = np.linalg.inv(np.corrcoef(np.column_stack([one, other, beside]).T))
    expected = -inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1])
    assert ranks.correlation(left, right) == pytest.approx(expected, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=40))
def test_kappa_is_statsmodels(pairs: list[tuple[int, int]]) -> None:
    """With quadratic weights."""
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = rater.kappa(one, other)
    table = np.zeros((5, 5))
    for a, b in pairs:
        table[a - 1, b - 1] += 1
    if found is None:
        assert len({*one, *other}) == 1
        return
    assert found == pytest.approx(cohens_kappa(table, wt="quadratic", return_results=False), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_mann_whitneys(pairs: list[tuple[bool, int]]) -> None:
    """U over the number of pairs; None when one side is empty."""
    marks = np.array([pair[0] for pair in pairs], dtype=float)
    values = np.array([pair[1] for pair in pairs], dtype=float)
    found = rater.area_under_curve(marks, values)
    yes, no = values[marks > 0], values[marks <= 0]
    if not len(yes) or not len(no):
        assert found is None
    else:
        assert found == pytest.approx(stats.mannwhitneyu(yes, no).statistic / (len(yes) * len(no)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=7))
def test_the_rising_fit_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """Weighted, by pooling adjacent violators."""
    wins = np.array([pair[0] for pair in pairs], dtype=float)
    counts = np.array([pair[1] for pair in pairs], dtype=float)

    found = isotonic_regression(wins / counts, weights=counts).x
    assert rater.isotonic(wins, counts) == pytest.approx(found, abs=1e-9)


def test_entropy_and_mode_of_ratings() -> None:
    """0 bits for one value, log2(5) for all alike; the entropy is scipy's."""
    ratings = np.array([1, 1, 2, 3, 3, 3], dtype=np.int64)
    counts = np.bincount(ratings)[1:]
    assert rater.entropy_bits(ratings) == pytest.approx(stats.entropy(counts, base=2))
    assert rater.entropy_bits(np.full(9, 4)) == 0
    assert rater.modal_share(ratings) == 0.5
    assert rater.modal_share(np.empty(0, dtype=np.int64)) is rater.entropy_bits(np.empty(0, np.int64)) is None


def walk(count: int) -> BarColumns:
    rng = np.random.default_rng(6)
    closes = 100 + np.cumsum(rng.normal(size=count))
    opens = closes + rng.normal(size=count) / 3
    highs = np.maximum(opens, closes) + rng.random(count)
    lows = np.minimum(opens, closes) - rng.random(count)
    return BarColumns(np.arange(count, dtype=np.int64) * 60_000_000, opens, highs, lows, closes)


def test_free_indicators_are_those_of_the_prompt_and_of_ta_lib() -> None:
    """Choppiness Index and efficiency ratio as the formatter computes them, ADX as TA-Lib does."""
    bars = walk(400)
    found = market.measures(bars, bars.times)
    adx: Any = talib.ADX(bars.highs, bars.lows, bars.closes, 14)
    for at in (14, 20, 200, 399):
        columns = [column[: at + 1].tolist() for column in (bars.highs, bars.lows, bars.closes)]
        assert found.choppiness[at] == pytest.approx(choppiness_index(*columns), abs=1e-9)
        assert found.efficiency[at] == pytest.approx(efficiency_ratio(columns[2]), abs=1e-12)
    assert np.abs(found.adx[150:] - adx[150:]).max() < 0.2
    assert np.isnan(found.adx[:150]).all()
    assert found.last_return[20] == pytest.approx(bars.closes[20] / bars.closes[0] - 1)
    assert found.forward_efficiency[380] == found.efficiency[390]
    assert np.isnan(found.forward_efficiency[390:]).all()


def test_measures_know_nothing_of_later_bars() -> None:
    """Changed bars after the signal change none but the one that looks ahead."""
    bars = walk(300)
    later = [column.copy() for column in (bars.opens, bars.highs, bars.lows, bars.closes)]
    for column in later:
        column[201:] *= 3
    at = bars.times[[200]]
    before, after = market.measures(bars, at), market.measures(BarColumns(bars.times, *later), at)
    for name in ("last_return", "choppiness", "adx", "efficiency"):
        assert getattr(before, name) == getattr(after, name)
    assert before.forward_efficiency != after.forward_efficiency
