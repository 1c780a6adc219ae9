"""Answers that come after their bars were written as pending."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from llm_integration.csv_exporter import RESULT_FILE, BarRow, LLMCSVExporter, fill_pending
from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from tests.integration.test_csv_rebuild import BARS, HOSTILE, OUTCOMES, live, read
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer


def unanswered(folder: Path, bars: list[BarRow] = BARS) -> bytes:
    """The results of a run that ended before any answer came."""
    exporter = LLMCSVExporter(output_directory=folder)
    exporter.start()
    for bar in bars:
        exporter.record_bar(*bar)
    assert exporter.close(flush_held=True)
    return (folder / RESULT_FILE).read_bytes()


def test_late_answers_make_the_file_that_of_a_run_in_which_they_came_in_time(tmp_path: Path) -> None:
    """In one go or one by one, and again without harm."""
    whole = live(tmp_path / "live")[RESULT_FILE]
    file = tmp_path / RESULT_FILE
    assert unanswered(tmp_path) != whole
    assert fill_pending(tmp_path, OUTCOMES[:1]) == 1
    assert fill_pending(tmp_path, OUTCOMES) == 2
    assert file.read_bytes() == whole
    inode = file.stat().st_ino
    assert fill_pending(tmp_path, OUTCOMES) == 0
    assert file.stat().st_ino == inode, "nothing to fill in: the file is left alone"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_rows_of_others_and_answered_rows_stay_byte_for_byte(tmp_path: Path) -> None:
    """Only a row that says pending and bears the id is touched."""
    before = unanswered(tmp_path)
    stranger: tuple[Signal, LLMAnalysis] = (a_signal("s-10", 1), an_answer("s-10"))
    assert fill_pending(tmp_path, [stranger]) == 0
    still_open = (OUTCOMES[0][0], an_answer("s-4", status=TaskStatus.PENDING))
    assert fill_pending(tmp_path, [still_open]) == 0
    assert (tmp_path / RESULT_FILE).read_bytes() == before
    assert fill_pending(tmp_path, [OUTCOMES[1]]) == 1
    after = (tmp_path / RESULT_FILE).read_bytes()
    lines = zip(before.splitlines(), after.splitlines(), strict=True)
    changed = [old for old, new in lines if old != new]
    assert len(changed) == 1


@pytest.mark.parametrize(
    "signal_id", ["a,b", 'say "pending"', "=1+1", " padded ", HOSTILE, "é\u200b", ",pending,,,,"]
)
def test_an_id_is_recognised_in_the_form_it_has_in_the_file(tmp_path: Path, signal_id: str) -> None:
    """Quotes, commas and escaped formulas in it change nothing."""
    signal = a_signal(signal_id, 1)
    unanswered(tmp_path, [("run", "ES", a_bar(1), signal)])
    assert fill_pending(tmp_path, [(signal, an_answer(signal_id))]) == 1


def test_a_locked_file_is_waited_for_and_left_alone_in_the_end(tmp_path: Path) -> None:
    """BlockingIOError, and nothing has changed; without a file there is nothing to do."""
    assert fill_pending(tmp_path, OUTCOMES) == 0
    before = unanswered(tmp_path)
    with (tmp_path / RESULT_FILE).open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            fill_pending(tmp_path, OUTCOMES, lock_timeout=0.1)
    assert (tmp_path / RESULT_FILE).read_bytes() == before
    assert sorted(read(tmp_path)) == ["llm_signals.csv", "llm_strategy_results.csv"]
