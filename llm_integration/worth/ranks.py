"""Ranks, rank correlation, and what is left of it beside other columns. Pure."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from llm_integration.worth.trades import Floats

__all__ = [
    "correlation",
    "correlation_interval",
    "minimum_detectable",
    "needed_for",
    "partial_residuals",
    "ranks",
    "standardized",
]

Z_975: Final = 1.959963984540054
Z_POWER: Final = 0.8416212335729143
"""The normal quantiles of 97.5% and 80%: two-sided 5%, found in 80% of cases."""
SPEARMAN: Final = 1.06
"""Variance of Fisher's z of a rank correlation times (n - 3): Fieller, Hartley and Pearson 1957."""


def ranks(values: Floats) -> Floats:
    """1 for the smallest; values that are equal share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.concatenate([begins[1:], [len(values)]])
    found = np.empty(len(values))
    found[order] = np.repeat((begins + ends + 1) / 2, ends - begins)
    return found


def standardized(values: Floats) -> Floats | None:
    """Mean 0 and sum of squares 1; None when all are equal."""
    centred = values - values.mean() if len(values) else values
    length = float(np.sqrt((centred**2).sum()))
    return centred / length if length > 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))) else None


def correlation(one: Floats, other: Floats) -> float | None:
    """Pearson's; of ranks it is Spearman's. None when one of the two does not vary."""
    first, second = standardized(one), standardized(other)
    if first is None or second is None:
        return None
    return float(np.clip(first @ second, -1.0, 1.0))


def _spread(effective_n: float) -> float:
    return math.sqrt(SPEARMAN / (effective_n - 3))


def correlation_interval(value: float, effective_n: float) -> tuple[float, float] | None:
    """95% interval of a rank correlation by Fisher's z; None below 4 independent pairs."""
    if effective_n <= 4:
        return None
    middle = math.atanh(min(max(value, -0.999999), 0.999999))
    half = Z_975 * _spread(effective_n)
    return math.tanh(middle - half), math.tanh(middle + half)


def minimum_detectable(effective_n: float) -> float | None:
    """The smallest rank correlation that is found with 80% at 5% two-sided; None below 4 pairs."""
    return math.tanh((Z_975 + Z_POWER) * _spread(effective_n)) if effective_n > 4 else None


def needed_for(value: float) -> int:
    """How many independent pairs it takes to find a rank correlation of this size with 80%."""
    size = math.atanh(min(max(abs(value), 1e-3), 0.999))
    return math.ceil(3 + SPEARMAN * ((Z_975 + Z_POWER) / size) ** 2)


def partial_residuals(values: Floats, beside: Floats) -> Floats:
    """What least squares on the columns of ``beside`` and a constant leave of ``values``."""
    design = np.column_stack([np.ones(len(values)), beside])
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    left: Floats = values - design @ found
    return left
