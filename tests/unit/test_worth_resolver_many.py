"""The vectorised resolver against the plain loop, over random bars and trades."""

from __future__ import annotations

import time as clock
from datetime import UTC, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.worth import resolver_many
from llm_integration.worth.resolver import resolve
from llm_integration.worth.resolver_many import resolve_many
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sessions import DAY, session_end_after, session_ends_after
from llm_integration.worth.trades import BarColumns, Exit, Trade, TradeColumns

MINUTE = 60_000_000
START = 1_700_000_000_000_000
PRICES = st.integers(90, 110).map(float)


@st.composite
def bar_columns(draw: st.DrawFn, most: int = 40) -> BarColumns:
    """Sound bars on a coarse grid of prices, so that ties and exact touches are frequent; with gaps."""
    rows = []
    at = START
    for _ in range(draw(st.integers(0, most))):
        at += MINUTE * draw(st.sampled_from([1, 1, 1, 60, 3_000]))
        opened, closed, one, two = (draw(PRICES) for _ in range(4))
        rows.append((at, opened, max(opened, closed, one, two), min(opened, closed, one, two), closed))
    return BarColumns.of(rows)


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    """Good ones and every kind of bad one."""
    maybe = st.none() | PRICES
    filled = draw(st.none() | st.none() | PRICES)
    moment = st.integers(-2, 45 * 60).map(lambda minutes: START + minutes * MINUTE)
    return Trade(
        "s", draw(st.sampled_from([1, 1, 1, -1, -1, -1, 0])), draw(st.none() | moment | moment | moment),
        draw(maybe), draw(maybe), draw(maybe), filled, None if filled is None else draw(st.none() | moment),
    )  # fmt: skip


@st.composite
def sound_trades(draw: st.DrawFn) -> Trade:
    """Trades around the middle of the prices, which nearly always have a result."""
    side = draw(st.sampled_from([1, -1]))
    stop = 100.0 - side * draw(st.integers(1, 9))
    target = draw(st.none() | st.integers(1, 9).map(lambda away: 100.0 + side * away))
    at = START + draw(st.integers(-1, 60)) * MINUTE
    filled = draw(st.none() | st.none() | st.just(100.0))
    return Trade("s", side, at, stop, target, draw(st.sampled_from([None, 100.0])), filled, None)


RULES = st.builds(
    ResolverRules,
    entry=st.sampled_from(["next_open", "close", "signal"]),
    horizon_bars=st.sampled_from([None, 1, 2, 5, 60]),
    session_end=st.sampled_from([None, None, time(22), time(0, 30)]),
    zone=st.sampled_from([UTC, ZoneInfo("America/Chicago")]),
    spread=st.sampled_from([0.0, 0.3]),
    commission=st.sampled_from([0.0, 0.07]),
    slippage=st.sampled_from([0.0, 0.11]),
)


@settings(max_examples=400, deadline=None)
@given(bar_columns(), st.lists(sound_trades() | trades(), max_size=12), RULES)
def test_the_vectorised_resolver_equals_the_plain_loop(
    bars: BarColumns, given_trades: list[Trade], rules: ResolverRules
) -> None:
    """Every field of every outcome is the same, to the last bit."""
    columns = TradeColumns.of(given_trades)
    expected = [resolve(trade, bars, rules) for trade in given_trades]
    assert list(resolve_many(columns, bars, rules).objects(columns)) == expected


@settings(max_examples=150, deadline=None)
@given(bar_columns(60), st.lists(sound_trades() | trades(), max_size=6), RULES)
def test_trades_that_are_followed_alone_end_the_same(
    bars: BarColumns, given_trades: list[Trade], rules: ResolverRules
) -> None:
    """Behind the steps in common, over stretches that double, nothing changes."""
    columns = TradeColumns.of(given_trades)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolver_many, "STEPS", 1)
        patch.setattr(resolver_many, "STRETCH", 2)
        found = list(resolve_many(columns, bars, rules).objects(columns))
    assert found == [resolve(trade, bars, rules) for trade in given_trades]


@given(st.lists(st.integers(0, 20_000 * DAY), max_size=20), st.sampled_from(["UTC", "America/Chicago"]))
def test_many_session_ends_equal_single_ones(moments: list[int], zone: str) -> None:
    """Over clock changes too."""
    end = time(16, 15)
    found = session_ends_after(np.array(moments, dtype=np.int64), end, ZoneInfo(zone)).tolist()
    assert found == [session_end_after(moment, end, ZoneInfo(zone)) for moment in moments]
    assert all(0 < after - moment <= DAY * 25 // 24 for after, moment in zip(found, moments, strict=True))


def many(count: int, bar_count: int, stop: float) -> tuple[TradeColumns, BarColumns]:
    rng = np.random.default_rng(7)
    closes = 1_000 + np.cumsum(rng.normal(size=bar_count))
    opens = np.concatenate([[1_000.0], closes[:-1]])
    highs, lows = np.maximum(opens, closes) + 0.5, np.minimum(opens, closes) - 0.5
    times = START + MINUTE * np.arange(bar_count, dtype=np.int64)
    at = np.sort(rng.integers(0, bar_count - 1, size=count))
    side = rng.choice(np.array([1, -1]), size=count)
    entries = closes[at]
    unknown: Any = np.full(count, np.nan)
    trades_ = TradeColumns(
        [""] * count, side, times[at], entries - side * stop, entries + 2 * side * stop, entries, unknown,
        np.full(count, np.iinfo(np.int64).min),
    )  # fmt: skip
    return trades_, BarColumns(times, opens, highs, lows, closes)


def test_a_hundredth_of_the_promised_work_takes_a_hundredth_of_the_minute() -> None:
    """10,000 signals over 100,000 bars, nearly all with the full 60 bars: far below 0.6 s of this CPU."""
    columns, bars = many(10_000, 100_000, 25.0)
    begun = clock.process_time()
    found = resolve_many(columns, bars, ResolverRules())
    assert clock.process_time() - begun < 0.6
    assert (found.exits == list(Exit).index(Exit.TIME)).mean() > 0.5
