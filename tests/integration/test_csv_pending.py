"""Answers that come after their bars were written as pending."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from pathlib import Path

import pytest

from llm_integration import LLMConfig
from llm_integration.csv_exporter import RESULT_FILE, BarRow, LLMCSVExporter
from llm_integration.csv_exporter.rows import PENDING
from llm_integration.domain import LLMAnalysis, Signal
from tests.integration.test_csv_rebuild import BARS, HOSTILE, OUTCOMES, live
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer

Outcomes = Iterable[tuple[Signal, LLMAnalysis]]


def a_run(folder: Path, bars: Iterable[BarRow] = (), outcomes: Outcomes = ()) -> tuple[bytes, int]:
    """What a run leaves that was handed these, and how many rows it filled in."""
    exporter = LLMCSVExporter(output_directory=folder)
    exporter.start()
    for bar in bars:
        exporter.record_bar(*bar)
    for outcome in outcomes:
        exporter.write_analysis(*outcome)
    assert exporter.close(flush_held=True)
    return (folder / RESULT_FILE).read_bytes(), exporter.get_statistics()["bars_filled_in_later"]


def test_late_answers_make_the_file_that_of_a_run_in_which_they_came_in_time(tmp_path: Path) -> None:
    """In one go or one by one, by later runs that need not see the bars again; and again without harm."""
    whole = live(tmp_path / "live")[RESULT_FILE]
    assert a_run(tmp_path, BARS)[0] != whole
    assert a_run(tmp_path, outcomes=OUTCOMES[:1])[1] == 1
    assert a_run(tmp_path, BARS, OUTCOMES) == (whole, 2)
    inode = (tmp_path / RESULT_FILE).stat().st_ino
    assert a_run(tmp_path, BARS, OUTCOMES) == (whole, 0)
    assert (tmp_path / RESULT_FILE).stat().st_ino == inode, "nothing to fill in: the file is left alone"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_only_the_rows_of_these_signals_change(tmp_path: Path) -> None:
    """Rows of others, of this session or another, stay byte for byte."""
    others: list[BarRow] = [("other", "ES", a_bar(at), a_signal(f"o-{at}", at)) for at in (1, 2)]
    before, _ = a_run(tmp_path, [*BARS, *others])
    stranger = (a_signal("s-10", 1), an_answer("s-10"))
    after, filled = a_run(tmp_path, outcomes=[stranger, OUTCOMES[1]])
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    assert (filled, len([1 for old, new in pairs if old != new])) == (1, 1)


@pytest.mark.parametrize(
    "signal_id",
    ["a,b", 'say "pending"', "=1+1", " padded ", HOSTILE, "\u00e9\u200b", ",pending,,,,", "\\u{5c}"],
)
def test_an_id_is_recognised_in_the_form_it_has_in_the_file(tmp_path: Path, signal_id: str) -> None:
    """Quotes, commas, marks and escaped formulas in it change nothing."""
    signal = a_signal(signal_id, 1)
    a_run(tmp_path, [("run", "ES", a_bar(1), signal)])
    assert a_run(tmp_path, outcomes=[(signal, an_answer(signal_id))])[1] == 1


def test_a_bar_that_was_not_waited_for_is_filled_in_by_the_same_run(tmp_path: Path) -> None:
    """Past csv_max_held_bars it goes out as pending; the answer comes in with the next force to the disk."""
    config = LLMConfig(csv_max_held_bars=3, batch_export_interval_seconds=0.05)
    exporter = LLMCSVExporter(config, output_directory=tmp_path)
    exporter.start()
    for bar in BARS:
        exporter.record_bar(*bar)
    assert exporter.flush(10)
    file = tmp_path / RESULT_FILE
    assert PENDING in file.read_text()
    for outcome in OUTCOMES:
        exporter.write_analysis(*outcome)
    assert exporter.close()
    assert file.read_bytes() == live(tmp_path / "live")[RESULT_FILE]


def test_a_file_that_another_process_holds_is_filled_in_when_it_is_free(tmp_path: Path) -> None:
    """Until then nothing has changed; answers are not lost over it."""
    before, _ = a_run(tmp_path, BARS)
    exporter = LLMCSVExporter(LLMConfig(batch_export_interval_seconds=0.05), output_directory=tmp_path)
    exporter.start()
    assert exporter.flush(10)
    with (tmp_path / RESULT_FILE).open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        for outcome in OUTCOMES:
            exporter.write_analysis(*outcome)
        assert exporter.flush(10)
        assert not exporter.close(0.3)
        assert (tmp_path / RESULT_FILE).read_bytes() == before
    assert a_run(tmp_path, outcomes=OUTCOMES)[1] == 3
