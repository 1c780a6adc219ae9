"""Does the report tell noise from skill? Ratings that are made up, over real bars. Pure.

Trades are entered on random bars with random sides, a stop 1.5 average ranges away and a target at twice
that. ``noise``: the ratings know nothing, but stick together in time, as those of a model that judges the
market's mood do; evidence must be found at the nominal rate and no more. ``together``: the same over eight
symbols that move together and are rated alike, so that all is seen eight times. ``planted``: a part of them
knows the result, of the size that is found in 80% of cases; so often it must be found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from llm_integration.worth import ranks
from llm_integration.worth.evidence import Resolved, rank_ic
from llm_integration.worth.resolver_many import resolve_many
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.trades import NO_TIME, BarColumns, Floats, Ints, Outcome, TradeColumns
from llm_integration.worth.verdict import LEVEL, verdict

__all__ = ["Kind", "SelfTest", "self_test"]

Kind = Literal["noise", "together", "planted"]
TRADES: Final = 300
SYMBOLS: Final = 8
EVENTS: Final = 38
"""Moments at which all symbols that move together are traded, within a few bars."""
OWN: Final = 0.3
"""How far each of these signals' ratings strays from the mood that all share."""
STICKINESS: Final = 0.9
"""Correlation of a rating's mood with the one before."""
STOP_RANGES: Final = 1.5
REWARD: Final = 2.0
WARMUP: Final = 50
POWER: Final = 0.80


@dataclass(frozen=True, slots=True)
class SelfTest:
    """How often evidence was found, beside how often it should be; ``error`` is the standard error.

    ``planted`` is the rank correlation that was put in, ``mean_value`` the mean of what was measured.
    """

    kind: Kind
    repetitions: int
    found_for: int
    found_against: int
    expected: float
    error: float
    planted: float
    mean_value: float
    mean_effective_n: float

    @property
    def share(self) -> float:
        """In how many of the repetitions evidence was found: either way in noise, "for" if it is planted."""
        found = self.found_for + (0 if self.kind == "planted" else self.found_against)
        return found / self.repetitions

    @property
    def passed(self) -> bool:
        """True when noise is called evidence no more often than it may be, or power is what was stated.

        Of noise 1.5 points over 5% are let pass, or what chance does with few repetitions; of power 3 points
        and three standard errors, since the formula behind it is an approximation.
        """
        if self.kind != "planted":
            return self.share <= self.expected + max(0.015, 2.2 * self.error)
        return abs(self.share - self.expected) <= 0.03 + 3 * self.error


def self_test(kind: Kind, bars: BarColumns, repetitions: int, seed: int = 20_260_101) -> SelfTest:
    """Run it over the bars of one instrument. Raises ValueError when there are too few of them."""
    if len(bars) < TRADES * 4:
        raise ValueError(f"{len(bars)} bars are too few; a self-test takes {TRADES * 4}")
    size = ranks.minimum_detectable(TRADES) or 0.0
    levels: list[str] = []
    values, effective = [], []
    for child in np.random.SeedSequence(seed).spawn(repetitions):
        rng = np.random.default_rng(child)
        if kind == "together":
            sample = _together(bars, rng)
        else:
            found = _trades(bars, rng)
            sample = _rated(found, _ratings(found, size if kind == "planted" else 0.0, rng))
        test = rank_ic(sample, rng)
        levels.append(verdict(test).level)
        values.append(test.value or 0.0)
        effective.append(test.effective_n)
    expected = POWER if kind == "planted" else LEVEL
    return SelfTest(
        kind, repetitions, levels.count("evidence_for"), levels.count("evidence_against"), expected,
        math.sqrt(expected * (1 - expected) / repetitions), size if kind == "planted" else 0.0,
        float(np.mean(values)), float(np.mean(effective)),
    )  # fmt: skip


def _trades(bars: BarColumns, rng: np.random.Generator) -> Resolved:
    """Random trades that came to an end, in the order of time; all are rated 0."""
    places = np.sort(rng.choice(np.arange(WARMUP, len(bars) - 1), size=TRADES, replace=False))
    outcomes = _entered(bars, places, rng.choice(np.array([1, -1]), size=TRADES))
    return Resolved.of([("", *row[:1], 0, *row[1:]) for row in outcomes if row[2].resolved])


def _together(bars: BarColumns, rng: np.random.Generator) -> Resolved:
    """Eight symbols with the same prices, traded the same way within a few bars, and rated by one mood."""
    events = np.sort(rng.choice(np.arange(WARMUP, len(bars) - 4), size=EVENTS, replace=False))
    sides, mood = rng.choice(np.array([1, -1]), size=EVENTS), _mood(EVENTS, rng)
    rows = []
    for symbol in range(SYMBOLS):
        outcomes = _entered(bars, events + rng.integers(0, 3, size=EVENTS), sides)
        heard = mood + OWN * rng.normal(size=EVENTS)
        rows += [(str(symbol), row, value) for row, value in zip(outcomes, heard.tolist(), strict=True)]
    kept = [entry for entry in rows if entry[1][2].resolved]
    ratings = _fifths(np.array([value for _, _, value in kept])).tolist()
    return Resolved.of(
        [(name, row[0], rating, row[1], row[2]) for (name, row, _), rating in zip(kept, ratings, strict=True)]
    )


def _entered(bars: BarColumns, places: Ints, sides: Ints) -> list[tuple[int, int, Outcome]]:
    """Time of the signal, side and outcome of a trade at each of these bars."""
    count = len(places)
    ranges = np.concatenate([[0.0], np.cumsum(bars.highs - bars.lows)])
    distance = STOP_RANGES * (ranges[places + 1] - ranges[places - 13]) / 14
    entries = bars.opens[places + 1]
    trades = TradeColumns(
        [""] * count, sides, bars.times[places], entries - sides * distance,
        entries + REWARD * sides * distance, np.full(count, np.nan), np.full(count, np.nan),
        np.full(count, NO_TIME),
    )  # fmt: skip
    outcomes = list(resolve_many(trades, bars, ResolverRules()).objects(trades))
    return list(zip(bars.times[places].tolist(), sides.tolist(), outcomes, strict=True))


def _mood(count: int, rng: np.random.Generator) -> Floats:
    """One that sticks together in time."""
    mood = np.empty(count)
    steps = rng.normal(size=count)
    mood[0] = steps[0]
    for at in range(1, count):
        mood[at] = STICKINESS * mood[at - 1] + math.sqrt(1 - STICKINESS**2) * steps[at]
    return mood


def _fifths(mood: Floats) -> Ints:
    """Ratings from 1 to 5, a fifth each."""
    found: Ints = ((ranks.ranks(mood) - 0.5) * 5 / len(mood)).astype(np.int64) + 1
    return found


def _ratings(found: Resolved, size: float, rng: np.random.Generator) -> Ints:
    """Ratings 1 to 5, a fifth each, whose rank correlation with the result is ``size`` in the mean."""
    count = len(found)
    mood = _mood(count, rng)
    result = ranks.standardized(ranks.ranks(found.r_net))
    known = size / _kept_by_fifths()
    if result is not None and size:
        mood = (mood - mood.mean()) / mood.std()  # a sticky one varies less within a sample
        mood = known * result * math.sqrt(count) + math.sqrt(1 - known**2) * mood
    return _fifths(mood)


def _kept_by_fifths() -> float:
    """What is left of a correlation with a normal variable when that is cut into five equal parts."""
    normal = NormalDist()
    heights = [0.0, *(normal.pdf(normal.inv_cdf(share / 5)) for share in range(1, 5)), 0.0]
    means: Floats = np.array([5 * (heights[at] - heights[at + 1]) for at in range(5)])
    places = (np.arange(5) - 2) / math.sqrt(2)
    return float((means * places).mean())


def _rated(found: Resolved, ratings: Ints) -> Resolved:
    columns = {name: getattr(found, name) for name in Resolved.__dataclass_fields__}
    return Resolved(**{**columns, "ratings": ratings})
