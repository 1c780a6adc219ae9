"""What a demo says of its ratings at the end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llm_integration import Bar, LLMAnalysis, Signal, TaskStatus
from trading.verdict import PAGE, write_verdict

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
BARS = [Bar(BEGIN + timedelta(hours=hour), 10.0, 10.5, 9.5, 10.0, 1.0) for hour in range(90)]
ENDS: tuple[tuple[TaskStatus, int | None, int], ...] = (
    (TaskStatus.COMPLETED, 4, 2),
    (TaskStatus.COMPLETED, None, 1),
    (TaskStatus.FAILED, None, 4),
    (TaskStatus.EXPIRED, None, 3),
)
"""How signals end: status, rating, how many so."""


def ended(at: datetime | None = BEGIN) -> list[tuple[Signal, LLMAnalysis]]:
    """Signals with every kind of end."""
    ends = [(status, rating) for status, rating, count in ENDS for _ in range(count)]
    return [
        (
            Signal(f"<b>{number}", at, "ES", "BUY", 10.0, 9.0, 12.0),
            LLMAnalysis(f"<b>{number}", status, rating=rating),
        )
        for number, (status, rating) in enumerate(ends)
    ]


def test_few_signals_are_called_few(tmp_path: Path) -> None:
    """Every end is counted in its place, and the page has the sentence."""
    said = write_verdict(ended(), BARS, tmp_path, note="a <note>")
    assert said.startswith("Too few to say anything: 2 resolved signals")
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert said in page
    for name, count in (("signals", 10), ("rated", 2), ("unrated", 1), ("failed", 4), ("expired", 3)):
        assert re.search(rf">{name}<.{{0,40}}?>{count}<", page, re.S), name
    assert "a &lt;note&gt;" in page
    assert [file.name for file in tmp_path.iterdir()] == [PAGE]


def test_who_reads_the_page_meanwhile_reads_a_whole_one(tmp_path: Path) -> None:
    """A new page takes the place of the old one, and does not write over it."""
    write_verdict(ended(), BARS, tmp_path, note="the first")
    with (tmp_path / PAGE).open(encoding="utf-8") as reader:
        write_verdict(ended(), BARS, tmp_path, note="the second")
        assert "the first" in reader.read()
    assert "the second" in (tmp_path / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("given", [[], ended(at=None)], ids=["no signal", "no time"])
def test_odd_runs_have_a_verdict_too(given: list[tuple[Signal, LLMAnalysis]], tmp_path: Path) -> None:
    """No signal at all, or signals without a time."""
    assert write_verdict(given, BARS, tmp_path, note="").startswith("Too few")


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The folder is gone: OSError, which the program says in one line."""
    with pytest.raises(FileNotFoundError):
        write_verdict(ended(), BARS, tmp_path / "gone", note="")
