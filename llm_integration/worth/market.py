"""What anybody can read off the bars for free at the time of a signal. Pure.

Of all measures: from the bars stamped at or before the signal, whose last one is the signal's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from llm_integration.worth.trades import BarColumns, Floats, Ints

__all__ = ["FORWARD_BARS", "Measures", "measures"]

RETURN_BARS: Final = 20
CHOPPINESS_BARS: Final = 14
EFFICIENCY_BARS: Final = 10
ADX_BARS: Final = 14
ADX_WARMUP: Final = 150
"""Wilder's averages start this many bars back: what was before weighs less than a ten-thousandth."""
FORWARD_BARS: Final = 10
AT_ONCE: Final = 20_000
Measure = Callable[[Floats, Floats, Floats], Floats]
"""Of windows of highs, lows and closes, one a row."""


@dataclass(frozen=True, slots=True)
class Measures:
    """One value for each signal; NaN where bars are missing.

    ``last_return``: of 20 bars. ``choppiness``: the Choppiness Index over 14 bars (E. W. Dreiss), ``adx``
    Wilder's over 14, ``efficiency`` Kaufman's ratio over 10, ``forward_efficiency`` the same over the 10
    bars that came next.
    """

    last_return: Floats
    choppiness: Floats
    adx: Floats
    efficiency: Floats
    forward_efficiency: Floats


def measures(bars: BarColumns, at: Ints) -> Measures:
    """At the moments ``at``, in microseconds since 1970."""
    last = np.searchsorted(bars.times, at, side="right") - 1
    return Measures(
        _in_pieces(bars, last, RETURN_BARS, _returns),
        _in_pieces(bars, last, CHOPPINESS_BARS, _choppiness),
        _in_pieces(bars, last, ADX_WARMUP, _adx),
        _in_pieces(bars, last, EFFICIENCY_BARS, _efficiency),
        _in_pieces(bars, last + FORWARD_BARS, FORWARD_BARS, _efficiency),
    )


def _in_pieces(bars: BarColumns, last: Ints, before: int, measure: Measure) -> Floats:
    """``measure`` of windows of ``before + 1`` bars that end with the places ``last``."""
    found = np.full(len(last), np.nan)
    usable = np.flatnonzero((last >= before) & (last < len(bars)))
    if not len(usable):
        return found
    columns = [sliding_window_view(c, before + 1) for c in (bars.highs, bars.lows, bars.closes)]
    with np.errstate(divide="ignore", invalid="ignore"):
        for begin in range(0, len(usable), AT_ONCE):
            some = usable[begin : begin + AT_ONCE]
            windows = [column[last[some] - before] for column in columns]
            found[some] = measure(windows[0], windows[1], windows[2])
    found[~np.isfinite(found)] = np.nan
    return found


def _returns(_highs: Floats, _lows: Floats, closes: Floats) -> Floats:
    found: Floats = closes[:, -1] / closes[:, 0] - 1
    return found


def _true_ranges(highs: Floats, lows: Floats, closes: Floats) -> Floats:
    found: Floats = np.maximum(highs[:, 1:], closes[:, :-1]) - np.minimum(lows[:, 1:], closes[:, :-1])
    return found


def _choppiness(highs: Floats, lows: Floats, closes: Floats) -> Floats:
    walked = _true_ranges(highs, lows, closes).sum(axis=1)
    span = highs[:, 1:].max(axis=1) - lows[:, 1:].min(axis=1)
    found: Floats = 100 * np.log10(walked / span) / math.log10(CHOPPINESS_BARS)
    return found


def _efficiency(_highs: Floats, _lows: Floats, closes: Floats) -> Floats:
    walked = np.abs(np.diff(closes, axis=1)).sum(axis=1)
    found: Floats = np.abs(closes[:, -1] - closes[:, 0]) / walked
    return found


def _adx(highs: Floats, lows: Floats, closes: Floats) -> Floats:
    """J. Welles Wilder, New Concepts in Technical Trading Systems, 1978."""
    up, down = np.diff(highs, axis=1), -np.diff(lows, axis=1)
    plus = np.where((up > down) & (up > 0), up, 0.0)
    minus = np.where((down > up) & (down > 0), down, 0.0)
    ranges = _true_ranges(highs, lows, closes)
    begin = [column[:, : ADX_BARS - 1].sum(axis=1) for column in (plus, minus, ranges)]
    strengths = []
    for at in range(ADX_BARS - 1, plus.shape[1]):
        begin = [
            held - held / ADX_BARS + column[:, at]
            for held, column in zip(begin, (plus, minus, ranges), strict=True)
        ]
        both = begin[0] + begin[1]
        strengths.append(np.where(both > 0, 100 * np.abs(begin[0] - begin[1]) / both, 0.0))
    found: Floats = np.mean(strengths[:ADX_BARS], axis=0)
    for strength in strengths[ADX_BARS:]:
        found = (found * (ADX_BARS - 1) + strength) / ADX_BARS
    return np.where((ranges > 0).any(axis=1), found, np.nan)
