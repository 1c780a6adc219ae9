"""The outbox: what waits for PostgreSQL is on disk, bounded, and nobody else's while its owner lives."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.domain import Bar, Claim, LLMAnalysis, Opinion, ParseMethod, Signal, TaskStatus
from llm_integration.record.outbox.entries import KeptOutcome, KeptSignal, decode, encode
from llm_integration.record.outbox.file import OutboxFile, find_files
from llm_integration.record.outbox.thread import Outbox
from tests.unit.worker_parts import signal_mapping

T0 = datetime(2026, 1, 5, 10, tzinfo=UTC)


def a_signal(signal_id: str = "s1", notes: str | None = None) -> Signal:
    data = signal_mapping(signal_id)["signal_data"]
    return Signal.from_mapping(
        signal_id,
        {
            **data,
            "notes": notes,
            "bars": [Bar(T0, 1.1, 1.2, 1.0, 1.15, 7.0)],
            "indicators": {"rsi": None, "atr": 0.1},
        },
    )


def an_answer(signal_id: str = "s1", text: str = "Clean trend.") -> LLMAnalysis:
    return LLMAnalysis(
        signal_id, TaskStatus.COMPLETED, rating=4, choppiness="no", analysis=text, warnings=("one", "two"),
        parse_method=ParseMethod.FENCED_JSON, cost_usd=Decimal("0.000012340"), processed_at=T0,
        raw_reply=text,
        opinions=(Opinion("ensemble", "a/b", rating=3, cost_usd=Decimal("1E-9")), Opinion("shadow", "c/d")),
    )  # fmt: skip


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path, target="a database", worker_id="w1")
    yield box
    box.close()


def kept(outbox: Outbox) -> list[str]:
    """The keys in the file, read by somebody else."""
    with sqlite3.connect(outbox.path) as link:
        rows = [row[0] for row in link.execute("SELECT key FROM entries ORDER BY seq")]
    link.close()
    return rows


def test_an_entry_of_an_older_version_is_read() -> None:
    """A file that waited over an update lacks what is stored since; that is unknown, and nothing is lost."""
    new = ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "service_tier")
    entry = KeptOutcome(a_signal(), an_answer())
    body = json.loads(encode(entry))
    for reading in (body["analysis"], *body["analysis"]["opinions"]):
        for name in new:
            del reading[name]
    assert decode("outcome", json.dumps(body).encode()) == entry


@given(st.text(max_size=200))
def test_an_entry_comes_back_exactly_as_it_went_in(text: str) -> None:
    """No digit, time or character is lost on the way through the file, unstorable ones included."""
    for entry in (
        KeptSignal(replace(a_signal(notes=text or None), warnings=(text, "2 left out")), text or None),
        KeptOutcome(a_signal(), an_answer(text=text), Claim(7, "s1", "c-1", 2, 0.5)),
        KeptOutcome(a_signal(), LLMAnalysis("s1", TaskStatus.EXPIRED, error=text)),
    ):
        assert decode(entry.name[0], encode(entry)) == entry


@pytest.mark.parametrize("text", ["a\0b", "\ud800 alone", "\U0001f600"])
def test_text_that_no_file_could_take_comes_back(text: str) -> None:
    """NUL and lone surrogates survive the outbox; the database cleans them at its own border."""
    entry = KeptOutcome(a_signal(), an_answer(text=text))
    assert decode("outcome", encode(entry)) == entry


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"signal": 5}',
        b'{"signal": {"signal_id": "x"}}',
        b'{"signal": {"bars": [[1]]}}',
    ],
)
@pytest.mark.parametrize("kind", ["signal", "outcome", "something else"])
def test_what_is_no_entry_is_refused(kind: str, body: bytes) -> None:
    """A damaged row is a ValueError, never a half-read signal."""
    with pytest.raises(ValueError):
        decode(kind, body)


async def test_what_is_kept_is_on_disk_and_gone_when_forgotten(outbox: Outbox) -> None:
    """The file holds exactly what waits, in order of arrival."""
    for name in ("s1", "s2", "s3"):
        outbox.keep_signal(a_signal(name))
    assert await outbox.settled(5)
    assert kept(outbox) == ["s1", "s2", "s3"]
    outbox.forget_signal(a_signal("s2"))
    outbox.keep_signal(a_signal("s1"), off_reason="again")
    assert await outbox.settled(5)
    assert kept(outbox) == ["s1", "s3"]
    assert outbox.held == 2


async def test_a_signal_and_its_result_are_two_entries(outbox: Outbox) -> None:
    """Forgetting one leaves the other."""
    outbox.keep_signal(a_signal())
    outbox.keep_outcome(a_signal(), an_answer())
    outbox.forget_signal(a_signal())
    assert await outbox.settled(5)
    assert outbox.statistics() == {"signals": 0, "results": 1, "left_out": 0, "error": None}


def test_without_an_outage_there_is_no_file(tmp_path: Path) -> None:
    """A healthy run leaves no trace on the disk, and needs no thread."""
    outbox = Outbox(tmp_path, target="x")
    outbox.forget_signal(a_signal())
    outbox.close()
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_outbox_removes_its_files_when_it_is_closed(outbox: Outbox) -> None:
    """After a mended outage nothing is left behind."""
    outbox.keep_signal(a_signal())
    assert await outbox.settled(5)
    assert outbox.path.exists()
    outbox.forget_signal(a_signal())
    outbox.close()
    assert not outbox.folder.exists()


def test_closing_writes_what_is_outstanding_and_says_what_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop in mid-outage leaves a readable file and one line about it."""
    outbox = Outbox(tmp_path)
    for number in range(1_500):
        outbox.keep_signal(a_signal(f"s{number}"))
    outbox.close(10)
    assert len(kept(outbox)) == 1_500
    assert [record.getMessage() for record in caplog.records] == [
        f"1500 signal(s) and 0 result(s) wait for PostgreSQL in {outbox.path}; the next run stores them"
    ]


async def test_at_the_bound_further_entries_are_left_out_with_one_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is not filled; the user is told once, and again when there is room."""
    outbox = Outbox(tmp_path, max_entries=10)
    for number in range(15):
        outbox.keep_signal(a_signal(f"s{number}"))
    assert await outbox.settled(5)
    assert len(kept(outbox)) == 10
    assert outbox.statistics()["left_out"] == 5
    for number in range(2):
        outbox.forget_signal(a_signal(f"s{number}"))
    outbox.keep_signal(a_signal("late"))
    assert await outbox.settled(5)
    assert kept(outbox)[-1] == "late"
    messages = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert messages == ["the outbox is full", "the outbox has room again"]
    outbox.close()


async def test_a_deleted_file_is_begun_again_with_everything_that_waits(outbox: Outbox) -> None:
    """Somebody who tidies up the folder in mid-outage does not cost a signal."""
    outbox.keep_signal(a_signal("s1"))
    assert await outbox.settled(5)
    for file in outbox.folder.iterdir():
        file.unlink()
    outbox.folder.rmdir()
    outbox.keep_signal(a_signal("s2"))
    assert await outbox.settled(5)
    assert kept(outbox) == ["s1", "s2"]


async def test_a_folder_that_cannot_be_written_is_one_message_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The outbox fails loudly, once, and catches up when the disk is back."""
    blocker = tmp_path / "outbox"
    blocker.write_text("a file where the folder should be")
    outbox = Outbox(blocker)
    for number in range(5):
        outbox.keep_signal(a_signal(f"s{number}"))
    assert not await outbox.settled(0.2)
    assert outbox.error is not None
    blocker.unlink()
    assert await outbox.settled(5)
    assert kept(outbox) == [f"s{number}" for number in range(5)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    outbox.close()


def test_threads_may_keep_and_forget_at_once(tmp_path: Path) -> None:
    """What is left is what was kept and not forgotten, whoever did it."""
    outbox = Outbox(tmp_path)

    def work(name: int) -> None:
        for number in range(100):
            outbox.keep_signal(a_signal(f"{name}-{number}"))
            if number % 2:
                outbox.forget_signal(a_signal(f"{name}-{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outbox.close(10)
    assert sorted(kept(outbox)) == sorted(
        f"{name}-{number}" for name in range(4) for number in range(0, 100, 2)
    )


def test_the_file_of_a_living_owner_cannot_be_adopted(tmp_path: Path) -> None:
    """Its lock says that it is in use; once it is free, it has a new owner."""
    path = tmp_path / "one.outbox"
    mine = OutboxFile.create(path)
    assert OutboxFile.adopt(path) is None
    mine.close(remove=False)
    theirs = OutboxFile.adopt(path)
    assert theirs is not None
    theirs.close(remove=True)
    assert find_files(tmp_path) == []


def test_a_killed_owner_leaves_its_entries_to_others(tmp_path: Path) -> None:
    """SIGKILL frees the lock; what was committed is there."""
    code = (
        "import os, signal, sys\n"
        "from llm_integration.record.outbox.thread import Outbox\n"
        "from tests.unit.test_outbox import a_signal\n"
        "box = Outbox(sys.argv[1])\n"
        "box.keep_signal(a_signal('kept'))\n"
        "assert box._wait_written(10)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    (path,) = find_files(next(tmp_path.iterdir()))
    file = OutboxFile.adopt(path)
    assert file is not None
    (row,) = file.oldest(10)
    assert decode(row.kind, row.body) == KeptSignal(a_signal("kept"))
    file.close(remove=True)


def test_outboxes_of_two_databases_do_not_meet(tmp_path: Path) -> None:
    """What waits for one database is never poured into another."""
    assert Outbox(tmp_path, target="a").folder != Outbox(tmp_path, target="b").folder
