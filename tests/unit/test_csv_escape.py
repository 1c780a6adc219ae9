"""Cells: safe in a spreadsheet, exact for a CSV reader."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.csv_exporter.escape import (
    MAX_CELL_CHARS,
    id_cell,
    number_cell,
    plain_text,
    prose_cell,
    quoted,
    text_cell,
    time_cell,
)

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
NASTY_TEXT = st.text(alphabet="=+-@＝＋－＠ \t\r\n\x00'\";,a1\u200b\ufeff\ud800\u202e“", max_size=20)


def read_back(cells: list[str]) -> list[list[str]]:
    """The records a CSV reader finds in one line of ``cells``."""
    return list(csv.reader(io.StringIO(",".join(cells) + "\n", newline="")))


@given(st.lists(ANY_TEXT | NASTY_TEXT, min_size=2, max_size=5))
def test_any_text_is_read_back_exactly_as_one_cell_of_one_line(texts: list[str]) -> None:
    """Whatever the texts are, the file has one line with exactly the cells that were put in."""
    cells = [text_cell(text) for text in texts]
    line = ",".join(quoted(cell) for cell in cells)

    assert read_back([quoted(cell) for cell in cells]) == [cells]
    assert len(line.splitlines()) <= 1
    assert line.encode("utf-8").decode() == line


@given(ANY_TEXT | NASTY_TEXT)
def test_no_text_cell_begins_like_a_formula(text: str) -> None:
    """Behind blanks, quotes and marks that show nothing, the first character never starts a formula."""
    for cell in (text_cell(text), prose_cell(text)):
        for piece in (cell, *(f" {part}" for part in cell.split(";")[1:])):
            visible = piece.lstrip(' \u200b\u200c\u200d\u2060\u00ad\u00a0\u3000"`‘’“”')
            assert visible[:1] not in tuple("=+-@＝＋－＠\t\r")


@given(ANY_TEXT | NASTY_TEXT, ANY_TEXT | NASTY_TEXT)
def test_texts_that_differ_after_cleaning_keep_different_cells(one: str, other: str) -> None:
    """The apostrophe never makes two ids the same."""
    assert (text_cell(one) == text_cell(other)) == (plain_text(one) == plain_text(other))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 170", "'+49 170"),
        ("-2 ATR", "'-2 ATR"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("  \u00a0=1", "'  \u00a0=1"),
        ("\x00=1", "'=1"),
        ("\ufeff=1", "'=1"),
        ("'=1", "''=1"),
        ('"=1', "'\"=1"),
        ("\u200b=1", "'\u200b=1"),
        ("＝1", "'＝1"),
        ("note;=HYPERLINK(1)", "note;'=HYPERLINK(1)"),
        ("range; wait", "range; wait"),
        ("EURUSD", "EURUSD"),
        ("a=b", "a=b"),
        ("5 - 3", "5 - 3"),
        ("", ""),
    ],
)
def test_formulas_are_neutralised_and_nothing_else(text: str, cell: str) -> None:
    """A leading formula character gets an apostrophe; text that cannot run stays as it is."""
    assert text_cell(text) == cell


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("one\ntwo\r\nthree\rfour", "one two three four"),
        ("a\tb\x0bc\x0cd\x85e\u2028f\u2029g", "a b c d e f g"),
        ("x\x00\x07\x1b[31m\x7f\x9by", "x[31my"),
        ("lone \ud800 and \udfff", "lone  and "),
        ("abc\u202edef\u2066", "abcdef"),
        ("naïve 😀 \u200d", "naïve 😀 \u200d"),
    ],
)
def test_text_stands_on_one_line_without_controls(text: str, plain: str) -> None:
    """Breaks become blanks; controls, lone surrogates and direction marks go; the rest stays."""
    assert plain_text(text) == plain


def test_prose_is_trimmed_and_capped_below_the_limit_of_spreadsheets() -> None:
    """A long analysis is cut with an ellipsis, also when a formula sign adds an apostrophe."""
    assert prose_cell("  \n text \n ") == "text"
    assert prose_cell(None) == ""
    long = prose_cell("=" * 200_000)
    assert len(long) == MAX_CELL_CHARS + 2
    assert long.startswith("'=")
    assert long.endswith("…")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_the_same_float(value: float) -> None:
    """No digit is lost and negative numbers stay numbers."""
    cell = number_cell(value)
    assert math.copysign(1, float(cell)) == math.copysign(1, value)
    assert float(cell) == value
    assert quoted(cell) == cell


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_missing_numbers_are_empty_cells(value: float | None) -> None:
    """A value that is none leaves its cell empty."""
    assert number_cell(value) == ""


def test_whole_numbers_and_foreign_floats_look_like_floats() -> None:
    """An int and a subclass of float with its own repr come out as a plain float."""

    class Odd(float):
        def __repr__(self) -> str:
            return "Odd"

    assert number_cell(100) == "100.0"
    assert number_cell(Odd(1.5)) == "1.5"


@pytest.mark.parametrize(
    ("moment", "cell"),
    [
        (None, ""),
        (datetime(2024, 1, 2, 3, 4, tzinfo=UTC), "2024-01-02T03:04:00+00:00"),
        (datetime(2024, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2))), "2024-01-02T01:04:00+00:00"),
        (datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00+00:00"),  # noqa: DTZ001  naive on purpose
        (datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2024-01-02T03:04:05.000006+00:00"),
    ],
)
def test_times_are_iso_8601_in_utc(moment: datetime | None, cell: str) -> None:
    """Any zone is turned into UTC; a naive time is taken as UTC."""
    assert time_cell(moment) == cell


IDS = [
    (case["id"], case["cell"])
    for case in map(
        json.loads, (Path(__file__).parent.parent / "data" / "ids.jsonl").read_text("utf-8").splitlines()
    )
]
NASTY_IDS = NASTY_TEXT | st.text(alphabet="\\u{}05c9 =';e\u0301\u00e9\u200b\ufffd", max_size=12)


def unmarked(cell: str) -> str:
    """The id of a cell."""
    if re.match(r"'[\s'\"`‘’“”]*[=+\-@＝＋－＠﹦﹢﹣﹫]", cell):
        cell = cell[1:]
    cell = re.sub(r";'(?=[\s'\"`‘’“”]*[=+\-@＝＋－＠﹦﹢﹣﹫])", ";", cell)
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda mark: chr(int(mark[1], 16)), cell)


@pytest.mark.parametrize(("signal_id", "cell"), IDS)
def test_what_cannot_be_seen_in_an_id_is_marked(signal_id: str, cell: str) -> None:
    """Ordinary ids stay as they are; others can be told apart by whoever reads the file."""
    assert id_cell(signal_id) == cell
    assert unmarked(cell) == signal_id


@given(ANY_TEXT | NASTY_IDS)
def test_an_id_can_be_read_out_of_its_cell(signal_id: str) -> None:
    """So two ids are never one cell; and nothing in it is hidden, or run as a formula."""
    cell = id_cell(signal_id)
    assert unmarked(cell) == signal_id
    assert cell.isprintable()
    assert read_back([quoted(cell), "x"]) == [[cell, "x"]]
    assert cell == text_cell(cell) or cell.startswith("'") or ";'" in cell
