"""Times from outside: each line of tests/data/time_formats.jsonl is read in one way or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration import ConfigError, LLMConfig, times
from llm_integration.times import EARLIEST, TimeColumn, TimeRules, TimesRead, parse_time, zone_named

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
T0 = datetime(2026, 1, 5, 9, tzinfo=UTC)
LINES = (Path(__file__).parents[1] / "data" / "time_formats.jsonl").read_text().splitlines()


def read(cells: list[Any], zone: str = "UTC") -> TimesRead:
    column = TimeColumn(TimeRules.at(NOW, zone_named(zone)))
    column.extend([tuple(cell) if isinstance(cell, (list, tuple)) else (cell,) for cell in cells])
    return column.finish()


@pytest.mark.parametrize("line", LINES)
def test_a_column_is_read_in_one_way_or_refused_in_words(line: str) -> None:
    """Every cell has its moment, and what has none is counted with its reason and an example."""
    case = json.loads(line)
    found = read(case["cells"], case.get("zone", "UTC"))
    expected = case["read"] or [None] * len(case["cells"])
    assert found.moments == [
        None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC) for text in expected
    ]
    assert found.naive is case.get("naive", False)
    assert bool(found.problem) is ("problem" in case)
    assert case.get("problem", "") in found.problem
    assert found.problem.isprintable()


@pytest.mark.parametrize(
    "cell",
    [
        T0, T0.replace(tzinfo=None), pd.Timestamp(T0), pd.Timestamp("2026-01-05T10:00", tz="Europe/Paris"),
        np.datetime64("2026-01-05T09:00"), np.datetime64("2026-01-05T09:00:00.000000001"),
        pd.Period("2026-01-05 09:00", "h"), np.int64(T0.timestamp()), np.float64(T0.timestamp()),
        Decimal(int(T0.timestamp())), np.str_("2026-01-05T09:00Z"),
        (date(2026, 1, 5), time(9)), (pd.Timestamp("2026-01-05"), "09:00"),
        (np.datetime64("2026-01-05"), timedelta(hours=9)), (T0.date(), pd.Timedelta(hours=9)),
    ],
    ids=repr,
)  # fmt: skip
def test_libraries_times_are_times(cell: object) -> None:
    """Those of Python, numpy and pandas, whole and in two parts, are plain ones in UTC."""
    (moment,) = read([cell]).moments
    assert moment == T0
    assert type(moment) is datetime
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "cell",
    [
        pd.NaT, np.nan, np.datetime64("NaT", "ns"), pd.NA, np.array([1, 2]), object(), b"2026-01-05", [], {},
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))), datetime.min.replace(tzinfo=UTC),
        10**400, Decimal("sNaN"), "9" * 10_000,
        ("2026-01-05", time(9, tzinfo=UTC)), ("2026-01-05", timedelta(days=2)), ("2026-01-05", None),
        ("2025-12-05", pd.Timestamp("2026-01-05T09:00")),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_time_is_none(cell: object) -> None:
    """Nothing raises, and a time of day that a library took for today's is not glued to another date."""
    column = TimeColumn(TimeRules.at(NOW))
    column.add(cell if isinstance(cell, tuple) else (cell,))
    assert column.finish().moments == [None]


def test_an_unknown_zone_is_named() -> None:
    """One line says what is wrong and shows a name that is right."""
    for name in ("Mars/Olympus", "", "../etc", "CEST"):
        with pytest.raises(ValueError, match="is no time zone; name one such as Europe/Berlin"):
            zone_named(name)


def test_names_of_zones_in_texts_are_looked_for_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever writes ever new ones makes nobody read the disk for each."""
    monkeypatch.setattr(times, "_zones", {})
    looked: list[str] = []

    def look(name: str) -> tzinfo:
        looked.append(name)
        return zone_named(name)

    monkeypatch.setattr(times, "zone_named", look)
    assert read(["2026-01-05 18:00 Asia/Tokyo"]).moments == [T0]
    for number in range(500):
        for _ in range(2):
            assert read([f"2026-01-05 18:00 Asia/X{number}"]).moments == [None]
    assert len(looked) == times.MOST_ZONES
    assert read(["2026-01-05 18:00 Asia/Tokyo"]).moments == [T0]


def test_the_setting_takes_a_zone_that_there_is() -> None:
    """Its name is checked where it is set, with one line that shows a right one."""
    assert LLMConfig(bars_timezone=" Europe/Berlin ").bars_timezone == "Europe/Berlin"
    with pytest.raises(ConfigError, match="bars_timezone: 'Berlin' is no time zone; name one such as"):
        LLMConfig.from_file_values({"bars_timezone": "Berlin"}, where="config.json")


WRITTEN: dict[str, Callable[[datetime], Any]] = {
    "iso": lambda at: at.isoformat(),
    "blank": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "dots": lambda at: f"{at:%Y.%m.%d %H:%M:%S}",
    "compact": lambda at: f"{at:%Y%m%d %H:%M:%S}",
    "digits": lambda at: int(f"{at:%Y%m%d%H%M%S}"),
    "seconds": lambda at: int(at.timestamp()),
    "milliseconds": lambda at: int(at.timestamp()) * 1_000,
    "microseconds as text": lambda at: str(int(at.timestamp()) * 1_000_000),
    "nanoseconds": lambda at: int(at.timestamp()) * 1_000_000_000,
    "german": lambda at: f"{at:%d.%m.%Y %H:%M:%S}",
    "words": lambda at: f"{at:%d %b %Y %H:%M:%S}",
    "day first": lambda at: f"{at:%d/%m/%Y %H:%M:%S}",
    "month first": lambda at: f"{at:%m/%d/%Y %H:%M:%S}",
    "american": lambda at: f"{at:%m/%d/%Y %I:%M:%S %p}",
    "parts": lambda at: (f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}"),
}
MOMENTS = st.integers(int(EARLIEST.timestamp()), int(NOW.timestamp())).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)


@pytest.mark.parametrize("form", WRITTEN)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=12))
def test_no_form_is_ever_taken_for_another(form: str, moments: list[datetime]) -> None:
    """Whatever moments a column holds, it comes back as it was meant or, with a word, not at all."""
    found = read([WRITTEN[form](at) for at in moments])
    assert found.moments == moments or (found.moments == [None] * len(moments) and found.problem)


@given(st.integers() | st.floats() | st.text() | st.dates() | st.datetimes() | st.times() | st.binary())
def test_every_moment_lies_between_1980_and_tomorrow(cell: object) -> None:
    """Whatever it was made of."""
    for moment in read([cell]).moments + read([("2026-01-05", cell)]).moments:
        assert moment is None or EARLIEST <= moment <= NOW + timedelta(days=1)


@pytest.mark.parametrize(
    "given_value", ["2026-01-05T09:00Z", T0, 1767603600, "2026.01.05 09:00", 1767603600000]
)
def test_one_value_is_read_by_the_same_rules(given_value: object) -> None:
    """A single time is a column of one cell."""
    assert parse_time(given_value) == T0


def test_what_was_stored_is_not_held_against_the_clock() -> None:
    """A key's expiry lies in the future, and a row of a session whose clock was wrong is still a row."""
    assert parse_time("2099-01-05T09:00Z") == datetime(2099, 1, 5, 9, tzinfo=UTC)
    assert parse_time("01/02/2026") is None
