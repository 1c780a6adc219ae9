"""Signals followed as bars come in: the numbers of the resolver, and what is not followed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.worth.live import RECENT_BARS, LiveOutcomes, UnknownSignalError
from llm_integration.worth.outcome import Exit, Outcome, OutcomeRecord, Trade
from llm_integration.worth.resolver import resolve
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.trades import BarColumns
from tests.unit.test_worth_resolver_many import (
    MINUTE,
    PRICES,
    RULES,
    START,
    bar_columns,
    sound_trades,
    trades,
)

Rows = list[tuple[int, float, float, float, float]]


def rows_of(bars: BarColumns) -> Rows:
    columns = (bars.times, bars.opens, bars.highs, bars.lows, bars.closes)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def play(
    live: LiveOutcomes, bars: Rows, trades_at: dict[int, list[Trade]], fills: dict[int, tuple[float, int]]
) -> dict[str, list[OutcomeRecord]]:
    """What came out, by signal, of signals and fills that are told before the bar of that place."""
    found: dict[str, list[OutcomeRecord]] = {}
    for place in range(len(bars) + 1):
        told: list[OutcomeRecord | None] = []
        for trade in trades_at.get(place, []):
            told += live.accept("ES", trade)
        if place in fills and "s0" in live._known:
            told += live.fill("s0", *fills[place])
        if place < len(bars):
            told += live.bar("ES", bars[place])
        for record in told:
            if record is not None:
                found.setdefault(record.outcome.signal_id, []).append(record)
    return found


@settings(max_examples=400, deadline=None)
@given(
    bar_columns(),
    st.lists(sound_trades() | sound_trades() | trades(), min_size=1, max_size=6),
    RULES,
    st.lists(st.integers(0, 6), min_size=6, max_size=6),
    st.lists(st.none() | st.integers(-1, 15), min_size=7, max_size=7),
    st.none() | st.tuples(st.integers(0, 41), PRICES),
)
def test_followed_live_is_resolved_afterwards_to_the_last_bit(
    bars: BarColumns,
    given_trades: list[Trade],
    rules: ResolverRules,
    late: list[int],
    beside: list[int | None],
    filled: tuple[int, float] | None,
) -> None:
    """Whenever signals and a fill are told of; and what has no outcome live is open, or was not covered."""
    rows = rows_of(bars)
    moments = [  # most of them those of bars, where edges are
        None if at is None else rows[at][0] if 0 <= at < len(rows) else START + MINUTE * at for at in beside
    ]
    named = [
        replace(trade, signal_id=f"s{at}", at=moment, fill_price=None, fill_at=None)
        for at, (trade, moment) in enumerate(zip(given_trades, moments, strict=False))
    ]
    places: dict[int, list[Trade]] = {}
    for trade, behind in zip(named, late, strict=False):
        own = sum(row[0] < (trade.at or 0) for row in rows)
        places.setdefault(min(own + behind, len(rows)), []).append(trade)
    fills = {} if filled is None else {filled[0]: (filled[1], moments[-1] or START)}
    live = LiveOutcomes(rules)
    found = play(live, rows, places, fills)
    for trade in named:
        records = found.get(trade.signal_id, [])
        if trade.signal_id == "s0" and records and records[-1].fill_price is not None:
            trade = replace(trade, fill_price=records[-1].fill_price, fill_at=records[-1].fill_at)  # noqa: PLW2901
        expected = resolve(trade, bars, rules)
        after = trade.at if trade.fill_at is None else trade.fill_at
        covered = not rows or (after is not None and rows[0][0] <= after)
        if records and records[-1].outcome.exit is not Exit.OPEN:
            assert records[-1].outcome == expected
        elif covered and (known := live._known.get(trade.signal_id)) is not None:
            assert known.following is not None
            assert known.following.so_far() == expected


BARS: Rows = [(START + MINUTE * at, 100.0, 101.0, 99.0, 100.0) for at in range(400)]


def a_trade(name: str = "a", at: int = 0, **changes: Any) -> Trade:
    given_values: dict[str, Any] = {"stop": 98.0, "target": 104.0, "entry_price": 100.0, **changes}
    return Trade(name, 1, START + MINUTE * at, **given_values)


def ended(live: LiveOutcomes, bars: Rows) -> list[Outcome]:
    return [record.outcome for bar in bars for record in live.bar("ES", bar) if record is not None]


def test_a_signal_whose_bars_were_not_all_seen_is_left_to_worth() -> None:
    """No numbers are made up from the bars that happen to be there: before the first one, or too long ago."""
    live = LiveOutcomes(ResolverRules(horizon_bars=5))
    assert list(live.accept("ES", a_trade("early", -3))) == []
    ended(live, BARS[: RECENT_BARS + 50])
    assert list(live.accept("ES", a_trade("late", 10))) == []
    assert (live.uncovered, live.followed) == (2, 0)
    (record,) = live.accept("ES", a_trade("in time", 60))
    assert record.outcome.exit is Exit.TIME


def test_when_there_is_no_room_the_one_that_was_followed_longest_is_given_up() -> None:
    """The number of open signals is bounded, and what was given up is counted."""
    live = LiveOutcomes(ResolverRules(horizon_bars=3), most_followed=2)
    ended(live, BARS[:1])
    for name in "abc":
        list(live.accept("ES", a_trade(name)))
    assert (live.followed, live.given_up) == (2, 1)
    assert [outcome.signal_id for outcome in ended(live, BARS[1:5])] == ["b", "c"]


def test_a_bar_that_comes_again_counts_once_and_lost_bars_end_what_was_open() -> None:
    """A feed that repeats itself moves no horizon; a hole that we made ourselves is no outcome."""
    live = LiveOutcomes(ResolverRules(horizon_bars=3))
    list(live.accept("ES", a_trade("a")))
    assert ended(live, [BARS[0], BARS[1], BARS[1], BARS[0], BARS[2]]) == []
    assert live.repeated == 2
    live.lose_bars()
    assert ended(live, BARS[3:10]) == []
    assert (live.followed, live.given_up) == (0, 1)


def test_what_the_host_reports_stands() -> None:
    """R is counted from its entry to its exit, and no bar says anything more about the signal."""
    live = LiveOutcomes(ResolverRules(spread=0.5))
    list(live.accept("ES", a_trade("a")))
    ended(live, BARS[:3])
    record = live.report("a", 103.0, START + 3 * MINUTE)
    outcome = record.outcome
    assert (outcome.exit, outcome.source, outcome.r_gross, outcome.r_net) == (Exit.TIME, "host", 1.5, 1.25)
    assert (outcome.mfe, outcome.mae, outcome.bars_held) == (1.5, -0.5, 2)
    assert record.corrects
    assert ended(live, [(BARS[5][0], 90.0, 91.0, 89.0, 90.0)]) == []
    assert live.report("a", 97.0, START, r_net=-1.7).outcome.r_net == -1.7


def test_a_report_after_the_outcome_of_bars_takes_its_place() -> None:
    """The host knows what really happened; without bars nothing is said of the way there."""
    live = LiveOutcomes(ResolverRules(horizon_bars=1))
    list(live.accept("ES", a_trade("a")))
    assert [outcome.exit for outcome in ended(live, BARS[:3])] == [Exit.TIME]
    assert live.report("a", 104.0, START + 9 * MINUTE).outcome.exit is Exit.TARGET
    list(live.accept("ES", a_trade("old", -50)))
    unseen = live.report("old", 98.0, START).outcome
    assert (unseen.exit, unseen.r_gross, unseen.mfe, unseen.mae) == (Exit.STOP, -1.0, None, None)


@pytest.mark.parametrize("changes", [{"stop": None}, {"stop": 100.0}, {"stop": 101.0}, {"entry_price": None}])
def test_a_report_about_what_has_no_risk_is_refused(changes: dict[str, Any]) -> None:
    """Nothing is invented where there is no distance to count in."""
    live = LiveOutcomes(ResolverRules())
    list(live.accept("ES", a_trade("a", **changes)))
    with pytest.raises(ValueError, match=r"no_stop|zero_risk|wrong_side|no_entry"):
        live.report("a", 103.0, START)


def test_an_unknown_id_is_told_apart() -> None:
    """A fill or an outcome of nobody's signal changes nothing."""
    live = LiveOutcomes(ResolverRules())
    with pytest.raises(UnknownSignalError):
        list(live.fill("nobody", 1.0, START))
    with pytest.raises(UnknownSignalError):
        live.report("nobody", 1.0, START)


def test_following_needs_no_numpy() -> None:
    """A host that trades without numpy can have its outcomes followed."""
    code = "import sys, llm_integration.worth.live; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
