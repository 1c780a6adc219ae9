"""The figures about ratings and results that the report's verdict and its first tables hold. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llm_integration.worth import dependence, ranks, shares
from llm_integration.worth.rater import isotonic
from llm_integration.worth.sections import Monotone, PolicyRow, RankIC, RatingRow
from llm_integration.worth.trades import Exit, Floats, Ints, Outcome

__all__ = ["ENOUGH", "Resolved", "by_rating", "monotone", "policy", "rank_ic", "rating_row", "shift_test"]

ENOUGH = 30
"""Resolved signals below which nothing is said, and effective ones below which a figure is grey."""
RATINGS = range(1, 6)
TREND_SHIFTS = 999
LEAST_TREND_SHIFTS = 99
TREND_WORK = 40_000_000
"""The trend test takes a sort for each shift, so long series get fewer of them."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Rated signals with a result, in the order of symbol and time, as columns.

    ``groups`` are the places of each symbol's. ``null``: 1 / (1 + reward:risk), NaN without a target.
    """

    ratings: Ints
    r_net: Floats
    decided: Floats
    won: Floats
    null: Floats
    at: Ints
    entered: Ints
    ended: Ints
    sides: Ints
    reward_risk: Floats
    groups: tuple[Ints, ...]

    @property
    def timeline(self) -> dependence.Timeline:
        """All of them on one clock."""
        return dependence.Timeline.of(self.groups, self.at)

    def __len__(self) -> int:
        return len(self.ratings)

    def part(self, which: Ints) -> Resolved:
        """Those at the places ``which``, in order."""
        rank = np.full(len(self), -1, dtype=np.int64)
        rank[which] = np.arange(len(which))
        groups = (rank[group] for group in self.groups)
        kept = tuple(some[some >= 0] for some in groups)
        columns = {name: getattr(self, name)[which] for name in self.__dataclass_fields__ if name != "groups"}
        return Resolved(**columns, groups=tuple(group for group in kept if len(group)))

    @classmethod
    def of(cls, rows: Sequence[tuple[str, int, int, int, Outcome]]) -> Resolved:
        """From rows of symbol, time of the signal, rating, side and a resolved outcome."""
        ordered = sorted(rows, key=lambda row: (row[0], row[1]))
        symbols = [row[0] for row in ordered]
        begins = [at for at, name in enumerate(symbols) if not at or symbols[at - 1] != name]
        groups = np.split(np.arange(len(ordered)), begins[1:]) if ordered else []
        outcomes = [row[4] for row in ordered]
        reward = _floats([outcome.reward_risk for outcome in outcomes])
        decided = [outcome.exit is not Exit.TIME and outcome.reward_risk is not None for outcome in outcomes]
        return cls(
            np.array([row[2] for row in ordered], dtype=np.int64),
            _floats([outcome.r_net for outcome in outcomes]),
            np.array(decided, dtype=np.float64),
            np.array([outcome.exit is Exit.TARGET for outcome in outcomes], dtype=np.float64),
            1 / (1 + reward),
            np.array([row[1] for row in ordered], dtype=np.int64),
            np.array([outcome.entry_at for outcome in outcomes], dtype=np.int64),
            np.array([outcome.exit_at for outcome in outcomes], dtype=np.int64),
            np.array([row[3] for row in ordered], dtype=np.int64),
            reward,
            tuple(groups),
        )


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def shift_test(
    one: Floats, other: Floats, timeline: dependence.Timeline, rng: np.random.Generator
) -> tuple[float | None, float | None, float]:
    """Pearson's correlation of two columns, its p by circular shifts of ``one``, the effective number.

    Of several symbols the number is no more than what the spread of the shifts is that of: Bartlett's formula
    sees what repeats itself in time, and not what symbols have in common.
    """
    first, second = ranks.standardized(one), ranks.standardized(other)
    if first is None or second is None:
        return None, None, float(len(one))
    value = float(np.clip(first @ second, -1, 1))
    null = dependence.null_products(first, second, timeline, dependence.offsets(timeline, rng))
    p = dependence.shift_p(first, second, timeline, null)
    effective = dependence.effective_number(first, second, timeline.groups)
    if len(timeline.groups) > 1 and len(null) and (spread := float(null.var())) > 0:
        effective = min(effective, 1 + 1 / spread)
    return value, p, effective


def rank_ic(found: Resolved, rng: np.random.Generator, earlier_p: Sequence[float] = ()) -> RankIC:
    """The primary test, corrected for other looks."""
    if len(found) < 4:
        return RankIC(len(found), effective_n=float(len(found)), looks=len(earlier_p) + 1)
    one, other = ranks.ranks(found.ratings.astype(float)), ranks.ranks(found.r_net)
    value, p, effective = shift_test(one, other, found.timeline, rng)
    test = RankIC(
        len(found), value, p=p, looks=len(earlier_p) + 1, effective_n=effective,
        minimum_detectable=ranks.minimum_detectable(effective),
    )  # fmt: skip
    if value is None or p is None:
        return test
    low, high = ranks.correlation_interval(value, effective) or (None, None)
    return replace(test, low=low, high=high, p_holm=shares.holm([p, *earlier_p])[0])


def rating_row(rating: int, found: Resolved, which: Ints, rng: np.random.Generator) -> RatingRow:
    """The row of the signals at the places ``which``."""
    by_time = which[np.argsort(found.at[which], kind="stable")]
    values = found.r_net[by_time]
    mean = float(values.mean()) if len(values) else None
    low, high = dependence.interval_of_mean(values, rng) or (None, None)
    decided = which[found.decided[which] > 0]
    wins = int(found.won[decided].sum())
    win_low, win_high = shares.share_interval(wins, len(decided)) or (None, None)
    return RatingRow(
        rating, len(which), len(which) / max(len(found), 1), mean, low, high,
        float(np.median(values)) if len(values) else None, len(decided),
        wins / len(decided) if len(decided) else None, win_low, win_high,
        float(found.null[decided].mean()) if len(decided) else None, len(which) >= ENOUGH,
    )  # fmt: skip


def by_rating(found: Resolved, rng: np.random.Generator) -> list[RatingRow]:
    """A row for each rating from 1 to 5."""
    return [rating_row(rating, found, np.flatnonzero(found.ratings == rating), rng) for rating in RATINGS]


def monotone(found: Resolved, rng: np.random.Generator) -> Monotone:
    """Does R rise with the rating?"""
    counts = np.array([(found.ratings == rating).sum() for rating in RATINGS], dtype=float)
    sums = np.array([found.r_net[found.ratings == rating].sum() for rating in RATINGS])
    fitted = isotonic(sums, counts) if len(found) else np.full(5, np.nan)
    fit = [None if math.isnan(value) else float(value) for value in fitted]
    if len(found) < 4 or len(np.unique(found.ratings)) < 2:
        return Monotone(None, None, None, None, fit)
    groups = found.ratings - 1
    statistic, z = shares.jonckheere(groups, found.r_net)
    most = max(LEAST_TREND_SHIFTS, min(TREND_SHIFTS, TREND_WORK // len(found)))
    timeline = found.timeline
    shifts = dependence.offsets(timeline, rng, most)
    turned = groups.astype(float)
    null = np.array(
        [
            shares.jonckheere_counts(dependence.turned(turned, timeline, by).astype(np.int64), found.r_net)
            for by in shifts.tolist()
        ]
    )
    middle = float(np.append(null, statistic).mean())
    b = int((np.abs(null - middle) >= abs(statistic - middle) - 1e-9).sum())
    p = (1 + b) / (len(null) + 1)
    return Monotone(statistic, z, p, None if z is None else shares.normal_p(z), fit)


def policy(found: Resolved, rng: np.random.Generator) -> list[PolicyRow]:
    """Keeping ratings from 1, 2, ... 5 upwards."""
    timeline = found.timeline
    shifts = dependence.offsets(timeline, rng)
    return [_policy_row(rating, found, timeline, shifts) for rating in RATINGS]


def _policy_row(rating: int, found: Resolved, timeline: dependence.Timeline, shifts: Ints) -> PolicyRow:
    kept = (found.ratings >= rating).astype(float)
    count = int(kept.sum())
    values = found.r_net[kept > 0]
    band: tuple[float | None, float | None] = (None, None)
    naive = band
    if 0 < count < len(found) and len(shifts):
        totals = dependence.null_products(kept, found.r_net, timeline, shifts)
        counts = dependence.null_products(kept, np.ones(len(found)), timeline, shifts)
        means = totals / np.maximum(counts, 1.0)
        band = float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
        spread = float(found.r_net.std()) * math.sqrt((1 - count / len(found)) / count)
        middle = float(found.r_net.mean())
        naive = (middle - ranks.Z_975 * spread, middle + ranks.Z_975 * spread)
    return PolicyRow(
        min_rating=rating,
        n=count,
        share=count / max(len(found), 1),
        mean_r=float(values.mean()) if count else None,
        total_r=float(values.sum()),
        drawdown_r=drawdown(values, found.ended[kept > 0]),
        band_low=band[0],
        band_high=band[1],
        naive_low=naive[0],
        naive_high=naive[1],
        enough=count >= ENOUGH,
    )


def drawdown(values: Floats, ended: Ints) -> float:
    """The deepest fall of the sum of R below its highest point so far, in the order in which trades ended."""
    curve = np.concatenate([[0.0], np.cumsum(values[np.argsort(ended, kind="stable")])])
    return float((np.maximum.accumulate(curve) - curve).max())
