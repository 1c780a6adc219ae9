"""``llm_outcomes.csv``: what each signal came to, appended as signals end, or written anew from PostgreSQL.

A row a signal. The host's own word, and what was counted from the host's fill, takes the place of a row that
was told from bars before: the file is then replaced in one step, under its lock. Everything here blocks and
belongs in a thread.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from llm_integration.csv_exporter.escape import id_cell, number_cell, quoted, text_cell, time_cell
from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.index import IdSet, Row, cells_of
from llm_integration.csv_exporter.lane import Lane
from llm_integration.csv_exporter.rebuild import lines_of
from llm_integration.csv_exporter.rewriting import rewrite
from llm_integration.csv_exporter.summary import draft_of
from llm_integration.worth.outcome import HOST, Exit, OutcomeRecord
from llm_integration.worth.sessions import moment_of

__all__ = ["OUTCOME_COLUMNS", "OUTCOME_FILE", "OutcomeFile", "OutcomeIndex", "OutcomeRebuild", "outcome_row"]

OUTCOME_FILE: Final = "llm_outcomes.csv"
OUTCOME_COLUMNS: Final = (
    "signal_id", "exit", "reason", "entry_time", "entry_price", "exit_time", "exit_price", "bars_held",
    "r_gross", "r_net", "r_optimistic", "mfe", "mae", "ambiguous", "source", "resolver_version", "rules",
)  # fmt: skip
MOST_ROWS: Final = 20_000
"""Rows that wait for a file that cannot be written; further ones are left out and counted."""
_SOURCE = OUTCOME_COLUMNS.index("source")
_SLICE = 64
_PAUSE_SECONDS = 0.0005
_LOCK_RETRY_SECONDS = 0.02


def outcome_row(record: OutcomeRecord) -> str:
    """One row; the last cell is JSON, so that a whole row can be told from one that was cut."""
    one = record.outcome
    held = "" if one.source == HOST and not one.bars_held else str(one.bars_held)
    rules = json.dumps(dict(record.rules), sort_keys=True, separators=(",", ":"))
    numbers = map(number_cell, (one.r_gross, one.r_net, one.r_optimistic, one.mfe, one.mae))
    cells = (
        quoted(id_cell(one.signal_id)), one.exit.value, "" if one.reason is None else one.reason.value,
        _time(one.entry_at), number_cell(one.entry_price), _time(one.exit_at), number_cell(one.exit_price),
        held, *numbers, str(one.ambiguous).lower(), text_cell(one.source),
        quoted(text_cell(one.resolver_version)), '"' + text_cell(rules).replace('"', '""') + '"',
    )  # fmt: skip
    return ",".join(cells) + "\n"


def _time(at: int | None) -> str:
    return "" if at is None else time_cell(moment_of(at))


class OutcomeIndex:
    """Signal ids (as their cells) in ``llm_outcomes.csv``."""

    def __init__(self) -> None:
        self._ids = IdSet()

    def __contains__(self, key: str) -> bool:
        return key in self._ids

    def key_of(self, line: str) -> str | None:
        """The first cell of a line."""
        cells = cells_of(line)
        return cells[0] if len(cells) == len(OUTCOME_COLUMNS) else None

    def learn(self, line: str) -> None:
        """See Index."""
        if (key := self.key_of(line)) is not None:
            self._ids.add(key)

    def add(self, key: str) -> None:
        """See Index."""
        self._ids.add(key)

    def fresh(self, rows: Iterable[Row[str]]) -> list[Row[str]]:
        """See Index."""
        first: dict[str, Row[str]] = {}
        for row in rows:
            if row.key not in self._ids:
                first.setdefault(row.key, row)
        return list(first.values())

    def is_whole(self, line: str) -> bool:
        """See Index."""
        cells = cells_of(line, strict=True)
        try:
            return len(cells) == len(OUTCOME_COLUMNS) and isinstance(json.loads(cells[-1]), dict)
        except ValueError:
            return False

    def clear(self) -> None:
        """See Index."""
        self._ids = IdSet()


class OutcomeFile:
    """The file while signals end, and the rows on their way to it. Belongs to one thread; makes none."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], float],
        pause: Callable[[], None],
        byte_order_mark: bool = False,
    ) -> None:
        self._clock, self._pause = clock, pause
        self._index = OutcomeIndex()
        self._lane: Lane[str] = Lane(
            directory / OUTCOME_FILE, OUTCOME_COLUMNS, self._index, pause, byte_order_mark
        )
        self._corrections: dict[str, bytes] = {}
        self._opened = False
        self.left_out = 0

    @property
    def waiting(self) -> int:
        """Rows that are not in the file yet."""
        return len(self._lane.rows) + len(self._corrections)

    def next_try(self) -> float | None:
        """Seconds until a file that failed is tried again; None when nothing waits."""
        return max(0.0, self._lane.health.retry_at - self._clock()) if self.waiting else None

    def put(self, record: OutcomeRecord) -> None:
        """One signal's outcome; an open one only if it takes the place of another."""
        if self.waiting >= MOST_ROWS:
            self.left_out += 1
            return
        if not self._opened and self._lane.file.path.exists():  # a resumed run's
            self._lane.open(self._clock())
        self._opened = True
        key, data = id_cell(record.outcome.signal_id), outcome_row(record).encode()
        if record.corrects and (key in self._index or any(row.key == key for row in self._lane.rows)):
            self._corrections[key] = data
        elif record.outcome.exit is not Exit.OPEN:
            self._lane.put(Row(key, data))

    def write(self) -> None:
        """All that waits, as far as the file can be written now. Never raises OSError."""
        before = -1
        while self._lane.rows and before != len(self._lane.rows):
            before = len(self._lane.rows)
            self._lane.write(self._clock())
            self._pause()
        if self._corrections and not self._lane.rows and self._clock() >= self._lane.health.retry_at:
            self._correct()

    def sync(self) -> None:
        """Force the file to the disk."""
        self._lane.sync(self._clock())

    def close(self) -> None:
        """Let go of the file."""
        self._lane.file.close()

    def figures(self) -> dict[str, Any]:
        """Figures of the file since the start."""
        return {**self._lane.as_dict(), "rows_waiting": self.waiting, "rows_left_out": self.left_out}

    def _correct(self) -> None:
        """Rows that the file had already are replaced."""
        try:
            rewrite(
                self._lane.file,
                lambda number, line: _better(line, self._corrections) if number else line,
                self._pause,
            )
        except OSError as error:
            self._lane.health.failed(error, self._clock())
            return
        self._lane.health.worked(self._clock())
        self._corrections.clear()


def _better(line: bytes, better: Mapping[str, bytes]) -> bytes:
    """What is to stand in the place of a row: the host's own word stays."""
    cells = cells_of(line.decode("utf-8", "replace"))
    if len(cells) != len(OUTCOME_COLUMNS) or (new := better.get(cells[0])) is None:
        return line
    from_host = cells_of(new.decode())[_SOURCE] == HOST
    return new if from_host or cells[_SOURCE] != HOST else line


class OutcomeRebuild:
    """A new version of the file, filled piece by piece; left without ``finish`` nothing has changed."""

    def __init__(
        self,
        directory: str | Path,
        *,
        byte_order_mark: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._sleep = folder / OUTCOME_FILE, pause
        self._index = OutcomeIndex()
        self._draft = draft_of(self._path)
        self._out: BinaryIO = self._draft.open("wb")
        mark = "utf-8-sig" if byte_order_mark else "utf-8"
        self._out.write(",".join(OUTCOME_COLUMNS).encode(mark) + b"\n")
        self.rows = self.kept = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._out.close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)

    def add(self, records: Iterable[OutcomeRecord]) -> None:
        """Rows, each signal's once."""
        for number, record in enumerate(records):
            key = id_cell(record.outcome.signal_id)
            if key not in self._index:
                self._out.write(outcome_row(record).encode())
                self._index.add(key)
                self.rows += 1
            if number % _SLICE == 0:
                self._pause()

    def finish(self, *, keep_others: bool = True, lock_timeout: float = 10.0) -> None:
        """Put it in place, with the present file's rows of other signals. BlockingIOError while it is locked.

        Where there is neither a row nor a file none is made.
        """
        if not self.rows and not self._path.exists():
            return
        present = AppendFile(self._path, OUTCOME_COLUMNS, OutcomeIndex(), pause=self._pause)
        give_up_at = time.monotonic() + lock_timeout
        try:
            while True:
                try:
                    with present.locked() as fd:
                        self._put_in_place(fd, keep_others=keep_others)
                        return
                except BlockingIOError:
                    if time.monotonic() >= give_up_at:
                        raise
                    self._sleep(_LOCK_RETRY_SECONDS)
        finally:
            present.close()

    def _put_in_place(self, fd: int, *, keep_others: bool) -> None:
        for number, line in enumerate(lines_of(fd) if keep_others else ()):
            key = self._index.key_of(line.decode("utf-8", "replace")) if number else None
            if key is not None and key not in self._index:
                self._out.write(line)
                self._index.add(key)
                self.kept += 1
            if number % _SLICE == 0:
                self._pause()
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        self._draft.replace(self._path)

    def _pause(self) -> None:
        self._sleep(_PAUSE_SECONDS)
