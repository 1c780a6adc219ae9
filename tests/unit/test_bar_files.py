"""Files of bars as platforms export them: each in tests/data/bar_files is read as expected.json says."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llm_integration import Bar
from llm_integration.bar_files import BarDataError, BarReader, BarTable, open_bars
from trading.feed.__main__ import main

FOLDER = Path(__file__).parents[1] / "data" / "bar_files"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())
READ = {name: case for name, case in EXPECTED.items() if "problem" not in case}
REFUSED = {name: case for name, case in EXPECTED.items() if "problem" in case}
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def options(case: dict[str, Any]) -> dict[str, Any]:
    return {"zone": case.get("zone", "UTC"), "symbol": case.get("symbol"), "clock": lambda: NOW}


def bar(values: list[Any]) -> Bar:
    return Bar(datetime.fromisoformat(values[0]).replace(tzinfo=UTC), *values[1:])


def test_every_file_has_its_expectation() -> None:
    """No file lies there unread, and none is expected that is not there."""
    assert {path.name for path in FOLDER.iterdir()} == {*EXPECTED, "expected.json"}


@pytest.mark.parametrize("name", READ)
def test_a_platforms_file_is_read(name: str) -> None:
    """First and last bar have the values a person reads in the file, and one line says how they were read."""
    case = READ[name]
    opened = open_bars(FOLDER / name, **options(case))
    assert opened.bars[0] == bar(case["first"])
    assert opened.bars[-1] == bar(case.get("last", case["first"]))
    assert len(opened.bars) == case["bars"]
    assert opened.reader.described.isprintable()
    for words in case.get("said", []):
        assert words in opened.reader.described


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_can_be_read_in_two_ways_or_none_is_refused(name: str) -> None:
    """One line names the file, the line and the problem."""
    with pytest.raises(BarDataError) as caught:
        open_bars(FOLDER / name, **options(REFUSED[name]))
    message = str(caught.value)
    assert message.startswith(str(FOLDER / name))
    assert REFUSED[name]["problem"] in message
    assert message.isprintable()


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("name", READ)
def test_the_size_of_the_pieces_does_not_show(name: str, size: int) -> None:
    """A file read a few bytes at a time, in mid-character and mid-line, gives the same bars."""
    case = READ[name]
    reader, table = BarReader(FOLDER / name, **options(case)), BarTable()
    while reader.read_into(table, size):
        pass
    assert list(table) == list(open_bars(FOLDER / name, **options(case)).bars)


@pytest.mark.parametrize("off", [0.0, 2e-16, 1e-12, 9e-10])
def test_a_price_off_by_rounding_is_a_bar(tmp_path: Path, off: float) -> None:
    """High is lifted and low lowered to hold open and close when they miss them by rounding alone."""
    path = tmp_path / "bars.csv"
    high, low = repr(200.0 * (1 - off)), repr(100.0 * (1 + off))
    path.write_text(f"date,open,high,low,close\n2024-01-02,100.0,{high},{low},200.0\n")
    (found,) = open_bars(path).bars
    assert found[1:] == (100.0, 200.0, 100.0, 200.0, None)


@pytest.mark.parametrize("off", [2e-9, 1e-6, 0.1])
def test_a_price_off_by_more_is_a_contradiction(tmp_path: Path, off: float) -> None:
    """A billionth of the price is more than any rounding of a double."""
    path = tmp_path / "bars.csv"
    path.write_text(f"date,open,high,low,close\n2024-01-02,100.0,{200.0 * (1 - off)!r},100.0,200.0\n")
    with pytest.raises(BarDataError, match=r"bars\.csv:2: close 200\.0 lies outside"):
        open_bars(path)


def test_a_file_decides_late_whether_the_day_comes_first(tmp_path: Path) -> None:
    """Thousands of lines wait for the 13th of a month."""
    path = tmp_path / "bars.csv"
    lines = [
        f"{day:02}/02/2024 {minute // 60:02}:{minute % 60:02},1,1,1,1"
        for day in range(1, 14)
        for minute in range(1_440)
    ]
    path.write_text("date,open,high,low,close\n" + "\n".join(lines))
    bars = open_bars(path).bars
    assert len(bars) == 13 * 1_440
    assert bars[0].timestamp == datetime(2024, 2, 1, tzinfo=UTC)


def test_the_feed_shows_how_a_file_is_read() -> None:
    """``python -m trading.feed FILE`` prints the reading and the bars, as a program of its own."""
    path = FOLDER / "mt5_athens.csv"
    shown = subprocess.run(
        [sys.executable, "-m", "trading.feed", str(path), "--timezone", "Europe/Athens"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "separator tab" in shown.stdout
    assert "zone Europe/Athens" in shown.stdout
    assert "2024-01-02 00:00:00+00:00,1.1,1.3,1,1.2,9" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["refused_day_or_month.csv"], "can be read in two ways"),
        (["mt5_export.csv", "--timezone", "Mars/Olympus"], "is no time zone"),
        (["nothing.csv"], "No such file"),
    ],
)
def test_the_feed_says_why_a_file_cannot_be_read(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr and exit status 2."""
    assert main([str(FOLDER / arguments[0]), *arguments[1:]]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1


def test_the_first_and_the_last_bars_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three of each, and that some are left out between them."""
    path = tmp_path / "bars.csv"
    path.write_text(
        "date,open,high,low,close\n" + "".join(f"2024-01-{d:02},{d},{d},{d},{d}\n" for d in range(1, 20))
    )
    assert main([str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "19 bars"
    assert [line[8:10] for line in lines[3:]] == ["01", "02", "03", "", "17", "18", "19"]
