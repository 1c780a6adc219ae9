"""``export``: the CSV files anew from PostgreSQL."""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from llm_integration.commands.errors import CommandError, UsageError
from llm_integration.commands.settings import add_common_arguments, load, open_database
from llm_integration.commands.terminal import json_line, say, show_table
from llm_integration.csv_exporter import BarRow, Rebuild, Rebuilt
from llm_integration.csv_exporter.outcomes import OUTCOME_FILE, OutcomeRebuild
from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.record.command_reports import SessionInfo
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.outcomes import OutcomeStore

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Write llm_signals.csv, llm_strategy_results.csv and llm_outcomes.csv anew from PostgreSQL.

Use it when a file was deleted or damaged, or after "retry": a rating that came back later replaces the
old one. Each file is replaced in one step; a run that is writing to it meanwhile goes on in the new one.
Rows that the files have and PostgreSQL has not are kept at their end, unless you say --drop-others.

llm_signals.csv and llm_outcomes.csv come in the order of the signals' times, llm_strategy_results.csv
session by session in the order of the bars. A session that has bars to come ends before its first
unanswered signal, so that the run which goes on with it can fill it in; --include-unanswered writes such
bars as pending."""

T = TypeVar("T")
CHUNK = 200
LOCK_SECONDS = 10.0


@dataclass(slots=True)
class Exported:
    """How far one session's bars came. ``stopped_at``: the bar at which it ended unanswered."""

    session: SessionInfo
    bars: int = 0
    stopped_at: datetime | None = None
    stopped: set[str] = field(default_factory=set)


class _Thread:
    """Blocking work in a thread that is never left running: what it writes to is closed after it."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    async def do(self, work: Callable[..., T], *arguments: object) -> T:
        """The result of ``work``; when this is cancelled, only once ``work`` has ended."""
        task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._interrupted.set()
            await asyncio.wait({task})
            task.exception()  # it is InterruptedError, or the work was done
            raise

    def pause(self, seconds: float) -> None:
        """Stands for ``time.sleep`` within the work. Raises InterruptedError once it is to end."""
        if self._interrupted.wait(seconds):
            raise InterruptedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--session", metavar="ID", help="one session (default: the latest)")
    which.add_argument("--all", action="store_true", help="every session, and signals without one")
    add = parser.add_argument
    add("--symbol", metavar="S", help="only this symbol's signals and bars")
    add("--output", type=Path, metavar="DIR", help="folder (default: llm.csv_output_directory)")
    add("--drop-others", action="store_true", help="leave out rows that are not part of this export")
    add("--include-unanswered", action="store_true", help="write bars of unanswered signals as pending")
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    settings = load(args)
    directory = args.output or settings.llm.output_folder
    mark = settings.llm.csv_byte_order_mark
    async with open_database(settings) as database:
        known = await database.list_sessions()
        exported = [Exported(session) for session in _chosen(args, known)]
        try:
            rebuilt = await _rebuild(database, exported, directory, args, mark=mark)
            outcomes = await _rebuild_outcomes(database, exported, directory, args, mark=mark)
        except BlockingIOError:
            raise CommandError(
                f"{directory}: another process keeps a file locked for over {LOCK_SECONDS:g} s; try again"
            ) from None
        except OSError as error:
            raise CommandError(f"{directory}: {error.strerror or error}") from error
    _report(args, directory, exported, rebuilt, outcomes, others=len(known) - len(exported))
    return 0


def _chosen(args: argparse.Namespace, known: Sequence[SessionInfo]) -> list[SessionInfo]:
    if args.all:
        return list(known)
    if args.session is None:
        if not known:
            raise UsageError("there is no session in this database; signals without one come with --all")
        return [known[-1]]
    found = [session for session in known if session.session_id == args.session]
    if not found:
        raise UsageError(f"there is no session {args.session!r} in this database")
    return found


async def _rebuild(
    database: CommandDatabase,
    exported: Sequence[Exported],
    directory: Path,
    args: argparse.Namespace,
    *,
    mark: bool = False,
) -> Rebuilt:
    """New versions of both files, streamed from PostgreSQL, and put in place."""
    worker = _Thread()
    with ExitStack() as drafts:  # theirs also when this is interrupted while they are being opened
        files = await worker.do(
            lambda: drafts.enter_context(Rebuild(directory, byte_order_mark=mark, pause=worker.pause))
        )
        for session_id in [None] if args.all else [item.session.session_id for item in exported]:
            async with aclosing(database.iter_analyses(session_id, chunk=CHUNK)) as outcomes:
                async for batch in _batches(outcomes):
                    wanted = [pair for pair in batch if _wanted(pair[0], args)]
                    await worker.do(files.add_outcomes, wanted)
        for item in exported:
            await _add_bars(database, files, item, args, worker)
        return await worker.do(
            lambda: files.finish(keep_others=not args.drop_others, lock_timeout=LOCK_SECONDS)
        )


async def _rebuild_outcomes(
    database: CommandDatabase,
    exported: Sequence[Exported],
    directory: Path,
    args: argparse.Namespace,
    *,
    mark: bool,
) -> OutcomeRebuild:
    """What became of the signals, in a file that is made if there is anything to say."""
    worker, store = _Thread(), OutcomeStore(database.connections)
    with ExitStack() as drafts:
        file = await worker.do(
            lambda: drafts.enter_context(OutcomeRebuild(directory, byte_order_mark=mark, pause=worker.pause))
        )
        for session_id in [None] if args.all else [item.session.session_id for item in exported]:
            async with aclosing(store.ended(session_id, args.symbol)) as records:
                async for batch in _batches(records):
                    await worker.do(file.add, batch)
        await worker.do(lambda: file.finish(keep_others=not args.drop_others, lock_timeout=LOCK_SECONDS))
        return file


def _wanted(signal: Signal, args: argparse.Namespace) -> bool:
    return args.symbol is None or signal.symbol == args.symbol


async def _add_bars(
    database: CommandDatabase,
    files: Rebuild,
    item: Exported,
    args: argparse.Namespace,
    worker: _Thread,
) -> None:
    hold = item.session.resumable and not args.include_unanswered
    bars = database.iter_bars(item.session.session_id, args.symbol, chunk=CHUNK)
    async with aclosing(bars) as stream:
        async for batch in _batches(stream):
            rows: list[BarRow] = []
            late: list[tuple[Signal, LLMAnalysis]] = []
            for symbol, bar, signal, analysis in batch:
                if signal is not None and analysis is not None:
                    late.append((signal, analysis))  # it may have come since the outcomes were read
                elif signal is not None and hold and symbol not in item.stopped:
                    item.stopped.add(symbol)
                    item.stopped_at = bar.timestamp
                if symbol not in item.stopped:
                    rows.append((item.session.session_id, symbol, bar, signal))
            item.bars += len(rows)
            await worker.do(files.add_outcomes, late)
            await worker.do(files.add_bars, rows)


async def _batches(items: AsyncIterable[T]) -> AsyncIterator[list[T]]:
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) >= CHUNK:
            yield batch
            batch = []
    yield batch


def _report(
    args: argparse.Namespace,
    directory: Path,
    exported: Sequence[Exported],
    rebuilt: Rebuilt,
    outcomes: OutcomeRebuild,
    *,
    others: int,
) -> None:
    if args.json:
        json_line(
            {
                "directory": str(directory),
                "signal_rows": rebuilt.signal_rows,
                "bar_rows": rebuilt.bar_rows,
                "kept_signal_rows": rebuilt.kept_signal_rows,
                "kept_bar_rows": rebuilt.kept_bar_rows,
                "outcome_rows": outcomes.rows,
                "kept_outcome_rows": outcomes.kept,
                "sessions": [_as_json(item) for item in exported],
                "other_sessions": others,
            }
        )
        return
    show_table(
        f"exported to {directory}",
        ("session", "symbol", "mode", "status", "started", "bars"),
        [
            (i.session.session_id, i.session.symbol, i.session.mode, i.session.status, i.session.started_at,
             i.bars)
            for i in exported
        ],
    )  # fmt: skip
    kept = rebuilt.kept_signal_rows, rebuilt.kept_bar_rows
    say(f"llm_signals.csv: {rebuilt.signal_rows} rows from PostgreSQL, {kept[0]} others kept")
    say(f"llm_strategy_results.csv: {rebuilt.bar_rows} rows from PostgreSQL, {kept[1]} others kept")
    say(f"{OUTCOME_FILE}: {outcomes.rows} rows from PostgreSQL, {outcomes.kept} others kept")
    for item in exported:
        if item.stopped_at is not None:
            say(
                f"session {item.session.session_id} ends before the bar of {item.stopped_at.isoformat()}: its"
                " signal is unanswered; --include-unanswered writes on"
            )
    if others:
        say(f"{others} other sessions are in this database; --all exports them too")


def _as_json(item: Exported) -> dict[str, object]:
    return {
        "session_id": item.session.session_id,
        "symbol": item.session.symbol,
        "mode": item.session.mode,
        "status": item.session.status,
        "started_at": item.session.started_at,
        "bars": item.bars,
        "stopped_at": item.stopped_at,
    }
