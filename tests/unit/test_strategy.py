"""The bundled strategy: when it signals, at which prices, and from which bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llm_integration import Bar
from trading.config import TradingConfig
from trading.feed import read_bars
from trading.strategy import MovingAverageCross, TradeSignal

SAMPLE = list(read_bars(Path(__file__).parents[2] / "data" / "EURUSD_1h.csv"))
SMALL = TradingConfig(fast_period=2, slow_period=4, atr_period=3, stop_atr_multiple=1.0, reward_multiple=3.0)


def bars_of(closes: list[float], spread: float = 1.0) -> list[Bar]:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        Bar(start + timedelta(hours=i), close, close + spread, close - spread, close, 1.0)
        for i, close in enumerate(closes)
    ]


def signals(bars: list[Bar], config: TradingConfig | None = None) -> list[TradeSignal]:
    strategy = MovingAverageCross(config or TradingConfig())
    return [signal for signal in map(strategy.on_bar, bars) if signal is not None]


def test_sample_gives_a_sensible_number_of_signals() -> None:
    """With the defaults the sample year gives 139 signals, both ways, at 139 different bars."""
    found = signals(SAMPLE)
    assert len(found) == 139
    assert len({signal.timestamp for signal in found}) == 139
    assert {signal.signal_type for signal in found} == {"BUY", "SELL"}


def test_buy_on_the_bar_that_crosses() -> None:
    """Falling prices that turn give one BUY, at the close of the bar whose averages crossed."""
    bars = bars_of([10, 9, 8, 7, 6, 7, 9, 11, 12])
    # Averages of 2 and 4 closes: 6.5 under 7 at the 6th bar, 8 over 7.25 at the 7th.
    (signal,) = signals(bars, SMALL)
    assert signal == TradeSignal(
        timestamp=bars[6].timestamp,
        symbol="EURUSD",
        signal_type="BUY",
        entry_price=9.0,
        stop_loss=6.67,  # true ranges 2, 2 and 3: one average of them below the entry
        target_price=15.99,  # three times the risk of 2.33 above it
        strategy="sma_cross_2_4",
    )


def test_sell_is_the_mirror_image() -> None:
    """The same bars upside down give the same signal upside down."""
    closes = [10.0, 9, 8, 7, 6, 7, 9, 11, 12]
    (buy,) = signals(bars_of(closes), SMALL)
    (sell,) = signals(bars_of([-close for close in closes]), SMALL)
    assert sell.signal_type == "SELL"
    assert (sell.entry_price, sell.stop_loss, sell.target_price) == (
        -buy.entry_price,
        -buy.stop_loss,
        -buy.target_price,
    )


def test_stop_and_target_lie_where_the_settings_say() -> None:
    """Every stop is 2 true ranges away to a hundredth of one, every target exactly 2R beyond the entry."""
    position = {bar.timestamp: i for i, bar in enumerate(SAMPLE)}
    for signal in signals(SAMPLE):
        last = SAMPLE[position[signal.timestamp] - 14 : position[signal.timestamp] + 1]
        ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(last)]
        true_range = sum(ranges) / 14
        risk, reward = signal.entry_price - signal.stop_loss, signal.target_price - signal.entry_price
        assert signal.entry_price == last[-1].close
        assert (risk > 0) == (signal.signal_type == "BUY")
        assert abs(risk) == pytest.approx(2 * true_range, abs=true_range / 100)
        assert reward / risk == pytest.approx(2.0, abs=1e-6)


def test_directions_alternate() -> None:
    """After a BUY comes a SELL and the other way round: a side is only left for the other one."""
    kinds = [signal.signal_type for signal in signals(SAMPLE)]
    assert all(first != second for first, second in pairwise(kinds))


def test_touching_is_not_crossing() -> None:
    """Averages that meet and part again on the old side give no signal."""
    assert signals(bars_of([1, 2, 3, 4, 5, 5, 5, 5, 5, 6, 7, 8]), SMALL) == []


def test_warm_up_gives_no_signal() -> None:
    """The first bar that has both averages only tells on which side they are."""
    assert signals(bars_of([5, 5, 5, 9]), SMALL) == []


def test_market_that_never_moves_gives_no_signal() -> None:
    """Without any range there is no distance to put a stop at."""
    assert signals(bars_of([1.0] * 200, spread=0.0), SMALL) == []


@pytest.mark.parametrize("start", [0, 1_000, 3_333, 5_000])
def test_replaying_the_warm_up_decides_the_same(start: int) -> None:
    """After a replay of ``warm_up_bars`` the signals are exactly those of a process that never stopped."""
    strategy = MovingAverageCross(TradingConfig())
    replay = SAMPLE[start : start + strategy.warm_up_bars]
    for bar in replay:
        strategy.on_bar(bar)
    resumed = [s for s in map(strategy.on_bar, SAMPLE[start + len(replay) :]) if s is not None]
    since = replay[-1].timestamp
    assert resumed == [signal for signal in signals(SAMPLE) if signal.timestamp > since]


def test_no_signal_knows_a_later_bar() -> None:
    """Cutting the year off after any signal leaves that signal and all before it as they were."""
    whole = signals(SAMPLE)
    for number in (0, 50, 138):
        upto = [bar for bar in SAMPLE if bar.timestamp <= whole[number].timestamp]
        assert signals(upto) == whole[: number + 1]


@given(st.lists(st.integers(-50, 50), max_size=60), st.sampled_from([1e-300, 1e-6, 1.0, 2.0**20]))
def test_any_market_at_any_price_gives_sound_signals(steps: list[int], unit: float) -> None:
    """Stop, entry and target are in order for every signal, whatever the price level."""
    closes, price = [], 0.0
    for step in steps:
        price += step * unit
        closes.append(price)
    for signal in signals(bars_of(closes, spread=unit), SMALL):
        prices = [signal.stop_loss, signal.entry_price, signal.target_price]
        assert prices == sorted(prices, reverse=signal.signal_type == "SELL")
        assert len(set(prices)) == 3


def test_stop_that_rounds_to_the_entry_gives_no_signal() -> None:
    """With a stop a thousandth of a true range away there is nothing to trade."""
    tight = SMALL.model_copy(update={"stop_atr_multiple": 0.001})
    assert signals(bars_of([10, 9, 8, 7, 6, 7, 9, 11, 12]), tight) == []


def test_symbol_comes_from_the_caller_first() -> None:
    """The symbol given to the strategy wins over the configured one."""
    assert MovingAverageCross(TradingConfig(symbol="ES")).symbol == "ES"
    assert MovingAverageCross(TradingConfig(symbol="ES"), "NQ").symbol == "NQ"


@pytest.mark.parametrize(
    "values",
    [
        {"fast_period": 50, "slow_period": 50},
        {"fast_period": 0},
        {"atr_period": -1},
        {"stop_atr_multiple": 0},
        {"stop_atr_multiple": float("nan")},
        {"reward_multiple": float("inf")},
        {"symbol": ""},
        {"fast_perod": 3},
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, float | str]) -> None:
    """Periods in the wrong order, bounds crossed and unknown keys are errors."""
    with pytest.raises(ValidationError):
        TradingConfig.model_validate(values)


def test_every_setting_is_described() -> None:
    """The configuration reference has a sentence for each setting."""
    assert all(field.description for field in TradingConfig.model_fields.values())


@pytest.mark.parametrize(
    "name", ["stop_atr_multiple", "reward_multiple", "atr_period", "fast_period", "slow_period"]
)
def test_every_setting_of_the_strategy_changes_its_signals(name: str) -> None:
    """No setting is there for show."""
    default = TradingConfig()
    changed = TradingConfig.model_validate({name: getattr(default, name) + 1})
    assert signals(SAMPLE[:1_000], changed) != signals(SAMPLE[:1_000], default)
