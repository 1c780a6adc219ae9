"""Reads CSV files of bars in bounded pieces, complete ones and ones that are still growing.

Everything here blocks on the disk: call it from a thread, not from the event loop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from llm_integration.bar_files.decoding import Decoder
from llm_integration.bar_files.file_pieces import FilePieces, problem_of, shown
from llm_integration.bar_files.layout import Columns, Layout, cells_of, columns_of, further_header, judge
from llm_integration.bar_files.rows import parse_row
from llm_integration.bar_files.table import BarTable
from llm_integration.errors import BarDataError
from llm_integration.times import TimeRules, shown_cell, zone_named

__all__ = ["LIVE_BYTES", "LOAD_BYTES", "BarFile", "BarReader", "open_bars", "read_bars"]

logger = logging.getLogger(__name__)

LOAD_BYTES = 1 << 20
LIVE_BYTES = 1 << 13
"""Read at once while trading: about 125 bars, a millisecond of the interpreter's lock."""
MAX_LINE_BYTES = 1 << 16
SAMPLED_LINES = 500
"""Lines that usually show how a file is written."""
MOST_UNDECIDED = 200_000
"""Lines that may wait for one that does."""
MOST_NAMED = 5


class BarReader:
    """Position in one file. ``growing`` leaves a last line without a line break for later.

    Between two pieces the file is closed; the next one is read only if the file is still the same, is not
    shorter, and still holds the bytes that were read last. Not for several threads at once.

    ``zone`` is that of times that name none. Of a file with several instruments only the bars of ``symbol``
    are read. ``clock`` gives the time (aware): none that lies more than a day after it is believed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        growing: bool = False,
        zone: str = "UTC",
        symbol: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = Path(path)
        self._pieces = FilePieces(self._path)
        self._growing = growing
        self._zone = zone_named(zone)
        self._zone_name = zone
        self._symbol = symbol
        self._chosen_symbol = symbol is not None
        self._clock = clock
        self._live = False
        self._decoder = Decoder()
        self._rest = ""
        self._line = 0
        self._delimiter = ""
        self._columns: Columns | None = None
        self._head: list[tuple[int, str]] = []
        """Lines that wait for the layout, which they decide."""
        self._layout: Layout | None = None
        self._last_time: int | None = None
        self._others: dict[str, None] = {}
        self._empty = 0
        self._told_undecided = False

    @property
    def growing(self) -> bool:
        """Whether more lines are expected."""
        return self._growing

    @property
    def described(self) -> str:
        """How the file is read, in one line; says so while nothing is known yet."""
        name = shown(self._path)
        if self._layout is None:
            return f"{name}: no bar yet that shows how it is written"
        skipped = f"; {self._empty} lines without prices left out" if self._empty else ""
        if self._others:
            skipped += f"; bars of {', '.join(self._others)} left out"
        return f"{name}: {self._decoder.encoding}; {self._layout.described(self._zone_name)}{skipped}"

    def read_into(self, table: BarTable, limit: int = LOAD_BYTES) -> bool:
        """Append the bars of the next ``limit`` bytes to ``table``; False when all there is was read.

        Raises BarDataError for the first line that is not a bar, and for a file that cannot be read or
        was replaced, shortened or rewritten since the last call. After ``check_complete`` a line of a
        growing file that is not a bar is left out with a warning.
        """
        piece = self._pieces.next(limit)
        finished = len(piece) < limit
        self._take(piece, table, last=finished and not self._growing)
        return not finished

    def check_complete(self, table: BarTable) -> None:
        """Raise BarDataError if a file that will not grow has given no bar, or one that does none of the
        symbol's; what is added from now on is live."""
        self._live = self._growing
        if table:
            return
        if self._others:
            raise self._problem(
                f"has no bar of {shown_cell(self._symbol)}, only of {', '.join(self._others)};"
                " name the symbol as the file has it"
            )
        if not self._growing:
            raise self._problem("no bar below the header" if self._columns else "the file is empty")

    def _take(self, piece: bytes, table: BarTable, *, last: bool) -> None:
        text = self._rest + self._decoded(piece, last=last)
        if not self._line:
            text = text.removeprefix("\ufeff")
        *lines, self._rest = text.split("\n")
        if last and self._rest:
            lines.append(self._rest)
            self._rest = ""
        if len(self._rest) > MAX_LINE_BYTES:
            self._too_long()
        if self._layout is not None:
            self._layout.times.choose(self._layout.form, self._rules())  # the clock has moved on
        for line in lines:
            self._line += 1
            self._take_line(line.removesuffix("\r"), table)
        if self._head:
            self._settle(table, final=last or len(self._head) > MOST_UNDECIDED)

    def _too_long(self) -> None:
        problem = self._problem(f"longer than {MAX_LINE_BYTES} bytes", self._line + 1)
        if not self._live:
            raise problem
        logger.warning("%s; its beginning is left out", problem)
        self._rest = ""

    def _decoded(self, piece: bytes, *, last: bool) -> str:
        try:
            return self._decoder.text(piece, last=last, lenient=self._live)
        except UnicodeDecodeError as error:
            line = self._line + 1 + bytes(error.object).count(b"\n", 0, error.start)
            raise self._problem(f"not {self._decoder.encoding} text", line) from None

    def _rules(self) -> TimeRules:
        by_name = self._columns is not None and self._columns.utc
        return TimeRules.at(self._clock(), UTC if by_name else self._zone)

    def _take_line(self, line: str, table: BarTable) -> None:
        if not line or line.isspace():
            return
        if self._layout is not None:
            self._take_row(self._line, line, table, self._layout)
            return
        try:
            if self._columns is None:
                self._take_header(line)
                return
            if self._columns.more_headers and self._further(self._columns, line):
                return
        except ValueError as error:
            raise self._problem(str(error), self._line) from None
        self._head.append((self._line, line))

    def _take_header(self, line: str) -> None:
        if line.casefold().startswith("sep=") and len(line) == 5:  # a word to Excel
            self._delimiter = line[4]
            return
        if line.startswith(("#", "http://", "https://")):  # a comment, or where a file was downloaded
            return
        self._columns = columns_of(line, self._rules(), self._delimiter)
        if not self._columns.names:
            self._head.append((self._line, line))

    def _further(self, columns: Columns, line: str) -> bool:
        further = further_header(columns, cells_of(line, columns.delimiter), self._symbol)
        self._columns = further or replace(columns, more_headers=False)
        return further is not None

    def _settle(self, table: BarTable, *, final: bool) -> None:
        """Find the layout and read what waited for it; a few lines decide, or the rest."""
        assert self._columns is not None  # noqa: S101  lines wait only behind it
        rows = [cells for _, line in self._head[:SAMPLED_LINES] if (cells := self._sample(line)) is not None]
        if not rows and not final:
            return
        layout = None
        try:
            layout = judge(
                self._columns, rows, self._rules(), final=final and len(self._head) <= SAMPLED_LINES
            )
            if layout is None and len(self._head) > SAMPLED_LINES:
                rows = [cells for _, line in self._head if (cells := self._sample(line)) is not None]
                layout = judge(self._columns, rows, self._rules(), final=final)
        except ValueError as error:
            raise self._problem(str(error), self._head[0][0]) from None
        if layout is None:
            self._tell_undecided()
            return
        self._layout = layout
        if self._live:
            logger.info("bars: %s", self.described)
        waiting, self._head = self._head, []
        for number, line in waiting:
            self._take_row(number, line, table, layout)

    def _sample(self, line: str) -> list[str] | None:
        """The fields of a line that can help to tell the layout."""
        assert self._columns is not None  # noqa: S101  lines wait only behind it
        try:
            cells = cells_of(line, self._columns.delimiter)
        except ValueError:
            return None  # said when the line is read
        return cells if len(cells) >= self._columns.count else None

    def _tell_undecided(self) -> None:
        if self._growing and not self._told_undecided:
            self._told_undecided = True
            logger.warning(
                "%s: its bars wait until one shows whether the day or the month stands first, and what the"
                " comma means",
                shown(self._path),
            )

    def _take_row(self, number: int, line: str, table: BarTable, layout: Layout) -> None:
        try:
            if layout.columns.symbol is not None and not self._is_mine(line, layout.columns):
                return
            row = parse_row(line, layout)
            if row is None:
                self._empty += 1
                return
            self._check_order(row[0])
        except ValueError as error:
            problem = self._problem(str(error), number)
            if not self._live:
                raise problem from None
            logger.warning("%s; the bar is left out", problem)
            return
        table.add(*row)

    def _is_mine(self, line: str, columns: Columns) -> bool:
        """Whether a row is of the wanted instrument; without one, all must be of the same."""
        cells = cells_of(line, columns.delimiter)
        given = cells[columns.symbol or 0].strip() if len(cells) > (columns.symbol or 0) else ""
        if self._symbol is None:
            self._symbol = given
        elif _folded(given) != _folded(self._symbol):
            if not self._chosen_symbol:
                raise ValueError(
                    f"a bar of {shown_cell(given)} among those of {shown_cell(self._symbol)};"
                    " name one of them as the symbol"
                )
            if len(self._others) < MOST_NAMED:
                self._others[shown_cell(given)] = None
            return False
        return True

    def _check_order(self, moment: int) -> None:
        before = self._last_time
        if before is None or moment > before:
            self._last_time = moment
            return
        if moment == before:
            raise ValueError("the same time as the bar before")
        raise ValueError("earlier than the bar before; bars must be in order of time")

    def _problem(self, text: str, line: int | None = None) -> BarDataError:
        return problem_of(self._path, text, line)


def _folded(symbol: str) -> str:
    return "".join(symbol.split()).casefold()


@dataclass(frozen=True, slots=True)
class BarFile:
    """A file that was read to its end and checked: its bars so far, and the place to read on from."""

    bars: BarTable
    reader: BarReader


def open_bars(
    path: str | os.PathLike[str],
    *,
    follow: bool = False,
    zone: str = "UTC",
    symbol: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> BarFile:
    """Read and check the whole of ``path``; with ``follow`` a last line without a line break is left alone.

    ``zone``, ``symbol`` and ``clock`` as in BarReader. Raises BarDataError, one line with file and line
    number, for anything that is not a sound bar: missing columns or numbers, times out of order, twice, or
    readable in two ways, high below low, open or close outside of them by more than rounding. An empty file
    is an error too, unless it may still grow.
    """
    reader = BarReader(path, growing=follow, zone=zone, symbol=symbol, clock=clock)
    table = BarTable()
    while reader.read_into(table):
        pass
    reader.check_complete(table)
    logger.debug("read %d bars", len(table))
    return BarFile(table, reader)


def read_bars(path: str | os.PathLike[str], *, zone: str = "UTC", symbol: str | None = None) -> BarTable:
    """Every bar of ``path``, in time order; raises BarDataError as ``open_bars`` does."""
    return open_bars(path, zone=zone, symbol=symbol).bars
