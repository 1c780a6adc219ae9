"""The indicators: what they compute, from which bars, under which names."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration import Bar
from trading.errors import IndicatorError
from trading.feed import read_bars
from trading.indicators import ALIASES, FAMILIES, MAX_PERIOD, IndicatorSet

SAMPLE = list(read_bars(Path(__file__).parents[2] / "data" / "EURUSD_1h.csv"))
EVERY_NAME = [*FAMILIES, *ALIASES]
REPORT_NAMES: list[str] = json.loads(
    (Path(__file__).parents[1] / "data" / "report_llm_block.json").read_text(encoding="utf-8")
)["llm"]["indicators_to_include"]


def after(bars: list[Bar], names: list[str], history: int | None = None) -> dict[str, float | None]:
    indicators = IndicatorSet(names, history=history)
    for bar in bars:
        indicators.update(bar)
    return indicators.values()


def bars_of(closes: list[float], spread: float = 0.5) -> list[Bar]:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        Bar(start + timedelta(hours=i), close, close + spread, close - spread, close, 100.0)
        for i, close in enumerate(closes)
    ]


def test_values_that_can_be_worked_out_by_hand() -> None:
    """Averages, momentum, range and position of a straight rise are what arithmetic says."""
    values = after(
        bars_of([float(i) for i in range(1, 61)]),
        ["sma_20", "wma_3", "mom_10", "roc_10", "atr_14", "rsi_14", "bb_middle_20", "willr_14", "obv"],
    )
    assert values == {
        "sma_20": pytest.approx(50.5),
        "wma_3": pytest.approx((58 * 1 + 59 * 2 + 60 * 3) / 6),
        "mom_10": pytest.approx(10),
        "roc_10": pytest.approx(20),
        "atr_14": pytest.approx(1.5),
        "rsi_14": pytest.approx(100),
        "bb_middle_20": pytest.approx(50.5),
        "willr_14": pytest.approx(-100 * 0.5 / 14),
        "obv": pytest.approx(6_000),
    }


def test_ema_is_the_textbook_recursion() -> None:
    """EMA starts at the simple average of its first bars and then moves by 2/(n+1) of the difference."""
    closes = [bar.close for bar in SAMPLE[:300]]
    average = sum(closes[:50]) / 50
    for close in closes[50:]:
        average += (close - average) * 2 / 51
    assert after(SAMPLE[:300], ["ema_50"])["ema_50"] == pytest.approx(average, rel=1e-12)


def test_rsi_and_atr_are_wilders() -> None:
    """RSI and ATR use Wilder's smoothing, 1/n of the difference per bar."""
    bars = SAMPLE[:400]
    changes = [b.close - a.close for a, b in pairwise(bars)]
    ranges = [max(b.high, a.close) - min(b.low, a.close) for a, b in pairwise(bars)]
    gain = sum(max(c, 0) for c in changes[:14]) / 14
    loss = sum(max(-c, 0) for c in changes[:14]) / 14
    true_range = sum(ranges[:14]) / 14
    for change, span in zip(changes[14:], ranges[14:], strict=True):
        gain += (max(change, 0) - gain) / 14
        loss += (max(-change, 0) - loss) / 14
        true_range += (span - true_range) / 14
    values = after(bars, ["rsi_14", "atr_14"])
    assert values["rsi_14"] == pytest.approx(100 * gain / (gain + loss), rel=1e-9)
    assert values["atr_14"] == pytest.approx(true_range, rel=1e-9)


def plainly(bars: list[Bar]) -> dict[str, float]:
    """The ten of the report in plain arithmetic, from their definitions and every bar there is."""
    closes = [bar.close for bar in bars]
    changes = [after - before for before, after in pairwise(closes)]
    ranges = [max(b.high, a.close) - min(b.low, a.close) for a, b in pairwise(bars)]
    gain = sum(max(c, 0.0) for c in changes[:14]) / 14
    loss = sum(max(-c, 0.0) for c in changes[:14]) / 14
    true_range = sum(ranges[:14]) / 14
    for change, span in zip(changes[14:], ranges[14:], strict=True):
        gain = (gain * 13 + max(change, 0.0)) / 14
        loss = (loss * 13 + max(-change, 0.0)) / 14
        true_range = (true_range * 13 + span) / 14
    middle = sum(closes[-20:]) / 20
    spread = 2 * math.sqrt(sum((close - middle) ** 2 for close in closes[-20:]) / 20)
    places = []
    for end in range(len(bars) - 4, len(bars) + 1):
        window = bars[end - 14 : end]
        low = min(bar.low for bar in window)
        places.append(100 * (window[-1].close - low) / (max(bar.high for bar in window) - low))
    slow = [sum(places[start : start + 3]) / 3 for start in range(3)]
    volumes = [bar.volume or 0.0 for bar in bars]
    return {
        "rsi": 100 - 100 / (1 + gain / loss),
        "atr": true_range,
        "sma_20": middle,
        "sma_50": sum(closes[-50:]) / 50,
        "volume_ratio": volumes[-1] / (sum(volumes[-20:]) / 20),
        "bb_upper": middle + spread,
        "bb_lower": middle - spread,
        "bb_middle": middle,
        "stochastic_k": slow[-1],
        "stochastic_d": sum(slow) / 3,
    }


@pytest.mark.parametrize("end", [60, 61, 117, 300, 499])
def test_the_ten_of_the_report_are_what_their_definitions_say(end: int) -> None:
    """By the report's names, in its order, against arithmetic without any library."""
    values = after(SAMPLE[:end], REPORT_NAMES)
    assert list(values) == REPORT_NAMES
    assert values == pytest.approx(plainly(SAMPLE[:end]), rel=1e-9)


def test_other_names_of_the_same_indicators_give_the_same_values() -> None:
    """The names of older files and those of the report."""
    pairs = {
        "rsi": "rsi_14", "atr": "atr_14", "stochastic_k": "stoch_k", "stochastic_d": "STOCH_D_14",
        "bb_upper": "bollinger_upper", "bb_middle": "bb_mid", "volume_ratio": "volume_ratio_20",
        "sma_20": "sma", "bb_lower": "bb_lower_20",
    }  # fmt: skip
    values = after(SAMPLE[:200], [*pairs, *pairs.values()])
    assert {name: values[other] for name, other in pairs.items()} == {name: values[name] for name in pairs}
    assert None not in values.values()


@pytest.mark.parametrize(
    ("name", "bars"),
    [("rsi", 15), ("atr", 15), ("sma_20", 20), ("sma_50", 50), ("volume_ratio", 20), ("bb_upper", 20),
     ("bb_lower", 20), ("bb_middle", 20), ("stochastic_k", 16), ("stochastic_d", 18)],
)  # fmt: skip
def test_each_of_the_ten_comes_with_the_first_bar_that_it_can_be_told_from(name: str, bars: int) -> None:
    """One bar fewer and it is missing."""
    assert after(SAMPLE[: bars - 1], [name]) == {name: None}
    assert after(SAMPLE[:bars], [name])[name] is not None


NEEDS_VOLUME = ["volume_ratio", "obv", "mfi"]


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_bars_without_volume_have_no_indicator_that_needs_it(nothing: Any) -> None:
    """None of the bars, or one of the last twenty; the others have their values, and the ratio comes back."""
    none = [bar._replace(volume=nothing) for bar in SAMPLE[:100]]
    gap = [*SAMPLE[:90], SAMPLE[90]._replace(volume=nothing), *SAMPLE[91:100]]
    for bars in (none, gap):
        values = after(bars, [*NEEDS_VOLUME, "rsi", "bb_upper"])
        assert [values[name] for name in NEEDS_VOLUME] == [None] * 3
        assert (values["rsi"], values["bb_upper"]) == pytest.approx(
            tuple(after(SAMPLE[:100], ["rsi", "bb_upper"]).values())
        )
    later = [*gap, *SAMPLE[100:120]]
    assert after(later, ["volume_ratio"]) == after(SAMPLE[:120], ["volume_ratio"])


def test_what_is_not_defined_is_missing() -> None:
    """An average volume of zero, and the place or strength of a close in a market that does not move."""
    still = [bar._replace(volume=0.0) for bar in bars_of([5.0] * 60, spread=0.0)]
    values = after(still, ["volume_ratio", "stochastic_k", "stochastic_d", "rsi", "bb_upper", "atr"])
    assert values == {
        "volume_ratio": None, "stochastic_k": None, "stochastic_d": None, "rsi": None,
        "bb_upper": 5.0, "atr": 0.0,
    }  # fmt: skip
    quiet = [*(bar._replace(volume=0.0) for bar in SAMPLE[:40]), SAMPLE[40]]
    assert after(quiet, ["volume_ratio"])["volume_ratio"] == pytest.approx(20.0)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_every_name_gives_a_number(name: str) -> None:
    """Each family and each alias, in capitals too, has a finite value on real bars."""
    assert isinstance(after(SAMPLE[:200], [name.upper()])[name.upper()], float)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.default])
def test_default_period_is_the_one_documented(name: str) -> None:
    """A name without a number means the family's default period, and another period another value."""
    default = FAMILIES[name].default
    values = after(SAMPLE[:400], [name, f"{name}_{default}", f"{name}_33"])
    assert values[name] == values[f"{name}_{default}"] != values[f"{name}_33"]


def test_names_are_kept_as_given() -> None:
    """The keys of the values are the names as configured, each once."""
    assert list(after(SAMPLE[:60], ["SMA_20", " rsi ", "macd", "macd"])) == ["SMA_20", "rsi", "macd"]


def test_too_few_bars_give_none() -> None:
    """Before an indicator has the bars it needs its value is missing, never NaN."""
    assert after([], ["sma_20", "obv"]) == {"sma_20": None, "obv": None}
    assert after(SAMPLE[:1], EVERY_NAME) == dict.fromkeys(EVERY_NAME) | {"obv": SAMPLE[0].volume}
    assert after(SAMPLE[:19], ["sma_20"]) == {"sma_20": None}
    assert after(SAMPLE[:20], ["sma_20"])["sma_20"] is not None


@pytest.mark.parametrize("cut", [55, 499, 1_234, 2_100])
def test_no_value_knows_a_later_bar(cut: int) -> None:
    """The values at a bar are the same whether or not bars follow, however wild they are."""
    indicators = IndicatorSet(EVERY_NAME)
    at_cut: dict[str, float | None] = {}
    for number, bar in enumerate(SAMPLE[: cut + 300], start=1):
        wild = bar._replace(high=9e9, low=-9e9, close=1e9, volume=9e9) if number > cut else bar
        indicators.update(wild)
        if number == cut:
            at_cut = indicators.values()
    assert at_cut == after(SAMPLE[:cut], EVERY_NAME)
    assert at_cut != indicators.values()


@pytest.mark.parametrize("end", [1_200, 1_999, 2_000, 2_001, 4_321])
def test_replaying_the_history_gives_the_same_values(end: int) -> None:
    """A process that starts again and replays ``history`` bars has, to the last bit, the old values."""
    history = IndicatorSet(EVERY_NAME).history
    assert end > history
    assert after(SAMPLE[:end], EVERY_NAME) == after(SAMPLE[end - history : end], EVERY_NAME)


def test_window_is_long_enough_for_recursive_indicators() -> None:
    """Cutting off what lies before the window changes no value by more than a millionth."""
    names = ["ema_50", "rsi_14", "atr_14", "adx_14", "macd", "ema_500", "rsi_100"]
    windowed = after(SAMPLE, names, history=None)
    for name in names:
        alone = IndicatorSet([name])
        for bar in SAMPLE:
            alone.update(bar)
        whole = after(SAMPLE, [name], history=len(SAMPLE))
        assert alone.values()[name] == pytest.approx(whole[name], rel=1e-6), name
        assert windowed[name] == pytest.approx(whole[name], rel=1e-6), name


@given(
    count=st.integers(0, 250),
    history=st.integers(61, 90),
    seed=st.integers(0, 10_000),
)
def test_window_slides_over_the_buffers_end(count: int, history: int, seed: int) -> None:
    """However the bars fall into the buffer, the values come from exactly the last ``history`` of them."""
    rng = random.Random(seed)
    bars = bars_of([100 + rng.random() for _ in range(count)])
    names = ["sma_20", "ema_30", "obv", "macd", "adx_14"]
    assert after(bars, names, history) == after(bars[-history:], names, 10_000)


def test_flat_and_extreme_bars_give_numbers_or_none() -> None:
    """A market that does not move, and one that moves by 300 powers of ten, break nothing."""
    for bars in (bars_of([1.0] * 200, spread=0.0), bars_of([1e300, -1e300] * 100), bars_of([1e-300] * 200)):
        for value in after(bars, EVERY_NAME).values():
            assert value is None or abs(value) < float("inf")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smaa_20", "did you mean sma_20?"),
        ("rsi14", "did you mean rsi_14?"),
        ("bolinger_upper", "did you mean bollinger_upper?"),
        ("macd_12", "takes no period"),
        ("sma_1", "must be 2 to 500, not 1"),
        (f"ema_{MAX_PERIOD + 1}", "must be 2 to 500, not 501"),
        ("sma_999999999999", "unknown indicator"),
        ("sma_-5", "unknown indicator"),
        ("sma_٢٠", "unknown indicator"),
        ("", "known: sma_N"),
        ("\x1b[31mred\u202e", "unknown indicator '\\x1b[31mred\\u202e'"),
        ("x" * 100_000, "unknown indicator"),
    ],
)
def test_unknown_names_are_explained(name: str, expected: str) -> None:
    """A name that is not known gives one short line with the nearest known name and all of them."""
    with pytest.raises(IndicatorError) as caught:
        IndicatorSet([name])
    message = str(caught.value)
    assert expected in message
    assert message.isprintable()
    assert len(message) < 500


def test_history_must_cover_the_periods() -> None:
    """A window in which the longest indicator could never have a value is refused."""
    with pytest.raises(IndicatorError, match="too short"):
        IndicatorSet(["adx_100"], history=200)
    assert after(list(islice(SAMPLE, 201)), ["adx_100"], history=201)["adx_100"] is not None


@pytest.mark.parametrize("known", [range(0), range(50, 100), range(50), range(99), range(1, 100)])
def test_a_missing_volume_is_missing_in_what_needs_it(known: range) -> None:
    """Indicators of volume are None while one of their bars has none; the others do not notice."""
    names = ["obv", "mfi_14", "rsi_14", "atr_14"]
    with_volume, without = IndicatorSet(names), IndicatorSet(names)
    for number, bar in enumerate(SAMPLE[:100]):
        with_volume.update(bar)
        without.update(bar if number in known else bar._replace(volume=None))
    expected, found = with_volume.values(), without.values()
    assert (found["rsi_14"], found["atr_14"]) == (expected["rsi_14"], expected["atr_14"])
    assert found["mfi_14"] == (pytest.approx(expected["mfi_14"]) if 99 in known else None)
    assert (found["obv"] is None) is (99 not in known)
