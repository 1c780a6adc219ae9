"""The exporter as a host uses it: real files, a real thread, real locks."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError, blockbuster_ctx

from llm_integration.config import LLMConfig
from llm_integration.csv_exporter import (
    RESULT_COLUMNS,
    RESULT_FILE,
    SIGNAL_COLUMNS,
    SIGNAL_FILE,
    SUMMARY_FILE,
    LLMCSVExporter,
)
from llm_integration.csv_exporter import exporter as exporter_module
from llm_integration.csv_exporter import health as health_module
from llm_integration.csv_exporter.lane import BATCH
from llm_integration.domain import Signal, TaskStatus
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer

Make = Callable[..., LLMCSVExporter]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Builds started exporters on one folder; settings by keyword; closed at the end."""
    made: list[LLMCSVExporter] = []

    def build(
        *, started: bool = True, arguments: dict[str, Any] | None = None, **settings: Any
    ) -> LLMCSVExporter:
        exporter = LLMCSVExporter(LLMConfig(**settings), output_directory=tmp_path, **(arguments or {}))
        made.append(exporter)
        if started:
            exporter.start()
        return exporter

    yield build
    for exporter in made:
        exporter.close(5.0)


def rows(folder: Path, name: str = RESULT_FILE) -> list[dict[str, str]]:
    """The records of a file; none when it is not there or empty."""
    path = folder / name
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def feed(exporter: LLMCSVExporter, numbers: range, signals: dict[int, Signal] | None = None) -> None:
    """Bars of session ``run``, with the signals some of them bring."""
    for number in numbers:
        assert exporter.record_bar("run", "EURUSD", a_bar(number), (signals or {}).get(number))


def summary(folder: Path) -> dict[str, Any]:
    """The summary as it stands."""
    data: dict[str, Any] = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    return data


class Messages(logging.Handler):
    """Waits for log messages."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._changed = threading.Condition()
        self._records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._records.append(f"{record.levelname} {record.getMessage()}")
            self._changed.notify_all()

    def containing(self, text: str) -> list[str]:
        """Messages so far that contain ``text``."""
        return [message for message in list(self._records) if text in message]

    def wait_for(self, text: str) -> None:
        """Return once a message contains ``text``."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.containing(text), 10.0), (text, self._records)


@pytest.fixture
def messages() -> Iterator[Messages]:
    """What the exporter logs at INFO and above."""
    log = logging.getLogger("llm_integration.csv_exporter")
    handler, level = Messages(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def test_a_run_gives_the_three_files(make: Make, tmp_path: Path) -> None:
    """Each bar once, each answered signal once, LLM columns on signal bars, the counts in the summary."""
    exporter = make()
    signals = {2: a_signal("s-2", 2), 4: a_signal("s-4", 4), 6: a_signal("s-6", 6)}
    feed(exporter, range(8), signals)
    exporter.write_analysis(signals[4], an_answer("s-4", rating=None, error="no rating found"))
    exporter.write_analysis(signals[2], an_answer("s-2"))
    exporter.write_analysis(
        signals[6], an_answer("s-6", status=TaskStatus.FAILED, rating=None, error="HTTP 500")
    )
    exporter.set_statistics({"bars": 8})
    assert exporter.close()

    answered = rows(tmp_path, SIGNAL_FILE)
    assert list(answered[0]) == list(SIGNAL_COLUMNS)
    assert [(row["signal_id"], row["llm_rating"]) for row in answered] == [("s-4", ""), ("s-2", "4")]
    bars = rows(tmp_path)
    assert list(bars[0]) == list(RESULT_COLUMNS)
    assert [row["volume"] for row in bars] == [f"{100.0 + number}" for number in range(8)]
    assert [row["llm_status"] for row in bars] == ["", "", "completed", "", "completed", "", "failed", ""]
    assert [row["llm_rating"] for row in bars] == ["", "", "4", "", "", "", "", ""]
    assert bars[2]["llm_analysis"] == "Clean trend, room to the target."
    counts = summary(tmp_path)
    assert counts["signals"]["rated"] == counts["signals"]["unrated"] == counts["signals"]["failed"] == 1
    assert counts["unrated_reasons"] == {"no rating found": 1}
    assert counts["export"]["files"][RESULT_FILE]["rows_written"] == 8
    assert counts["run"] == {"bars": 8}
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_a_row_is_readable_soon_after_it_was_handed_over(make: Make, tmp_path: Path) -> None:
    """Without flush, close or a full batch, a reader that watches the file sees the row."""
    exporter = make()
    feed(exporter, range(1))
    seen = threading.Event()

    def watch() -> None:
        while not rows(tmp_path) and not seen.wait(0.005):
            pass
        seen.set()

    began = time.monotonic()
    threading.Thread(target=watch, daemon=True).start()
    assert seen.wait(10.0)
    assert time.monotonic() - began < 1.0


def test_bars_behind_an_unanswered_signal_wait_for_it(make: Make, tmp_path: Path) -> None:
    """They are held back, counted as such, and follow in order when the answer comes."""
    exporter = make()
    signal = a_signal("s-1", 1)
    feed(exporter, range(4), {1: signal})
    assert exporter.flush()
    assert len(rows(tmp_path)) == 1
    assert exporter.get_statistics()["bars_held_back"] == 3
    exporter.write_analysis(signal, an_answer("s-1"))
    assert exporter.flush()
    assert [row["llm_status"] for row in rows(tmp_path)] == ["", "completed", "", ""]


def test_past_csv_max_held_bars_the_oldest_are_written_as_pending(make: Make, tmp_path: Path) -> None:
    """The bound holds, the row says pending, and a late answer still gets its row in the other file."""
    exporter = make(csv_max_held_bars=5)
    signal = a_signal("s-0", 0)
    feed(exporter, range(6), {0: signal})
    assert exporter.flush()
    exporter.write_analysis(signal, an_answer("s-0"))
    assert exporter.flush()
    assert [row["llm_status"] for row in rows(tmp_path)] == ["pending", "", "", "", "", ""]
    assert [row["signal_id"] for row in rows(tmp_path, SIGNAL_FILE)] == ["s-0"]
    assert exporter.get_statistics()["bars_written_without_outcome"] == 1


@pytest.mark.parametrize("flush_held", [True, False])
def test_closing_writes_held_bars_or_leaves_them_for_a_resumed_run(
    make: Make, tmp_path: Path, flush_held: bool
) -> None:
    """With ``flush_held`` they are written as pending; without it the file ends before them."""
    exporter = make()
    feed(exporter, range(4), {1: a_signal("s-1", 1)})
    assert exporter.close(flush_held=flush_held)
    assert [row["llm_status"] for row in rows(tmp_path)] == (["", "pending", "", ""] if flush_held else [""])


def test_a_resumed_run_ends_like_one_that_was_never_stopped(make: Make, tmp_path: Path) -> None:
    """Fed from the beginning, with stored outcomes before or after their bars, nothing is lost or twice."""
    signals = {at: a_signal(f"s-{at}", at) for at in (1, 5, 9)}
    first = make()
    feed(first, range(8), signals)
    first.write_analysis(signals[1], an_answer("s-1"))
    first.write_analysis(signals[5], an_answer("s-5", status=TaskStatus.EXPIRED, rating=None))
    assert first.close(flush_held=False)

    again = make()
    again.write_analysis(signals[1], an_answer("s-1"))
    feed(again, range(12), signals)
    again.write_analysis(signals[5], an_answer("s-5", status=TaskStatus.EXPIRED, rating=None))
    again.write_analysis(signals[9], an_answer("s-9"))
    assert again.close(flush_held=False)

    statuses = {1: "completed", 5: "expired", 9: "completed"}
    assert [row["llm_status"] for row in rows(tmp_path)] == [statuses.get(at, "") for at in range(12)]
    assert [row["volume"] for row in rows(tmp_path)] == [f"{100.0 + at}" for at in range(12)]
    assert [row["signal_id"] for row in rows(tmp_path, SIGNAL_FILE)] == ["s-1", "s-9"]
    assert summary(tmp_path)["signals"]["outcomes"] == 3


def test_the_last_words_of_an_earlier_run_are_repaired(make: Make, tmp_path: Path) -> None:
    """A half-written last line goes when the exporter starts, before any row is handed over."""
    first = make()
    feed(first, range(3))
    assert first.close()
    path = tmp_path / RESULT_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    again = make()
    assert again.flush()
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:-1])
    feed(again, range(3))
    assert again.close()
    assert path.read_bytes() == whole


async def test_handing_over_never_blocks_the_loop(make: Make) -> None:
    """No call on the loop opens, locks, writes, waits or takes a lock that another may hold."""
    exporter = make()
    signal = a_signal("s-1", 1)
    with blockbuster_ctx():
        with pytest.raises(BlockingError):
            time.sleep(0.001)
        for number in range(200):
            exporter.record_bar("run", "EURUSD", a_bar(number), signal if number == 1 else None)
        exporter.write_analysis(signal, an_answer("s-1"))
        exporter.set_statistics({"a": 1})
        exporter.get_statistics()
    assert await asyncio.to_thread(exporter.flush)
    assert await asyncio.to_thread(exporter.close)


def test_a_full_queue_leaves_rows_out_says_so_once_and_recovers(
    make: Make, messages: Messages, tmp_path: Path
) -> None:
    """Bars leave a tenth of the room to answers; what is left out is counted; one message each way."""
    exporter = make(started=False, csv_queue_size=20)
    assert exporter.room == 18
    taken = [exporter.record_bar("run", "EURUSD", a_bar(number)) for number in range(25)]
    assert taken == [True] * 18 + [False] * 7
    answers = [exporter.write_analysis(a_signal(f"s-{at}"), an_answer(f"s-{at}")) for at in range(4)]
    assert answers == [True, True, False, False]
    assert exporter.room == 0
    exporter.start()
    assert exporter.flush()
    feed(exporter, range(30, 32))
    assert exporter.close()
    assert len(rows(tmp_path)) == 20
    assert exporter.get_statistics()["rows_left_out"] == {"bars": 7, "analyses": 2}
    assert len(messages.containing("left out of the CSV files")) == 1
    assert len(messages.containing("rows are taken again")) == 1


def test_a_file_locked_by_another_is_written_when_it_is_free(
    make: Make, messages: Messages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows wait in memory meanwhile, the other file goes on, one warning and one all-clear are logged."""
    monkeypatch.setattr(health_module, "LOCK_PATIENCE_SECONDS", 0.1)
    exporter = make()
    feed(exporter, range(1))
    assert exporter.flush()
    with (tmp_path / RESULT_FILE).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        feed(exporter, range(1, 700))
        exporter.write_analysis(a_signal("s-1"), an_answer("s-1"))
        messages.wait_for("locked by another process")
        assert not exporter.flush(0.3)
        assert len(rows(tmp_path)) == 1
        assert len(rows(tmp_path, SIGNAL_FILE)) == 1
        assert exporter.get_statistics()["files"][RESULT_FILE]["failing"] == "locked by another process"
    assert exporter.flush()
    assert [row["volume"] for row in rows(tmp_path)] == [f"{100.0 + at}" for at in range(700)]
    assert len(messages.containing("locked by another process")) == 1
    messages.wait_for("written again after")


def test_a_folder_that_becomes_unusable_and_comes_back_loses_no_waiting_row(
    make: Make, messages: Messages, tmp_path: Path
) -> None:
    """The folder gone and its name taken: rows wait, one warning names the cause, then they are written."""
    folder = tmp_path / "out"
    exporter = make(arguments={})
    exporter.close()
    exporter = LLMCSVExporter(LLMConfig(), output_directory=folder)
    exporter.start()
    feed(exporter, range(2))
    assert exporter.flush()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.touch()
    feed(exporter, range(2, 5))
    messages.wait_for("File exists")
    assert not exporter.flush(0.2)
    folder.unlink()
    assert exporter.close()
    assert [row["volume"] for row in rows(folder)] == ["102.0", "103.0", "104.0"]
    assert len(messages.containing(f"WARNING {folder / RESULT_FILE}: File exists")) == 1
    assert summary(folder)["export"]["files"][RESULT_FILE]["errors"] >= 1


def test_close_returns_in_time_while_a_file_stays_locked(
    make: Make, messages: Messages, tmp_path: Path
) -> None:
    """It gives up at its timeout, says how many rows are missing, and leaves no thread behind."""
    exporter = make()
    assert exporter.flush()
    with (tmp_path / RESULT_FILE).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        feed(exporter, range(3))
        began = time.monotonic()
        assert not exporter.close(0.3)
        assert time.monotonic() - began < 1.3
    assert not exporter.get_statistics()["running"]
    assert messages.containing("closed with 3 rows not written")
    assert not exporter.close(0.3)


def test_close_returns_in_time_while_the_disk_hangs(make: Make, messages: Messages) -> None:
    """A thread that is stuck is left to itself: close gives up half a second after its timeout."""
    stuck, free = threading.Event(), threading.Event()

    def hang() -> dict[str, object]:
        stuck.set()
        free.wait(20.0)
        return {}

    exporter = make(arguments={"statistics": hang}, batch_export_interval_seconds=0.01)
    assert stuck.wait(10.0)
    feed(exporter, range(3))
    began = time.monotonic()
    assert not exporter.close(0.2)
    assert time.monotonic() - began < 1.2
    assert messages.containing("does not answer; 3 rows are not written")
    free.set()


def test_a_crash_of_the_thread_is_logged_counted_and_survived(
    make: Make, messages: Messages, tmp_path: Path
) -> None:
    """The thread starts again and no row is lost or repeated."""
    calls = []

    def pause(seconds: float) -> None:
        calls.append(seconds)
        if len(calls) == 1:
            raise RuntimeError("boom")

    exporter = make(arguments={"pause": pause}, started=False)
    feed(exporter, range(300))
    exporter.start()
    assert exporter.close()
    assert [row["volume"] for row in rows(tmp_path)] == [f"{100.0 + at}" for at in range(300)]
    assert exporter.get_statistics()["thread_restarts"] == 1
    assert messages.containing("the CSV thread failed (RuntimeError)")


def test_a_row_that_cannot_be_written_costs_only_itself(
    make: Make, messages: Messages, tmp_path: Path
) -> None:
    """A bar with rubbish in it is counted, named once, and the next ones follow."""
    exporter = make()
    for number in range(6):
        rubbish: Any = "rubbish"
        bar = a_bar(number)._replace(close=rubbish) if number in (2, 3) else a_bar(number)
        exporter.record_bar("run", "EURUSD", bar)
    assert exporter.close()
    assert [row["volume"] for row in rows(tmp_path)] == ["100.0", "101.0", "104.0", "105.0"]
    assert exporter.get_statistics()["rows_broken"] == 2
    assert len(messages.containing("ERROR")) == 1


def test_statistics_of_the_host_that_fail_cost_only_themselves(
    make: Make, messages: Messages, tmp_path: Path
) -> None:
    """The summary is written without them; the failure is logged once."""

    def broken() -> dict[str, object]:
        raise KeyError("gone")

    exporter = make(arguments={"statistics": broken}, batch_export_interval_seconds=0.01)
    messages.wait_for("statistics for the summary failed")
    exporter.set_statistics({"own": 1})
    assert exporter.close()
    assert summary(tmp_path)["run"] == {"own": 1}
    assert len(messages.containing("statistics for the summary failed")) == 1


def test_the_summary_is_renewed_at_the_interval(make: Make, tmp_path: Path) -> None:
    """``batch_export_interval_seconds`` decides how often; a reader always finds a whole document."""
    renewed = threading.Semaphore(0)

    def count() -> dict[str, object]:
        renewed.release()
        return {"source": "called"}

    exporter = make(arguments={"statistics": count}, batch_export_interval_seconds=0.02)
    for _ in range(3):
        assert renewed.acquire(timeout=10.0)
        if (tmp_path / SUMMARY_FILE).exists():
            assert summary(tmp_path)["run"] == {"source": "called"}
    assert exporter.close()
    assert summary(tmp_path)["run"] == {"source": "called"}


def test_only_final_outcomes_are_taken_and_nothing_after_close(make: Make) -> None:
    """A task that is still being processed is no outcome; a closed exporter takes and starts nothing."""
    exporter = make()
    assert not exporter.write_analysis(a_signal(), an_answer(status=TaskStatus.PROCESSING))
    assert exporter.close()
    assert exporter.close()
    assert exporter.flush(0.1)
    assert not exporter.record_bar("run", "EURUSD", a_bar())
    with pytest.raises(RuntimeError, match="closed"):
        exporter.start()


def test_repeated_and_late_bars_are_skipped(make: Make, tmp_path: Path) -> None:
    """A bar that is not later than the one before it is written once or not at all, also while held."""
    exporter = make()
    feed(exporter, range(3), {1: a_signal("s-1", 1)})
    feed(exporter, range(3))
    assert exporter.close()
    assert [row["volume"] for row in rows(tmp_path)] == ["100.0", "101.0", "102.0"]
    assert exporter.get_statistics()["files"][RESULT_FILE]["rows_already_there"] == 3


def test_sessions_and_symbols_do_not_wait_for_each_other(make: Make, tmp_path: Path) -> None:
    """An unanswered signal of one holds no bar of another back."""
    exporter = make()
    exporter.record_bar("run", "EURUSD", a_bar(0), a_signal("s-0"))
    for session, symbol in (("run", "GBPUSD"), ("other", "EURUSD"), (None, "EURUSD")):
        exporter.record_bar(session, symbol, a_bar(0))
    assert exporter.flush()
    assert [(row["session_id"], row["symbol"]) for row in rows(tmp_path)] == [
        ("run", "GBPUSD"),
        ("other", "EURUSD"),
        ("", "EURUSD"),
    ]


def test_the_defaults_come_from_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built without arguments it writes to the configured folder, which is only made when it starts."""
    monkeypatch.chdir(tmp_path)
    exporter = LLMCSVExporter()
    assert exporter.close()
    assert list(tmp_path.iterdir()) == []
    exporter = LLMCSVExporter()
    exporter.start()
    feed(exporter, range(1))
    assert exporter.close()
    assert sorted(entry.name for entry in (tmp_path / "output/llm_enhanced").iterdir()) == sorted(
        [RESULT_FILE, SIGNAL_FILE, SUMMARY_FILE]
    )


def test_a_thread_that_keeps_failing_backs_off_while_it_closes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing does not turn the restarts into a busy loop that floods the log."""
    exporter = LLMCSVExporter(LLMConfig(csv_output_directory=str(tmp_path)))

    def broken() -> bool:
        raise AssertionError("a defect")

    monkeypatch.setattr(exporter._writer, "step", broken)
    exporter.start()
    exporter.close(0.5)
    assert 1 <= sum("starts again" in record.getMessage() for record in caplog.records) < 20


def until_written(folder: Path, count: int) -> None:
    """Return once the file has ``count`` bars; fails after ten seconds."""
    end = time.monotonic() + 10
    while len(rows(folder)) < count:
        assert time.monotonic() < end, f"{len(rows(folder))} rows"
        threading.Event().wait(0.005)


def test_rows_under_load_share_a_write(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that follow close upon others wait for more of them, but not once a batch is together."""
    monkeypatch.setattr(exporter_module, "SPACING_SECONDS", 30.0)
    monkeypatch.setattr(exporter_module, "BUSY_ROWS", 1)
    exporter = make()
    assert exporter.flush(5.0)
    feed(exporter, range(1))
    until_written(tmp_path, 1)
    feed(exporter, range(1, BATCH))
    threading.Event().wait(2 * exporter_module.GATHER_SECONDS)
    assert len(rows(tmp_path)) == 1
    feed(exporter, range(BATCH, BATCH + 3))
    until_written(tmp_path, BATCH + 1)


def test_a_few_rows_wait_for_nothing(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows come one by one, each is in the file as soon as ever, however many follow."""
    monkeypatch.setattr(exporter_module, "SPACING_SECONDS", 30.0)
    exporter = make()
    for number in range(5):
        feed(exporter, range(number, number + 1))
        until_written(tmp_path, number + 1)
    assert exporter.get_statistics()["files"][RESULT_FILE]["rows_written"] == 5


def test_nobody_who_waits_for_the_rows_waits_for_more_of_them(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``flush`` and ``close`` end the gathering."""
    monkeypatch.setattr(exporter_module, "SPACING_SECONDS", 30.0)
    monkeypatch.setattr(exporter_module, "BUSY_ROWS", 1)
    exporter = make()
    for numbers in (range(3), range(3, 6)):
        feed(exporter, numbers)
        assert exporter.flush(5.0)
        assert len(rows(tmp_path)) == numbers.stop
    feed(exporter, range(6, 9))
    assert exporter.close(5.0)
    assert len(rows(tmp_path)) == 9
