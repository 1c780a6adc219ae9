"""Both files from the database's rows: the same bytes as the live run wrote."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_integration.csv_exporter import (
    RESULT_FILE,
    SIGNAL_FILE,
    BarRow,
    LLMCSVExporter,
    Rebuilt,
    rebuild,
)
from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer

HOSTILE = '=1+1;@x\n"quoted", \x00\ud800 end'
SIGNALS = {at: a_signal(f"s-{at}", at, symbol="EURUSD", signal_type=HOSTILE) for at in (1, 4, 7)}
OUTCOMES: list[tuple[Signal, LLMAnalysis]] = [
    (SIGNALS[4], an_answer("s-4", rating=None, analysis=HOSTILE)),
    (SIGNALS[1], an_answer("s-1", recommendations=HOSTILE, total_ms=None)),
    (SIGNALS[7], an_answer("s-7", status=TaskStatus.FAILED, rating=None)),
]
BARS: list[BarRow] = [("run", "EURUSD", a_bar(at), SIGNALS.get(at)) for at in range(10)]


def live(folder: Path, bars: list[BarRow] = BARS) -> dict[str, bytes]:
    """The files as a live run writes them."""
    exporter = LLMCSVExporter(output_directory=folder)
    exporter.start()
    for bar in bars:
        exporter.record_bar(*bar)
    for outcome in OUTCOMES:
        exporter.write_analysis(*outcome)
    assert exporter.close()
    return read(folder)


def read(folder: Path) -> dict[str, bytes]:
    """Both files."""
    return {name: (folder / name).read_bytes() for name in (SIGNAL_FILE, RESULT_FILE)}


def test_a_rebuilt_file_equals_the_live_one_byte_for_byte(tmp_path: Path) -> None:
    """Into an empty folder, over damaged files and over the files themselves the result is the same."""
    whole = live(tmp_path / "live")
    assert rebuild(BARS, OUTCOMES, tmp_path / "new") == Rebuilt(2, 10, 0, 0)
    assert read(tmp_path / "new") == whole
    (tmp_path / "new" / SIGNAL_FILE).write_bytes(whole[SIGNAL_FILE][:-30])
    (tmp_path / "new" / RESULT_FILE).unlink()
    rebuild(BARS, OUTCOMES, tmp_path / "new")
    rebuild(BARS, OUTCOMES, tmp_path / "new")
    assert read(tmp_path / "new") == whole
    assert sorted(entry.name for entry in (tmp_path / "new").iterdir()) == sorted(whole)


def test_rows_of_other_sessions_are_kept_or_dropped_as_asked(tmp_path: Path) -> None:
    """What the files have beyond the given rows stays at their end, unless ``keep_others`` is off."""
    others: list[BarRow] = [("other", "EURUSD", a_bar(at), None) for at in range(3)]
    live(tmp_path, [*others, *BARS])
    assert rebuild(BARS, OUTCOMES[:1], tmp_path) == Rebuilt(1, 10, 1, 3)
    lines = read(tmp_path)[RESULT_FILE].splitlines()
    assert [line.split(b",")[0] for line in lines[1:]] == [b"run"] * 10 + [b"other"] * 3
    assert rebuild(BARS, OUTCOMES, tmp_path, keep_others=False) == Rebuilt(2, 10, 0, 0)
    assert b"other" not in read(tmp_path)[RESULT_FILE]


def test_a_signal_without_an_outcome_is_pending_or_ends_its_stream(tmp_path: Path) -> None:
    """For a finished session its bar is written as pending; for one to be resumed the file stops there."""
    rebuild(BARS, OUTCOMES[1:], tmp_path / "finished")
    assert read(tmp_path / "finished")[RESULT_FILE].count(b",pending,,,,\n") == 1
    assert rebuild(BARS, OUTCOMES[1:], tmp_path / "open", flush_held=False).bar_rows == 4


def test_a_running_exporter_goes_on_in_the_rebuilt_files(tmp_path: Path) -> None:
    """It notices the new files and appends what they do not hold, each row once."""
    exporter = LLMCSVExporter(output_directory=tmp_path)
    exporter.start()
    for bar in BARS[:6]:
        exporter.record_bar(*bar)
    assert exporter.flush()
    rebuild(BARS[:8], OUTCOMES, tmp_path)
    for outcome in OUTCOMES:
        exporter.write_analysis(*outcome)
    for bar in BARS[6:]:
        exporter.record_bar(*bar)
    assert exporter.close()
    assert read(tmp_path) == live(tmp_path / "live")


def test_a_rebuild_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    """An error while the rows are read leaves the present files and no draft behind."""
    whole = live(tmp_path)

    def outcomes() -> Iterator[tuple[Signal, LLMAnalysis]]:
        yield from OUTCOMES
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="database"):
        rebuild(BARS, outcomes(), tmp_path)
    assert read(tmp_path) == whole
    assert not list(tmp_path.glob(".*"))


def test_a_rebuild_waits_for_a_locked_file_only_so_long(tmp_path: Path) -> None:
    """It gives up with BlockingIOError and the locked file is as it was."""
    whole = live(tmp_path)
    with (tmp_path / SIGNAL_FILE).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            rebuild(BARS[:2], OUTCOMES[:1], tmp_path, lock_timeout=0.1)
    assert read(tmp_path) == whole
    assert not list(tmp_path.glob(".*"))
