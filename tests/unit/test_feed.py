"""Reading and checking CSV files of bars."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.bar_files import BarReader
from llm_integration.bar_files import reader as reader_module
from llm_integration.bar_files.layout import columns_of, judge
from llm_integration.bar_files.rows import parse_row
from llm_integration.times import TimeRules
from trading.errors import BarDataError
from trading.feed import Bar, BarTable, open_bars, read_bars

HEADER = "timestamp,open,high,low,close,volume"
GOOD = "2017-01-02T00:00:00Z,1.1,1.3,1.0,1.2,5"
RULES = TimeRules.at(datetime(2026, 6, 1, tzinfo=UTC))
SAMPLE = Path(__file__).parents[2] / "data" / "EURUSD_1h.csv"

WriteCsv = Callable[..., Path]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    def write(*lines: str, end: str = "\n") -> Path:
        path = tmp_path / "bars.csv"
        path.write_bytes("".join(line + end for line in lines).encode())
        return path

    return write


def problem(path: Path) -> str:
    with pytest.raises(BarDataError) as caught:
        read_bars(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message.removeprefix(str(path))


def test_sample_is_read_whole() -> None:
    """The sample holds 6,225 hourly bars of 2017 with the source's own numbers."""
    bars = read_bars(SAMPLE)
    assert len(bars) == 6_225
    assert bars[0] == Bar(
        datetime(2017, 1, 1, 22, tzinfo=UTC), 1.05236, 1.05253, 1.05221, 1.05227, 143539993.3
    )
    assert bars[-1] == Bar(
        datetime(2017, 12, 29, 21, tzinfo=UTC), 1.19984, 1.2013, 1.19931, 1.20075, 4885529785
    )


@pytest.mark.parametrize(
    "text",
    [
        "2017-01-02T00:00:00Z",
        "2017-01-02 00:00",
        "2017-01-02",
        "20170102T000000Z",
        "2017-01-02T01:00:00+01:00",
        "2017-01-02 00:00:00.000",
        " 2017-01-02T00:00:00 ",
        "1483315200",
        "1483315200.0",
        "1483315200000",
    ],
)
def test_common_times_are_understood(write_csv: WriteCsv, text: str) -> None:
    """ISO 8601 in its usual forms and epoch seconds or milliseconds mean the same moment, UTC by default."""
    bar = read_bars(write_csv(HEADER, f"{text},1.1,1.3,1.0,1.2,5"))[0]
    assert bar.timestamp == datetime(2017, 1, 2, tzinfo=UTC)
    assert bar.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "header",
    [
        "Time,OPEN,High,low,Close,Volume",
        "date, open , high ,low,close, volume",
        "\ufeffDateTime,open,high,low,close,volume",
        '"timestamp","open","high","low","close","volume"',
    ],
)
def test_header_in_any_dress_is_understood(write_csv: WriteCsv, header: str) -> None:
    """Case, blanks, quotes, a byte order mark and the usual names for the time make no difference."""
    assert read_bars(write_csv(header, GOOD))[0].close == 1.2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_of_either_kind(write_csv: WriteCsv, end: str) -> None:
    """Windows line ends are no part of the last column."""
    assert read_bars(write_csv(HEADER, GOOD, end=end))[0].volume == 5


def test_last_line_needs_no_line_break(tmp_path: Path) -> None:
    """A finished file may end without a line break."""
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n{GOOD}")
    assert len(read_bars(path)) == 1


def test_extra_columns_and_other_order_are_fine(write_csv: WriteCsv) -> None:
    """Columns are found by name; those nobody asked for are ignored, whatever they hold."""
    path = write_csv("symbol,volume,close,low,high,open,time,note", "EUR_USD,5,1.2,1,1.3,1.1,2017-01-02,=1+1")
    assert read_bars(path)[0] == Bar(datetime(2017, 1, 2, tzinfo=UTC), 1.1, 1.3, 1.0, 1.2, 5.0)


def test_date_and_time_of_day_in_two_columns(write_csv: WriteCsv) -> None:
    """A date column and a time column together make the timestamp."""
    bars = read_bars(write_csv("Date,Time,Open,High,Low,Close,Volume", "2017-01-02,13:30,1,1,1,1,0"))
    assert bars[0].timestamp == datetime(2017, 1, 2, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(write_csv: WriteCsv, delimiter: str) -> None:
    """The header tells which delimiter the file uses."""
    assert read_bars(write_csv(*(line.replace(",", delimiter) for line in (HEADER, GOOD))))[0].open == 1.1


def test_blank_lines_keep_the_count_of_lines(write_csv: WriteCsv) -> None:
    """Blank lines hold no bar but are counted, so an error names the line an editor shows."""
    assert problem(write_csv("", HEADER, "", GOOD, "  ", "2017-01-03,x,1,1,1,1")).startswith(":6: ")


@pytest.mark.parametrize("text", ["0001-01-01T00:00+23:00", "9999-12-31T23:00-23:00"])
def test_times_beyond_the_calendar_are_errors(write_csv: WriteCsv, text: str) -> None:
    """A time that does not exist in UTC is refused when it is read, not when it is used."""
    assert "is not a time" in problem(write_csv(HEADER, f"{text},1,1,1,1,1"))


def test_negative_prices_are_prices(write_csv: WriteCsv) -> None:
    """Some markets trade below zero."""
    assert read_bars(write_csv(HEADER, "2020-04-20,-10,-5,-40.32,-37.63,1"))[0].low == -40.32


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("2017-01-03,1.1,1.0,1.3,1.2,5", "high 1.0 is below low 1.3"),
        ("2017-01-03,1.4,1.3,1.0,1.2,5", "open 1.4 lies outside low 1.0 to high 1.3"),
        ("2017-01-03,1.1,1.3,1.0,0.9,5", "close 0.9 lies outside low 1.0 to high 1.3"),
        ("2017-01-03,abc,1.3,1.0,1.2,5", "open is not a number: 'abc'"),
        ("2017-01-03,1.1,,1.0,1.2,5", "high is empty"),
        ("2017-01-03,1.1,1.3, ,1.2,5", "low is empty"),
        ("2017-01-03,1.1,nan,1.0,1.2,5", "high is not a finite number: 'nan'"),
        ("2017-01-03,1.1,inf,1.0,1.2,5", "high is not a finite number: 'inf'"),
        ("2017-01-03,1.1,1.3,-inf,1.2,5", "low is not a finite number: '-inf'"),
        ("2017-01-03,1.1,1e999,1.0,1.2,5", "high is not a finite number: '1e999'"),
        ("2017-01-03,1.1,1e16,1.0,1.2,5", "high '1e16' is no price"),
        ("2017-01-03,1.1,1.3,-1e300,1.2,5", "low '-1e300' is no price"),
        ("2017-01-03,1.1,1.3,1.0,1.2,NaN", "volume is not a finite number: 'NaN'"),
        ("2017-01-03,1.1,1.3,1.0,1.2,-1", "volume -1.0 is negative"),
        ("2017-01-03,1.1,1_3,1.0,1.2,5", "high is not a finite number: '1_3'"),
        ("2017-01-03,1.1,1.3,1.0,1.2", "5 fields where the header has 6"),
        ("2017-01-03,1,1,1,3,1,0,1,2,5", "10 fields where the header has 6"),
        ('2017-01-03,"1.1,1.3,1.0,1.2,5', "unbalanced quotes"),
        ("03.01.2017 22:00,1.1,1.3,1.0,1.2,5", "'03.01.2017 22:00' is not a time"),
        (",1.1,1.3,1.0,1.2,5", "'' is not a time"),
        ("nan,1.1,1.3,1.0,1.2,5", "'nan' is not a time"),
        ("201701032200,1.1,1.3,1.0,1.2,5", "'201701032200' is not a time"),
        ("20170103220000,1.1,1.3,1.0,1.2,5", "'20170103220000' is not a time"),
        ("2017-01-02T00:00:00Z,1.1,1.3,1.0,1.2,5", "the same time as the bar before"),
        ("2017-01-01T23:00:00Z,1.1,1.3,1.0,1.2,5", "earlier than the bar before"),
        ("2017-01-02T00:30:00+01:00,1.1,1.3,1.0,1.2,5", "earlier than the bar before"),
    ],
)
def test_bad_line_is_named_with_its_problem(write_csv: WriteCsv, row: str, expected: str) -> None:
    """A line that is not a sound bar is an error that names the file, the line and what is wrong."""
    message = problem(write_csv(HEADER, GOOD, row))
    assert message.startswith(":3: ")
    assert expected in message


def test_hostile_cell_is_shown_harmless(write_csv: WriteCsv) -> None:
    """A cell full of terminal commands is quoted and cut in the message."""
    message = problem(write_csv(HEADER, f"2017-01-02,\x1b[31m\u202e{'9' * 5_000}x,1,1,1,1"))
    assert "\\x1b[31m\\u202e999" in message
    assert len(message) < 120


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("timestamp,open,high,close,volume", "lacks low"),
        ("open,high,low,close,volume", "lacks timestamp"),
        ("hello", "lacks timestamp, open, high, low, close; needed are"),
        ("soon,1,1,1,1,0", "lacks timestamp"),
        ("timestamp,open,high,low,close,Close,volume", "names close twice"),
    ],
)
def test_bad_header_is_named(write_csv: WriteCsv, header: str, expected: str) -> None:
    """A header without the columns, or with one of them twice, is an error of line 1."""
    message = problem(write_csv(header, GOOD))
    assert message.startswith(":1: ")
    assert expected in message


def test_empty_files_are_errors(write_csv: WriteCsv) -> None:
    """Neither an empty file nor a header alone can be traded on."""
    assert problem(write_csv()) == ": the file is empty"
    assert problem(write_csv(HEADER)) == ": no bar below the header"


def test_growing_file_may_start_empty(write_csv: WriteCsv) -> None:
    """With follow an empty file is fine, and a line without its line break is left for later."""
    assert len(open_bars(write_csv(), follow=True).bars) == 0
    assert len(open_bars(write_csv(HEADER, GOOD, end=""), follow=True).bars) == 0


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    """A missing file, a folder and a named pipe are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    assert "No such file" in problem(tmp_path / "missing.csv")
    assert "irectory" in problem(tmp_path)
    assert problem(tmp_path / "pipe") == ": is not a regular file"


def test_wrong_encodings_are_named(tmp_path: Path) -> None:
    """A byte that is no UTF-8 is named with its line."""
    path = tmp_path / "bars.csv"
    path.write_bytes(f"{HEADER}\n{GOOD}\n".encode() + b"2017-01-03,\xff,1,1,1,1\n")
    assert problem(path) == ":3: not UTF-8 text"


def test_line_without_end_is_bounded(tmp_path: Path) -> None:
    """A growing line is not kept without bound."""
    path = tmp_path / "bars.csv"
    path.write_text("x" * (reader_module.MAX_LINE_BYTES + 1))
    with pytest.raises(BarDataError, match=":1: longer than"):
        open_bars(path, follow=True)


@given(size=st.integers(1, 200))
def test_pieces_of_any_size_give_the_same_bars(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    """Where the reader cuts the file, in mid-line or in mid-character, does not show."""
    path = tmp_path_factory.mktemp("pieces") / "bars.csv"
    text = (
        "\ufefftime,open,high,low,close,volume,näme\r\n2017-01-02,1,1,1,1,0,ü\r\n\r\n2017-01-03,2,2,2,2,0,€"
    )
    path.write_text(text, newline="")
    table, reader = BarTable(), BarReader(path)
    while reader.read_into(table, size):
        pass
    assert [bar.close for bar in table] == [1.0, 2.0]


@given(line=st.text(max_size=200).filter(lambda text: "\n" not in text))
def test_no_line_does_anything_but_parse_or_explain(line: str) -> None:
    """Whatever a line holds, it is a bar or a ValueError with a printable, short explanation."""
    explanation = ""
    layout = judge(columns_of(HEADER, RULES), [GOOD.split(",")], RULES, final=True)
    assert layout is not None
    try:
        parse_row(line, layout)
    except ValueError as error:
        explanation = str(error)
    assert explanation == "" or explanation.isprintable()
    assert len(explanation) < 250


@given(
    st.lists(
        st.tuples(
            st.integers(-60_000_000_000, 4_000_000_000),
            st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 4, st.floats(0, 1e300)),
        ),
        max_size=20,
    )
)
def test_table_gives_back_what_it_took(
    rows: list[tuple[int, tuple[float, float, float, float, float]]],
) -> None:
    """A table is a sequence of exactly the bars that were added, by index, slice and iteration."""
    table = BarTable()
    expected = []
    for seconds, values in rows:
        table.add(seconds * 1_000_000, values)
        expected.append(Bar(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), *values))
    assert list(table) == expected == table[:] == [table[i - len(rows)] for i in range(len(rows))]
    assert table[1::2] == expected[1::2]
    with pytest.raises(IndexError):
        table[len(rows)]


def test_count_until_finds_the_place_to_resume() -> None:
    """Bars at or before a moment are counted, the next one is where a resumed session goes on."""
    bars = read_bars(SAMPLE)
    assert bars.count_until(bars[99].timestamp) == 100
    assert bars.count_until(bars[99].timestamp + timedelta(minutes=1)) == 100
    assert bars.count_until(bars[0].timestamp - timedelta(minutes=1)) == 0
