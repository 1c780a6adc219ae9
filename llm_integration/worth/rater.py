"""Does the rater use its scale, agree with others and with itself, and what chances does it give? Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from llm_integration.worth.shares import share_interval
from llm_integration.worth.trades import Floats, Ints

__all__ = [
    "Agreement",
    "Bin",
    "Calibration",
    "agreement",
    "area_under_curve",
    "calibrate",
    "entropy_bits",
    "isotonic",
    "kappa",
    "modal_share",
]

RATINGS = 5
ENOUGH = 30
"""Decided trades before a map from ratings to chances is believed, and in a bin of its picture."""


def modal_share(ratings: Ints) -> float | None:
    """The share of the most frequent rating."""
    return float(np.bincount(ratings).max() / len(ratings)) if len(ratings) else None


def entropy_bits(ratings: Ints) -> float | None:
    """Shannon's, at most log2(5) = 2.32 bits."""
    if not len(ratings):
        return None
    shares = np.bincount(ratings) / len(ratings)
    used = shares[shares > 0]
    return float(abs((used * np.log2(used)).sum()))


def kappa(one: Sequence[int] | Ints, other: Sequence[int] | Ints, categories: int = RATINGS) -> float | None:
    """Cohen's with quadratic weights, of values from 1; None when both sides are constant."""
    table = np.zeros((categories, categories))
    np.add.at(table, (np.asarray(one) - 1, np.asarray(other) - 1), 1)
    steps = np.arange(categories)
    weights = (steps[:, None] - steps[None, :]) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(1.0, table.sum())
    chance = float((weights * expected).sum())
    return 1 - float((weights * table).sum()) / chance if chance > 0 else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two readings of each of ``n`` signals: how often they are the same, and quadratic kappa."""

    one: str
    other: str
    n: int
    same: float
    kappa: float | None


def agreement(one: str, other: str, pairs: Iterable[tuple[int, int]]) -> Agreement | None:
    """None without a pair."""
    found = list(pairs)
    if not found:
        return None
    left, right = [pair[0] for pair in found], [pair[1] for pair in found]
    same = sum(a == b for a, b in found) / len(found)
    return Agreement(one, other, len(found), same, kappa(left, right))


def area_under_curve(marks: Floats, values: Floats) -> float | None:
    """The chance that a marked case has the higher value, ties half; None when all or none are marked."""
    marked, other = values[marks > 0], values[marks <= 0]
    if not len(marked) or not len(other):
        return None
    ordered = np.sort(other)
    below = np.searchsorted(ordered, marked, side="left") + np.searchsorted(ordered, marked, side="right")
    return float(below.sum() / (2 * len(marked) * len(other)))


def isotonic(wins: Floats, counts: Floats) -> Floats:
    """The chances that rise with the place and fit best, by pooling adjacent violators; NaN without any."""
    blocks: list[list[float]] = []  # wins, count, places
    for won, count in zip(wins, counts, strict=True):
        blocks.append([float(won), float(count), 1.0])
        while len(blocks) > 1 and _violates(blocks[-2], blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return np.concatenate(
        [np.full(int(places), won / count if count else math.nan) for won, count, places in blocks]
    )


def _violates(before: list[float], after: list[float]) -> bool:
    if not before[1] or not after[1]:
        return True
    return before[0] / before[1] >= after[0] / after[1]


@dataclass(frozen=True, slots=True)
class Bin:
    """Trades with similar chances: what was said, and how many reached their target."""

    n: int
    predicted: float
    won: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How good the chances are that an expanding window gives to ratings, against 1 / (1 + reward:risk).

    ``skill`` is Brier's: 1 is perfect, 0 as good as the chances without any rating, below 0 worse.
    """

    n: int
    brier: float | None
    brier_null: float | None
    skill: float | None
    bins: list[Bin]


def calibrate(ratings: Ints, won: Floats, null: Floats, entered: Ints, ended: Ints) -> Calibration:
    """Of decided trades. Each is told its chance from those alone that had ended when it was entered."""
    by_entry, by_end = np.argsort(entered, kind="stable"), np.argsort(ended, kind="stable")
    wins, counts = np.zeros(RATINGS), np.zeros(RATINGS)
    predicted = np.full(len(ratings), np.nan)
    known = 0
    chances: Floats | None = None
    for trade in by_entry:
        while known < len(by_end) and ended[by_end[known]] < entered[trade]:
            place = ratings[by_end[known]] - 1
            wins[place] += won[by_end[known]]
            counts[place] += 1
            known, chances = known + 1, None
        if known >= ENOUGH:
            chances = isotonic(wins, counts) if chances is None else chances
            predicted[trade] = chances[ratings[trade] - 1]
    told = ~np.isnan(predicted)
    if not told.any():
        return Calibration(0, None, None, None, [])
    brier = float(((predicted[told] - won[told]) ** 2).mean())
    without = float(((null[told] - won[told]) ** 2).mean())
    skill = 1 - brier / without if without > 0 else None
    return Calibration(int(told.sum()), brier, without, skill, _bins(predicted[told], won[told]))


def _bins(predicted: Floats, won: Floats) -> list[Bin]:
    order = np.argsort(predicted, kind="stable")
    bins = []
    for some in np.array_split(order, max(1, min(RATINGS, len(order) // ENOUGH))):
        wins, count = int(won[some].sum()), len(some)
        low, high = share_interval(wins, count) or (0.0, 1.0)
        bins.append(Bin(count, float(predicted[some].mean()), wins / count, low, high))
    return bins
