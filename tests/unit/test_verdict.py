"""What a demo says of its ratings at the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llm_integration import Bar, LLMAnalysis, Signal, TaskStatus
from trading.verdict import PAGE, write_verdict

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
BARS = [Bar(BEGIN + timedelta(hours=hour), 10.0, 10.5, 9.5, 10.0, 1.0) for hour in range(90)]
ENDS: tuple[tuple[TaskStatus, int | None], ...] = (
    (TaskStatus.COMPLETED, 4),
    (TaskStatus.COMPLETED, None),
    (TaskStatus.FAILED, None),
    (TaskStatus.EXPIRED, None),
)


def ended(count: int, at: datetime | None = BEGIN) -> list[tuple[Signal, LLMAnalysis]]:
    """So many signals with every kind of end in turn."""
    return [
        (
            Signal(f"<b>{number}", at, "ES", "BUY", 10.0, 9.0, 12.0),
            LLMAnalysis(f"<b>{number}", ENDS[number % 4][0], rating=ENDS[number % 4][1]),
        )
        for number in range(count)
    ]


def test_few_signals_are_called_few(tmp_path: Path) -> None:
    """Every end is counted in its place, and the page has the sentence."""
    said = write_verdict(ended(8), BARS, tmp_path, note="a <note>")
    assert said.startswith("Too few to say anything: 2 resolved signals")
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert said in page
    assert "a &lt;note&gt;" in page
    assert [file.name for file in tmp_path.iterdir()] == [PAGE]


@pytest.mark.parametrize("given", [[], ended(4, at=None)], ids=["no signal", "no time"])
def test_odd_runs_have_a_verdict_too(given: list[tuple[Signal, LLMAnalysis]], tmp_path: Path) -> None:
    """No signal at all, or signals without a time."""
    assert write_verdict(given, BARS, tmp_path, note="").startswith("Too few")


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The folder is gone: OSError, which the program says in one line."""
    with pytest.raises(FileNotFoundError):
        write_verdict(ended(4), BARS, tmp_path / "gone", note="")
