"""Medians, spreads and percentiles, and how they are written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

__all__ = ["compact", "median", "percentile", "percentiles", "spread"]

POINTS = (50.0, 99.0, 99.9, 100.0)
"""The percentiles every distribution is described by; the last is the maximum."""


def percentile(ordered: Sequence[float], point: float) -> float:
    """The value that ``point`` percent of ``ordered`` (ascending) do not exceed; NaN of nothing."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * point / 100) - 1)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and max."""
    ordered = sorted(values)
    names = ("p50", "p99", "p99.9", "max")
    return {name: percentile(ordered, point) for name, point in zip(names, POINTS, strict=True)}


def median(values: Sequence[float]) -> float:
    """The middle of ``values``; NaN of nothing."""
    return statistics.median(values) if values else math.nan


def spread(values: Sequence[float], unit: str = "") -> str:
    """Median and range of repeated measurements: ``0.71 (0.68-0.77)``."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "-"
    shown = compact(median(known))
    if len(known) > 1:
        shown += f" ({compact(min(known))}-{compact(max(known))})"
    return f"{shown} {unit}".rstrip()


def compact(value: float) -> str:
    """Three significant digits, large numbers in full."""
    if math.isnan(value) or math.isinf(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
