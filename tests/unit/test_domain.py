"""Signals, bars, statuses: what a caller hands over and what it becomes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.domain import (
    Bar,
    Claim,
    LLMAnalysis,
    ParseMethod,
    Signal,
    TaskStatus,
    parse_time,
    to_price,
)

NOON = datetime(2017, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given_value", "price"),
    [
        (1.5, 1.5), (2, 2.0), ("1.25", 1.25), (" -3 ", -3.0), (Decimal("0.1"), 0.1), (0, 0.0),
        (5e-324, 5e-324),
        (None, None), (True, None), (False, None), ("", None), ("abc", None), (math.nan, None),
        (math.inf, None),
        ("nan", None), ("-inf", None), (10**400, None), (Decimal("sNaN"), None), ([1], None), (1j, None),
        (pd.NA, None), (pd.NaT, None), (object(), None),
    ],
)  # fmt: skip
def test_a_price_is_a_finite_float_or_missing(given_value: object, price: float | None) -> None:
    """Numbers and their texts become floats; missing, not finite and not a number become None."""
    found = to_price(given_value)
    assert found == price
    assert found is None or type(found) is float


@pytest.mark.parametrize(
    "given_value",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=9))),
        "2017-01-02T12:00:00Z",
        " 2017-01-02 12:00 ",
        "2017-01-02T14:00:00+02:00",
        NOON.timestamp(),
        int(NOON.timestamp()),
        int(NOON.timestamp()) * 1_000,
        pd.Timestamp("2017-01-02 12:00"),
        pd.Timestamp("2017-01-02 13:00", tz="Europe/Berlin"),
    ],
    ids=repr,
)
def test_times_of_every_form_become_utc(given_value: object) -> None:
    """Aware times are converted, naive ones taken as UTC, texts and epochs read."""
    found = parse_time(given_value)
    assert found == NOON
    assert found is not None
    assert found.utcoffset() == timedelta(0)


def test_a_date_is_its_midnight() -> None:
    """A date without a time stands for its first moment in UTC."""
    assert parse_time(date(2017, 1, 2)) == parse_time("2017-01-02") == NOON.replace(hour=0)


@pytest.mark.parametrize(
    "given_value",
    [
        None, True, "", "soon", "2017-13-01", "01/02/2017", 46027, b"2017-01-02", math.nan, math.inf, 1e30,
        10**5_000, pd.NaT, [], object(), datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_time_is_none(given_value: object) -> None:
    """Anything else, and times that UTC cannot hold, are None rather than an error."""
    assert parse_time(given_value) is None


def make(**changes: Any) -> Signal:
    data = {"entry_price": 1.10, "stop_loss": 1.09, "target_price": 1.13, **changes}
    return Signal.from_mapping("id", data)


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({}, 3.0),
        ({"stop_loss": 1.12, "target_price": 1.07}, 1.5),
        ({"entry_price": -1.0, "stop_loss": -2.0, "target_price": 1.0}, 2.0),
        ({"stop_loss": None}, None),
        ({"entry_price": math.nan}, None),
        ({"target_price": "none"}, None),
        ({"stop_loss": 1.10}, None),
        ({"target_price": 1.10}, None),
        ({"target_price": 1.05}, None),
        ({"stop_loss": 1.12}, None),
    ],
)
def test_risk_reward_in_both_directions(changes: dict[str, Any], ratio: float | None) -> None:
    """Reward per unit of risk where stop and target lie on opposite sides of the entry, else None."""
    found = make(**changes).risk_reward_ratio
    assert found == (ratio if ratio is None else pytest.approx(ratio))


@given(*[st.floats() for _ in range(3)])
def test_risk_reward_is_positive_and_finite_or_absent(entry: float, stop: float, target: float) -> None:
    """No three numbers give a ratio that is negative, infinite or not a number."""
    found = make(entry_price=entry, stop_loss=stop, target_price=target).risk_reward_ratio
    assert found is None or 0 <= found < math.inf


def test_a_full_mapping_is_read_whole() -> None:
    """Every field of a host's signal_data arrives, cleaned."""
    bar = Bar(NOON, 1.0, 2.0, 0.5, 1.5, 10.0)
    data = MappingProxyType({
        "timestamp": "2017-01-02T12:00:00", "symbol": " EURUSD ", "signal_type": "BUY", "entry_price": "1.1",
        "stop_loss": 1, "target_price": Decimal("1.3"), "indicators": {"rsi_14": 55, "macd": math.nan},
        "bars": [bar], "session_id": 7, "strategy": "cross", "notes": "n", "something_else": object(),
    })  # fmt: skip
    assert Signal.from_mapping("id", data) == Signal(
        "id", NOON, "EURUSD", "BUY", 1.1, 1.0, 1.3, {"rsi_14": 55.0, "macd": None}, (bar,), "7", "cross", "n"
    )


def test_an_empty_mapping_is_a_signal_of_which_nothing_is_known() -> None:
    """Missing fields are None or empty."""
    assert Signal.from_mapping("id", {}) == Signal("id", None, "", "", None, None, None)


def test_long_texts_are_cut() -> None:
    """Names keep 128 characters, notes 2,000, and of indicators the first 200 are kept."""
    signal = make(
        symbol="s" * 1_000_000, signal_type="t" * 129, strategy="y" * 129, session_id="i" * 129,
        notes="n" * 1_000_000, indicators={f"i{number}" + "x" * 200: 1.0 for number in range(500)},
    )  # fmt: skip
    names = (signal.symbol, signal.signal_type, signal.strategy, signal.session_id)
    assert [len(name or "") for name in names] == [128] * 4
    assert len(signal.notes or "") == 2_000
    assert len(signal.indicators) == 200
    assert {len(name) for name in signal.indicators} == {128}


def test_blank_names_are_absent() -> None:
    """A strategy or session of blanks is None, a symbol of blanks is empty."""
    signal = make(symbol="  ", strategy=" ", session_id="", notes="")
    assert (signal.symbol, signal.strategy, signal.session_id, signal.notes) == ("", None, None, None)


@pytest.mark.parametrize(
    "row",
    [
        Bar(NOON, 1.0, 2.0, 0.5, 1.5, 10.0),
        {"timestamp": NOON, "open": 1, "high": "2", "low": 0.5, "close": Decimal("1.5"), "volume": 10},
        (NOON.isoformat(), 1, 2, 0.5, 1.5, 10),
        [NOON, 1, 2, 0.5, 1.5, 10, "ignored"],
        type("Row", (), {"timestamp": NOON, "open": 1, "high": 2, "low": 0.5, "close": 1.5, "volume": 10})(),
    ],
    ids=["bar", "mapping", "tuple", "list", "object"],
)
def test_bars_of_every_form_are_read(row: object) -> None:
    """A bar may be a Bar, a mapping, a sequence or an object with attributes."""
    (bar,) = make(bars=[row]).bars
    assert bar == Bar(NOON, 1.0, 2.0, 0.5, 1.5, 10.0)


@pytest.mark.parametrize(
    "row",
    [
        None,
        7,
        "text",
        (),
        (NOON, 1, 2, 3),
        (None, 1, 2, 3, 4),
        (NOON, 1, math.nan, 3, 4),
        {"timestamp": NOON},
        object(),
    ],
)
def test_what_is_no_bar_is_left_out(row: object) -> None:
    """A row without a time or a price is dropped, its neighbours stay."""
    good = Bar(NOON, 1.0, 2.0, 0.5, 1.5, 10.0)
    assert make(bars=[row, good, row]).bars == (good,)


@pytest.mark.parametrize("bars", [None, 7, "text", b"text", {"open": [1]}, pd.DataFrame({"open": [1.0]})])
def test_what_is_no_collection_of_bars_is_no_bars(bars: object) -> None:
    """Texts, mappings and frames are not mistaken for bars."""
    assert make(bars=bars).bars == ()


def test_a_bar_without_volume_has_none() -> None:
    """Five values make a bar; a volume that is missing or no number is missing, not 0."""
    for row in [(NOON, 1, 2, 0.5, 1.5), (NOON, 1, 2, 0.5, 1.5, math.nan), (NOON, 1, 2, 0.5, 1.5, "x")]:
        assert make(bars=[row]).bars[0].volume is None


def test_shared_bars_stay_shared() -> None:
    """Bars that are Bars already are not copied, so that signals can hold the same ones."""
    bar = Bar(NOON, 1.0, 2.0, 0.5, 1.5, 10.0)
    assert make(bars=(bar,)).bars[0] is bar


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [field.name for field in dataclasses.fields(Signal) if field.name != "signal_id"]


@given(st.dictionaries(st.sampled_from(FIELDS), json_like))
def test_no_mapping_of_plain_values_raises(data: Mapping[str, Any]) -> None:
    """Of any plain values a clean signal is made: finite prices, aware times, short texts."""
    signal = Signal.from_mapping("id", data)
    prices = [signal.entry_price, signal.stop_loss, signal.target_price, *signal.indicators.values()]
    assert all(price is None or math.isfinite(price) for price in prices)
    moments = [signal.timestamp, *(bar.timestamp for bar in signal.bars)]
    assert all(moment is None or moment.utcoffset() == timedelta(0) for moment in moments)
    assert all(math.isfinite(value) for bar in signal.bars for value in bar[1:] if value is not None)
    assert len(signal.symbol) <= 128


def test_three_statuses_are_final() -> None:
    """Completed, failed and expired are ends; the statuses are stored by these words."""
    assert [status.value for status in TaskStatus] == [
        "pending",
        "processing",
        "completed",
        "failed",
        "expired",
    ]
    assert [status.value for status in TaskStatus if status.final] == ["completed", "failed", "expired"]
    assert f"{TaskStatus.PENDING}" == "pending"


def test_parse_methods_are_in_order_of_trust() -> None:
    """The layers of the parser are stored by these words, from the strictest to none."""
    assert [*ParseMethod] == [
        "json", "fenced_json", "embedded_json", "repaired_json", "regex", "keywords", "none"
    ]  # fmt: skip


def test_an_answer_without_a_rating_is_answered_but_not_rated() -> None:
    """A completed analysis counts as answered even unrated; a failed one never does."""
    unrated = LLMAnalysis("id", TaskStatus.COMPLETED)
    assert (unrated.answered, unrated.rated) == (True, False)
    assert dataclasses.replace(unrated, rating=1).rated
    for status in (TaskStatus.FAILED, TaskStatus.EXPIRED):
        assert not LLMAnalysis("id", status).answered


@pytest.mark.parametrize("record", [make(), Claim(1, "id", "claim"), LLMAnalysis("id", TaskStatus.FAILED)])
def test_records_cannot_be_changed(record: Any) -> None:
    """The records of the domain are frozen and take no further attributes."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.signal_id = "other"
    assert not hasattr(record, "__dict__")


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("not today")

    def __float__(self) -> float:
        raise RuntimeError("not today")


@pytest.mark.parametrize("value", [10**5000, _Unprintable()], ids=["huge", "unprintable"])
def test_values_that_cannot_be_printed_become_missing(value: object) -> None:
    """A host's odd object never keeps its signal from being taken in."""
    signal = Signal.from_mapping(
        "s", {"symbol": value, "notes": value, "entry_price": value, "timestamp": value}
    )
    assert (signal.symbol, signal.entry_price, signal.timestamp) == ("", None, None)


def test_only_the_last_bars_are_converted() -> None:
    """A host that hands over its whole history does not hold up its own event loop."""
    first = NOON.timestamp()
    bars = [(first + number, float(number), 1.0, 1.0, 1.0, 1.0) for number in range(5_000)]
    signal = Signal.from_mapping("s", {"bars": bars})
    assert len(signal.bars) == 1_000
    assert signal.bars[-1].open == 4_999.0
