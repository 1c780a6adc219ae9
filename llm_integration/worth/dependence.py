"""How much a series repeats itself, and what that does to a test: effective number, shifts, bootstrap. Pure.

Ratings are shifted in time, all symbols' by the same time at once: each keeps its own, none is exchanged
between them, and what they have in common stays so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from llm_integration.worth.trades import Floats, Ints

__all__ = [
    "MOST_SHIFTS",
    "Timeline",
    "autocorrelations",
    "best_block",
    "bootstrap_means",
    "effective_number",
    "interval_of_mean",
    "null_mean",
    "null_products",
    "offsets",
    "shift_p",
    "turned",
]

MOST_SHIFTS: Final = 9_999
"""With fewer signals every shift is tried."""
MOST_CELLS: Final = 4_000_000
LEAST_TICKS: Final = 4_096
"""Of very many symbols, neighbouring moments share a tick."""
LAGS: Final = 1_000
RESAMPLES: Final = 2_000
LEAST_RESAMPLES: Final = 200
DRAWS_AT_ONCE: Final = 2_000_000
DRAWS_IN_ALL: Final = 40_000_000
"""Long series need fewer resamples, and would take minutes with all of them."""


def autocorrelations(values: Floats, lags: int) -> Floats:
    """Of lags 1 to ``lags``, sums over n: biased towards 0, as Bartlett's formula wants them."""
    centred = values - values.mean()
    size = 1 << (2 * len(values) - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    products = np.fft.irfft(spectrum * np.conj(spectrum), size)[: lags + 1]
    if products[0] <= 1e-12:
        return np.zeros(lags)
    found: Floats = products[1:] / products[0]
    return found


def effective_number(one: Floats, other: Floats, groups: Sequence[Ints]) -> float:
    """How many independent pairs carry as much about a correlation: at most their number.

    Bartlett 1935: ``n / (1 + 2 sum (1 - k/n) r1(k) r2(k))``, here over lags up to a fifth of the pairs.
    """
    total = sum(len(group) for group in groups)
    inflation = 1.0
    for group in groups:
        lags = min(len(group) // 5, LAGS)
        if lags < 1:
            continue
        product = autocorrelations(one[group], lags) * autocorrelations(other[group], lags)
        weights = len(group) - np.arange(1, lags + 1)
        inflation += 2 * float(weights @ product) / total
    return total / max(1.0, inflation)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The signals of all symbols on one clock, which moves on with each moment at which any of them came.

    ``groups`` are the places of each symbol's signals in the order of time, ``ticks`` where each signal
    stands on the clock, from 0 to below ``size``. Nights and weekends take no time on it.
    """

    groups: Sequence[Ints]
    ticks: Ints
    size: int

    @classmethod
    def of(cls, groups: Sequence[Ints], at: Ints) -> Timeline:
        """From the signals' times. Of one symbol each signal has a tick of its own."""
        if len(groups) < 2:
            return cls(groups, np.arange(len(at), dtype=np.int64), len(at))
        moments, ticks = np.unique(at, return_inverse=True)
        most = max(LEAST_TICKS, MOST_CELLS // len(groups))
        size = min(len(moments), most)
        return cls(groups, ticks.astype(np.int64) * size // max(len(moments), 1), size)

    def held(self, values: Floats, group: Ints) -> Floats:
        """A symbol's values at each tick: the one of its last signal by then, round the end."""
        last = np.full(self.size, -1, dtype=np.int64)
        last[self.ticks[group]] = group
        seen = np.maximum.accumulate(np.where(last >= 0, np.arange(self.size), -1))
        seen[seen < 0] = self.ticks[group[-1]]
        found: Floats = values[last[seen]]
        return found


def offsets(timeline: Timeline, rng: np.random.Generator, most: int = MOST_SHIFTS) -> Ints:
    """By how many ticks all symbols' series are shifted together, in each of the shifts but that by none.

    Every number there is, if there are few; otherwise ``most`` draws at random.
    """
    if timeline.size - 1 <= most:
        return np.arange(1, timeline.size, dtype=np.int64)
    return rng.integers(0, timeline.size, size=most)


def turned(values: Floats, timeline: Timeline, by: int) -> Floats:
    """``values`` shifted by so many ticks: at each signal, what its symbol had last had that long before."""
    found = values.copy()
    for group in timeline.groups:
        held = timeline.held(values, group)
        found[group] = held[(timeline.ticks[group] - by) % timeline.size]
    return found


def null_products(one: Floats, other: Floats, timeline: Timeline, shifts: Ints) -> Floats:
    """The sum of products of ``one``, shifted by each of ``shifts``, with ``other``."""
    total = np.zeros(len(shifts))
    for group in timeline.groups if len(shifts) else ():
        there = np.bincount(timeline.ticks[group], weights=other[group], minlength=timeline.size)
        left, right = np.fft.rfft(timeline.held(one, group)), np.fft.rfft(there)
        total += np.fft.irfft(np.conj(left) * right, timeline.size)[shifts]
    return total


def null_mean(one: Floats, other: Floats, timeline: Timeline) -> float:
    """The mean of that sum over all shifts."""
    return float(sum(timeline.held(one, group).mean() * other[group].sum() for group in timeline.groups))


def shift_p(one: Floats, other: Floats, timeline: Timeline, null: Floats) -> float | None:
    """Two-sided p of the sum of products under shifts, ``(1 + b) / (B + 1)``; None without shifts.

    ``null`` are the sums of products under these; b of them lie as far from the mean of all as what was seen.
    """
    if not len(null):
        return None
    middle = null_mean(one, other, timeline)
    seen = abs(float(one @ other) - middle)
    b = int((np.abs(null - middle) >= seen * (1 - 1e-9) - 1e-12).sum())
    return (1 + b) / (len(null) + 1)


def best_block(values: Floats) -> float:
    """Mean block of a stationary bootstrap, at least 1: Politis and White 2004, as corrected in 2009."""
    count = len(values)
    centred = values - values.mean()
    if count < 8 or float(centred @ centred) <= 1e-18:
        return 1.0
    most = math.ceil(min(3 * math.sqrt(count), count / 3))
    run = max(5, int(math.log10(count)))
    lags = min(math.ceil(math.sqrt(count)) + run, count - 2)
    covariances, correlations = np.zeros(lags + 1), np.zeros(lags + 1)
    bound = 2 * math.sqrt(math.log10(count) / count)
    for lag in range(lags + 1):
        product = float(centred[lag:] @ centred[: count - lag])
        later, earlier = centred[lag + 1 :], centred[: -(lag + 1)]
        scale = math.sqrt(float(later @ later) * float(earlier @ earlier))
        covariances[lag] = product / count
        correlations[lag] = abs(product) / scale if scale > 0 else 0.0
    quiet = [at - run for at in range(run, lags + 1) if (correlations[at - run : at] < bound).all()]
    window = min(2 * max(quiet[0], 1) if quiet else lags, lags)
    steps = np.arange(1, window + 1)
    taper = np.where(steps / window <= 0.5, 1.0, 2 * (1 - steps / window))
    slope = 2 * float((taper * steps * covariances[1 : window + 1]).sum())
    variance = float(covariances[0] + 2 * (taper * covariances[1 : window + 1]).sum())
    if variance <= 0:
        return float(most)
    length = (slope**2 / variance**2) ** (1 / 3) * count ** (1 / 3)
    return float(min(max(length, 1.0), most))


def bootstrap_means(
    values: Floats, block: float, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Floats:
    """Means of resamples by the stationary bootstrap of Politis and Romano 1994."""
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values]))])
    expected = count / block
    blocks = math.ceil(expected + 5 * math.sqrt(expected) + 5)
    at_once = max(1, DRAWS_AT_ONCE // blocks)
    found = []
    for begin in range(0, resamples, at_once):
        rows = min(at_once, resamples - begin)
        found.append(_resampled(sums, count, block, rng, (rows, blocks)) / count)
    return np.concatenate(found)


def _resampled(
    sums: Floats, count: int, block: float, rng: np.random.Generator, shape: tuple[int, int]
) -> Floats:
    lengths = np.minimum(rng.geometric(1 / block, size=shape), count)
    lengths[:, -1] = count  # whatever is still missing
    until = np.minimum(np.cumsum(lengths, axis=1), count)
    lengths = np.diff(until, axis=1, prepend=0)
    begins = rng.integers(0, count, size=shape)
    total: Floats = (sums[begins + lengths] - sums[begins]).sum(axis=1)
    return total


def interval_of_mean(values: Floats, rng: np.random.Generator) -> tuple[float, float] | None:
    """95% percentile interval of the mean of a series in the order of time; None below 8 values."""
    if len(values) < 8:
        return None
    resamples = max(LEAST_RESAMPLES, min(RESAMPLES, DRAWS_IN_ALL // len(values)))
    low, high = np.quantile(bootstrap_means(values, best_block(values), rng, resamples), [0.025, 0.975])
    return float(low), float(high)
