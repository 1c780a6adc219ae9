"""Ratings beside what is free, what they say of choppiness, what they cost, and parts of the whole. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from llm_integration.worth import dependence, ranks
from llm_integration.worth.dependence import Timeline
from llm_integration.worth.evidence import ENOUGH, Resolved, rank_ic, shift_test
from llm_integration.worth.market import Measures
from llm_integration.worth.rater import agreement, area_under_curve, entropy_bits, kappa, modal_share
from llm_integration.worth.sections import (
    Choppiness,
    Day,
    Increment,
    Indicator,
    Money,
    Period,
    RatedSignal,
    Rater,
    Reading,
)
from llm_integration.worth.sessions import DAY, EPOCH
from llm_integration.worth.trades import Flags, Floats, Ints

__all__ = ["calendar", "choppiness", "increment", "money", "periods", "rater", "regimes"]

CHOPPY = 61.8
TRENDING = 38.2
"""Dreiss' bounds of the Choppiness Index."""
SMALLEST_PART = 4


def increment(found: Resolved, free: Measures, rng: np.random.Generator) -> Increment:
    """The rank correlation of rating and net R beside free indicators; each of these alone, too."""
    sides = found.sides.astype(float)
    columns = {
        "last_return_with_the_trade": free.last_return * sides,
        "choppiness_index": free.choppiness,
        "adx": free.adx,
        "efficiency_ratio": free.efficiency,
        "reward_risk": found.reward_risk,
    }
    alone = [_alone(name, column, found, rng) for name, column in columns.items()]
    hours = found.at % DAY / DAY * 2 * math.pi
    usable = {name: column for name, column in columns.items() if np.isfinite(column).sum() * 2 > len(column)}
    there = np.ones(len(found), dtype=np.bool_)
    for column in usable.values():
        there &= np.isfinite(column)
    whole = np.flatnonzero(there)
    beside = [ranks.ranks(column[whole]) for column in usable.values()]
    beside += [np.sin(hours[whole]), np.cos(hours[whole]), sides[whole]]
    names = [*usable, "hour", "side"]
    if len(whole) <= len(beside) + 10:
        return Increment(len(whole), None, None, names, alone, enough=False)
    part = found.part(whole)
    design = np.column_stack(beside)
    left = ranks.partial_residuals(ranks.ranks(part.ratings.astype(float)), design)
    value, p, effective = shift_test(
        left, ranks.partial_residuals(ranks.ranks(part.r_net), design), part.timeline, rng
    )
    return Increment(len(whole), value, p, names, alone, enough=effective >= ENOUGH)


def _alone(name: str, column: Floats, found: Resolved, rng: np.random.Generator) -> Indicator:
    there = np.flatnonzero(np.isfinite(column))
    if len(there) < SMALLEST_PART:
        return Indicator(name, len(there), None, None)
    part = found.part(there)
    value, p, _ = shift_test(ranks.ranks(column[there]), ranks.ranks(part.r_net), part.timeline, rng)
    return Indicator(name, len(there), value, p)


def rater(ratings: Ints, readings: Sequence[Reading]) -> Rater:
    """Readings of one signal by several raters are compared pair by pair, by one rater with its first."""
    by_signal: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for reading in readings:
        by_signal[reading.signal_id][reading.rater].append(reading.rating)
    names = sorted({reading.rater for reading in readings})
    agreements = [
        agreement(
            one, other, [(a[one][0], a[other][0]) for a in by_signal.values() if one in a and other in a]
        )
        for at, one in enumerate(names)
        for other in names[at + 1 :]
    ]
    repeats = [
        agreement(
            name,
            name,
            [(a[name][0], later) for a in by_signal.values() if name in a for later in a[name][1:]],
        )
        for name in names
    ]
    return Rater(
        len(ratings), modal_share(ratings), entropy_bits(ratings),
        [found for found in agreements if found is not None],
        [found for found in repeats if found is not None],
    )  # fmt: skip


def choppiness(
    said: Floats, free: Measures, r_net: Floats, timeline: Timeline, rng: np.random.Generator
) -> Choppiness:
    """Of signals with a verdict: ``said`` is 1 for "yes", ``r_net`` NaN where there is no result."""
    yes = int(said.sum())
    measured = {
        "choppiness_index": free.choppiness,
        "efficiency_ratio": -free.efficiency,
        "adx": -free.adx,
    }
    areas = {name: _area(said, column) for name, column in measured.items()}
    known = np.isfinite(free.choppiness)
    agreed = None
    if known.any():
        over = (free.choppiness[known] > CHOPPY).astype(np.int64) + 1
        agreed = kappa(said[known].astype(np.int64) + 1, over, 2)
    ahead = free.forward_efficiency
    seen = np.isfinite(ahead)
    middle = float(np.median(ahead[seen])) if seen.any() else math.nan
    low = np.where(seen, (ahead < middle) * 1.0, np.nan)
    beyond, p, enough = _beyond(said, measured, ahead, timeline, rng)
    return Choppiness(
        len(said), yes, agreed, areas, _area(low, said), beyond, p,
        _mean(r_net[said > 0]), _mean(r_net[said <= 0]), enough,
    )  # fmt: skip


def _beyond(
    said: Floats,
    measured: dict[str, Floats],
    ahead: Floats,
    timeline: Timeline,
    rng: np.random.Generator,
) -> tuple[float | None, float | None, bool]:
    there = np.flatnonzero(np.logical_and.reduce([np.isfinite(c) for c in (*measured.values(), ahead)]))
    if len(there) <= len(measured) + 10:
        return None, None, False
    place = np.full(len(said), -1, dtype=np.int64)
    place[there] = np.arange(len(there))
    kept = [place[group][place[group] >= 0] for group in timeline.groups]
    design = np.column_stack([ranks.ranks(column[there]) for column in measured.values()])
    left = ranks.partial_residuals(said[there], design)
    sideways = ranks.partial_residuals(ranks.ranks(-ahead[there]), design)
    part = Timeline.of([group for group in kept if len(group)], timeline.ticks[there])
    value, p, effective = shift_test(left, sideways, part, rng)
    return value, p, effective >= ENOUGH


def _area(marks: Floats, values: Floats) -> float | None:
    there = np.isfinite(marks) & np.isfinite(values)
    return area_under_curve(marks[there], values[there])


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def money(
    found: Resolved,
    signals: Sequence[RatedSignal],
    keep_from: int,
    spent: float | None,
    rng: np.random.Generator,
) -> Money:
    """The gain is what the kept signals made beyond the same number at the mean of all."""
    costs = [signal.cost_usd for signal in signals]
    known = [cost for cost in costs if cost is not None]
    unknown = 0 if spent is not None else len(costs) - len(known)
    usd = spent if spent is not None else (math.fsum(known) if known else None)
    kept = (found.ratings >= keep_from).astype(float)
    if len(found) < 8 or kept.min() == kept.max():
        return Money(usd, unknown, keep_from, None, None, None, None, None, None, None)
    each = (kept - kept.mean()) * (found.r_net - found.r_net.mean())
    gained = float(each.sum())
    by_time = np.argsort(found.at, kind="stable")
    low, high = dependence.interval_of_mean(each[by_time], rng) or (math.nan, math.nan)
    low, high = low * len(found), high * len(found)
    paid = usd if usd else None
    return Money(
        spent_usd=usd,
        cost_unknown=unknown,
        keep_from=keep_from,
        gained_r=gained,
        low=low,
        high=high,
        r_per_usd=None if paid is None else gained / paid,
        r_per_usd_low=None if paid is None else low / paid,
        r_per_usd_high=None if paid is None else high / paid,
        break_even_usd=None if paid is None or gained <= 0 else paid / gained,
    )


def periods(found: Resolved, parts: dict[str, Flags], rng: np.random.Generator) -> list[Period]:
    """Each named part of the whole by itself; ``parts`` mark the signals that belong to it."""
    return [_period(name, found.part(np.flatnonzero(marks)), rng) for name, marks in parts.items()]


def _period(name: str, part: Resolved, rng: np.random.Generator) -> Period:
    test = rank_ic(part, rng)
    return Period(
        name, len(part), float(part.r_net.mean()) if len(part) else None, test, test.effective_n >= ENOUGH
    )


def regimes(choppiness_index: Floats) -> dict[str, Flags]:
    """Trending, in between and choppy, by the Choppiness Index at the signal."""
    return {
        "trending": choppiness_index < TRENDING,
        "in between": (choppiness_index >= TRENDING) & (choppiness_index <= CHOPPY),
        "choppy": choppiness_index > CHOPPY,
    }


def calendar(found: Resolved) -> list[Day]:
    """Net R by the day (UTC) on which trades ended, in order."""
    if not len(found):
        return []
    days, places = np.unique(found.ended // DAY, return_inverse=True)
    totals = np.bincount(places, weights=found.r_net)
    counts = np.bincount(places)
    return [
        Day((EPOCH + timedelta(days=int(day))).date().isoformat(), int(count), float(total))
        for day, count, total in zip(days, counts, totals, strict=True)
    ]
