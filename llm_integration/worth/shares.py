"""Shares with their intervals, tests of a trend over ordered groups, corrections for many looks. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from llm_integration.worth.ranks import Z_975
from llm_integration.worth.trades import Floats, Ints

__all__ = [
    "clopper_pearson",
    "holm",
    "jonckheere",
    "jonckheere_counts",
    "normal_p",
    "share_interval",
    "wilson",
]

FEW = 40
"""Below so many Wilson's interval is replaced by the exact one."""


def wilson(wins: int, count: int) -> tuple[float, float]:
    """95% interval of a share: Wilson 1927. ``count`` above 0."""
    share, square = wins / count, Z_975**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z_975 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    low = 0.0 if wins == 0 else max(0.0, middle - half)
    return low, 1.0 if wins == count else min(1.0, middle + half)


def clopper_pearson(wins: int, count: int) -> tuple[float, float]:
    """95% interval of a share, exact: Clopper and Pearson 1934. For counts of hundreds at most."""
    low = 0.0 if wins == 0 else _solved(lambda p: _at_least(wins, count, p) - 0.025)
    high = 1.0 if wins == count else _solved(lambda p: 0.025 - (1 - _at_least(wins + 1, count, p)))
    return low, high


def _at_least(wins: int, count: int, share: float) -> float:
    return math.fsum(
        math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(wins, count + 1)
    )


def _solved(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def share_interval(wins: int, count: int) -> tuple[float, float] | None:
    """Wilson's, the exact one below 40; None without a case."""
    if count == 0:
        return None
    return clopper_pearson(wins, count) if count < FEW else wilson(wins, count)


def jonckheere_counts(groups: Ints, values: Floats) -> float:
    """The statistic J: pairs of a lower and a higher group in which the value is higher too, ties half.

    ``groups`` are whole numbers from 0.
    """
    order = np.argsort(values, kind="stable")
    ordered, grouped = values[order], groups[order]
    marks = np.zeros((len(values) + 1, int(groups.max(initial=0)) + 1))
    marks[np.arange(1, len(values) + 1), grouped] = 1
    below = np.cumsum(np.cumsum(marks, axis=0), axis=1)  # of this group or a lower one, among the smallest
    begins = np.searchsorted(ordered, ordered, side="left")
    ends = np.searchsorted(ordered, ordered, side="right")
    higher = grouped > 0
    column = grouped[higher] - 1
    return float((below[begins[higher], column] + below[ends[higher], column]).sum() / 2)


def jonckheere(groups: Ints, values: Floats) -> tuple[float, float | None]:
    """J and its normal deviate with the correction for ties (Hollander and Wolfe, 6.2); None: no variance."""
    count = len(values)
    sizes = np.bincount(groups).astype(float)
    ties = np.unique(values, return_counts=True)[1].astype(float)
    found = jonckheere_counts(groups, values)
    mean = (count**2 - float((sizes**2).sum())) / 4
    if count < 3:
        return found, None
    first = count * (count - 1) * (2 * count + 5) - _cubes(sizes) - _cubes(ties)
    thirds = float((sizes * (sizes - 1) * (sizes - 2)).sum() * (ties * (ties - 1) * (ties - 2)).sum())
    seconds = float((sizes * (sizes - 1)).sum() * (ties * (ties - 1)).sum())
    variance = (
        first / 72 + thirds / (36 * count * (count - 1) * (count - 2)) + seconds / (8 * count * (count - 1))
    )
    return found, (found - mean) / math.sqrt(variance) if variance > 1e-9 else None


def _cubes(sizes: Floats) -> float:
    return float((sizes * (sizes - 1) * (2 * sizes + 5)).sum())


def normal_p(deviate: float) -> float:
    """Two-sided."""
    return 2 * NormalDist().cdf(-abs(deviate))


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number: Holm 1979, in the order in which they were given."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    found = [1.0] * len(values)
    largest = 0.0
    for place, at in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - place) * values[at]))
        found[at] = largest
    return found
