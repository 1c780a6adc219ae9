"""The statistics of rating health: how much a sample differs from another, and how surely. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["entropy_bits", "entropy_fall", "excess", "share_rise"]


def entropy_bits(counts: Sequence[int]) -> float:
    """Shannon entropy of a sample, in bits, with Miller's correction; 0 for an empty one.

    The plain estimate is too low by about (K - 1) / (2 n ln 2) bits for n values in K classes: G. A. Miller,
    Note on the bias of information estimates, 1955.
    """
    total, classes, plain, _ = _moments(counts)
    return plain + (classes - 1) / (2 * total * math.log(2)) if total else 0.0


def _moments(counts: Sequence[int]) -> tuple[int, int, float, float]:
    """How many values, in how many classes, the plain entropy, and Var(log2 p(X))."""
    total = sum(counts)
    classes, mean, square = 0, 0.0, 0.0
    for count in counts:
        if count:
            log = math.log2(count / total)
            classes += 1
            mean += count / total * log
            square += count / total * log * log
    return total, classes, 0.0 - mean, max(0.0, square - mean * mean)


def entropy_fall(window: Sequence[int], reference: Sequence[int]) -> tuple[float, float]:
    """By how many bits ``window`` has less entropy than ``reference``, and by how many standard errors.

    The entropy of n values drawn from p is asymptotically normal with variance Var(log2 p(X)) / n
    (G. P. Basharin, On a statistical estimate for the entropy of a sequence of independent random variables,
    1959). Where p is nearly uniform that vanishes and n times the entropy follows a chi-square law with K - 1
    degrees of freedom, whose variance, (K - 1) / (2 n^2 ln^2 2), is added. p is that of both together.
    """
    fall = entropy_bits(reference) - entropy_bits(window)
    one, other = sum(window), sum(reference)
    _, classes, _, spread = _moments([a + b for a, b in zip(window, reference, strict=True)])
    if not one or not other or classes < 2:
        return fall, 0.0
    second = (classes - 1) / (2 * math.log(2) ** 2)
    variance = spread * (1 / one + 1 / other) + second * (1 / one**2 + 1 / other**2)
    return fall, fall / math.sqrt(variance)


def share_rise(count: int, total: int, before: int, before_total: int) -> tuple[float, float]:
    """By how much a share has risen, and by how many standard errors: the two-proportion test, pooled.

    (For instance A. Agresti, Categorical Data Analysis, section 3.2.)
    """
    if not total or not before_total:
        return 0.0, 0.0
    rise = count / total - before / before_total
    pooled = (count + before) / (total + before_total)
    variance = pooled * (1 - pooled) * (1 / total + 1 / before_total)
    return rise, rise / math.sqrt(variance) if variance > 0 else 0.0


def excess(count: int, total: int, bound: float) -> tuple[float, float]:
    """By how much a share is above a fixed bound, and by how many standard errors."""
    size = count / total - bound
    return size, size / math.sqrt(bound * (1 - bound) / total)
