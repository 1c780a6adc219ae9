"""``export`` against PostgreSQL: which rows it writes, and what it leaves alone."""

from __future__ import annotations

import argparse
import asyncio
import csv
import fcntl
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import export
from llm_integration.commands.errors import CommandError, UsageError
from llm_integration.commands.line import load_command
from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE, LLMCSVExporter, Rebuild
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.record.command_store import CommandDatabase
from tests.integration.database_helpers import LEASE, answer, failure, signal


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No config.json of the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[CommandDatabase]:
    async with CommandDatabase(database_url) as database:
        yield database


def at(hour: int) -> datetime:
    return datetime(2024, 3, 1 + hour // 24, hour % 24, tzinfo=UTC)


def bar(hour: int) -> Bar:
    return Bar(at(hour), 1.1, 1.2, 1.0, 1.15 + hour / 1000, 100.0)


def parsed(url: str, *given: str) -> argparse.Namespace:
    return load_command("export")[1].parse_args(["--database-url", url, "--output", "out", "--json", *given])


async def run(url: str, capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, Any]:
    assert await export.run(parsed(url, *given)) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def rows(name: str) -> list[dict[str, str]]:
    with Path("out", name).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def lines(folder: str, name: str) -> list[bytes]:
    return Path(folder, name).read_bytes().splitlines(keepends=True)


def put_file_in_the_way() -> None:
    Path("out").write_text("a file")


@contextmanager
def locked_file() -> Iterator[None]:
    """A file in place of llm_signals.csv that somebody keeps locked."""
    Path("out").unlink()
    Path("out").mkdir()
    Path("out", SIGNAL_FILE).write_text("as it was")
    with Path("out", SIGNAL_FILE).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def folder() -> list[str]:
    return [entry.name for entry in Path("out").iterdir()]


async def store(
    db: CommandDatabase,
    session: str,
    outcomes: dict[int, LLMAnalysis | None],
    *,
    symbol: str = "EURUSD",
    bars: int = 10,
    status: str | None = None,
) -> dict[int, Signal]:
    """A session with bars, and signals at some hours with their outcomes, None for an open one."""
    await db.start_session(session, symbol=symbol)
    await db.record_bars(session, symbol, [bar(hour) for hour in range(bars)])
    signals = {
        hour: signal(f"{session}-{hour}", timestamp=at(hour), session_id=session, symbol=symbol)
        for hour in outcomes
    }
    claims = await db.claim_signals(list(signals.values()), worker_id="w", lease_seconds=LEASE)
    done = [(analysis, claims[signals[hour].signal_id]) for hour, analysis in outcomes.items() if analysis]
    await db.save_outcomes(done)
    if status == "completed":
        await db.end_session(session, "completed")
    return signals


async def test_every_kind_of_outcome_equals_the_live_files(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rated, unrated, failed and expired signals; hostile text; prices that are missing."""
    hostile = '=1+1;@x\n"q", \x1b[31m end'
    outcomes: dict[int, LLMAnalysis | None] = {
        2: answer("s-2", analysis=hostile, recommendations=hostile),
        4: answer("s-4", rating=None, total_ms=None, error="unreadable"),
        5: failure("s-5"),
        7: answer("s-7", choppiness=None, model_served=None),
    }
    signals = await store(db, "s", outcomes, status="completed")
    live = LLMCSVExporter(output_directory="live")
    live.start()
    for hour in range(10):
        live.record_bar("s", "EURUSD", bar(hour), signals.get(hour))
    for hour in (7, 2, 5, 4):
        outcome = outcomes[hour]
        assert outcome is not None
        live.write_analysis(signals[hour], outcome)
    assert await asyncio.to_thread(live.close)
    report = await run(database_url, capsys)
    assert (report["signal_rows"], report["bar_rows"]) == (3, 10)
    for name in (SIGNAL_FILE, RESULT_FILE):
        assert sorted(lines("out", name)) == sorted(lines("live", name))


async def test_rows_of_signals_come_in_the_order_of_their_times(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the order of the answers was; sessions one after the other for bars."""
    await store(db, "one", {5: answer("one-5"), 2: answer("one-2")}, status="completed")
    await store(db, "two", {3: answer("two-3")}, status="completed")
    report = await run(database_url, capsys, "--all")
    assert [row["signal_id"] for row in rows(SIGNAL_FILE)] == ["one-2", "two-3", "one-5"]
    assert [row["session_id"] for row in rows(RESULT_FILE)] == ["one"] * 10 + ["two"] * 10
    assert [session["session_id"] for session in report["sessions"]] == ["one", "two"]


async def test_the_latest_session_is_the_one_that_is_meant(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others are named as left out; their rows stay in the files unless they are to be dropped."""
    await store(db, "old", {1: answer("old-1")}, status="completed")
    await store(db, "new", {1: answer("new-1")}, status="completed")
    report = await run(database_url, capsys)
    assert {row["session_id"] for row in rows(RESULT_FILE)} == {"new"}
    assert report["other_sessions"] == 1
    await run(database_url, capsys, "--session", "old")
    assert {row["session_id"] for row in rows(RESULT_FILE)} == {"new", "old"}
    report = await run(database_url, capsys, "--session", "old", "--drop-others")
    assert (report["kept_bar_rows"], report["kept_signal_rows"]) == (0, 0)
    assert [row["signal_id"] for row in rows(SIGNAL_FILE)] == ["old-1"]


async def test_one_symbol_of_several_is_rebuilt_alone(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--symbol narrows both files."""
    await store(db, "s", {1: answer("s-1")}, symbol="ES")
    await store(db, "s", {2: answer("s-2")}, symbol="NQ", status="completed")
    await run(database_url, capsys, "--symbol", "NQ")
    assert [row["signal_id"] for row in rows(SIGNAL_FILE)] == ["s-2"]
    assert {row["symbol"] for row in rows(RESULT_FILE)} == {"NQ"}


async def test_an_open_session_ends_before_its_first_unanswered_signal(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that resumes it can fill it in; on request the bar is written as pending, and all others."""
    await store(db, "s", {2: answer("s-2"), 5: None, 7: answer("s-7")})
    report = await run(database_url, capsys)
    assert len(rows(RESULT_FILE)) == 5
    assert len(rows(SIGNAL_FILE)) == 2
    assert report["sessions"][0]["stopped_at"] == at(5).isoformat()
    report = await run(database_url, capsys, "--include-unanswered")
    assert [row["llm_status"] for row in rows(RESULT_FILE) if row["signal_id"]] == [
        "completed", "pending", "completed",
    ]  # fmt: skip
    assert (len(rows(RESULT_FILE)), report["sessions"][0]["stopped_at"]) == (10, None)


async def test_after_a_retry_the_new_answer_takes_the_old_ones_place(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A running exporter keeps the first row of a signal; an export tells the present truth."""
    from llm_integration.record.retry import RetryChoice  # noqa: PLC0415  of this test alone

    signals = await store(db, "s", {2: answer("s-2", rating=None)}, status="completed")
    await run(database_url, capsys)
    assert await db.retry(RetryChoice(unrated=True))
    ((claim, _),) = await db.claim_waiting(worker_id="w2", limit=5, lease_seconds=LEASE)
    second = answer("s-2", rating=5)
    await db.save_outcomes([(second, claim)])
    live = LLMCSVExporter(output_directory="out")
    live.start()
    live.write_analysis(signals[2], second)
    assert await asyncio.to_thread(live.close)
    assert [row["llm_rating"] for row in rows(SIGNAL_FILE)] == [""]
    await run(database_url, capsys)
    assert [row["llm_rating"] for row in rows(SIGNAL_FILE)] == ["5"]
    assert [row["llm_rating"] for row in rows(RESULT_FILE) if row["signal_id"]] == ["5"]


async def test_signals_without_a_session_come_with_all(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An embedding process has no sessions; without one there is nothing else to export."""
    lone = signal("lone", session_id=None)
    claims = await db.claim_signals([lone], worker_id="w", lease_seconds=LEASE)
    await db.save_outcomes([(answer("lone"), claims["lone"])])
    with pytest.raises(UsageError, match="--all"):
        await export.run(parsed(database_url))
    assert (await run(database_url, capsys, "--all"))["signal_rows"] == 1


async def test_what_cannot_be_done_is_said_and_changes_nothing(
    db: CommandDatabase, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown session, a folder that is a file, a locked file."""
    await store(db, "s", {2: answer("s-2")}, status="completed")
    with pytest.raises(UsageError, match="there is no session 'x'"):
        await export.run(parsed(database_url, "--session", "x"))
    put_file_in_the_way()
    with pytest.raises(CommandError, match="out: File exists"):
        await export.run(parsed(database_url))
    monkeypatch.setattr(export, "LOCK_SECONDS", 0.05)
    with locked_file(), pytest.raises(CommandError, match="locked"):
        await export.run(parsed(database_url))
    assert lines("out", SIGNAL_FILE) == [b"as it was"]
    assert folder() == [SIGNAL_FILE]


async def test_an_export_of_nothing_but_bars_holds_no_rows_in_memory(
    db: CommandDatabase,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bars go through in pieces of one chunk, however many there are."""
    await store(db, "s", {}, bars=0)
    for start in range(0, 2_000, 500):
        many = [
            Bar(datetime.fromtimestamp(1e9 + n * 60, UTC), 1, 2, 0.5, 1, 0) for n in range(start, start + 500)
        ]
        await db.record_bars("s", "EURUSD", many)
    sizes: list[int] = []
    original = Rebuild.add_bars

    def counted(self: Rebuild, bars: list[Any]) -> None:
        sizes.append(len(bars))
        original(self, bars)

    monkeypatch.setattr(Rebuild, "add_bars", counted)
    assert (await run(database_url, capsys))["bar_rows"] == 2_000
    assert max(sizes) <= export.CHUNK
    assert sum(sizes) == 2_000


async def test_an_interruption_while_the_drafts_are_opened_leaves_none(
    db: CommandDatabase, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the disk nor open: the thread that opens them cannot be stopped, so it is waited for."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Rebuild):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            begun.set()
            assert go_on.wait(10)

    monkeypatch.setattr(export, "Rebuild", Slow)
    working = asyncio.create_task(export._rebuild(db, [], tmp_path / "out", parsed(database_url)))
    assert await asyncio.to_thread(begun.wait, 10)
    assert len(list((tmp_path / "out").iterdir())) == 2
    working.cancel()
    asyncio.get_running_loop().call_later(0.01, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await working
    assert list((tmp_path / "out").iterdir()) == []
