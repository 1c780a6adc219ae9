"""Reads CSV files of bars in bounded pieces, complete ones and ones that are still growing.

Everything here blocks on the disk: call it from a thread, not from the event loop.
"""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from trading.errors import BarDataError
from trading.feed.parse import Columns, parse_row
from trading.feed.table import BarTable
from trading.text import clean

__all__ = ["LIVE_BYTES", "LOAD_BYTES", "BarFile", "BarReader", "open_bars", "read_bars"]

logger = logging.getLogger(__name__)

LOAD_BYTES = 1 << 20
LIVE_BYTES = 1 << 14
"""Read at once while trading: about 250 bars, a millisecond of the interpreter's lock."""
MAX_LINE_BYTES = 1 << 16
TAIL_BYTES = 256
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class BarReader:
    """Position in one file. ``growing`` leaves a last line without a line break for later.

    Between two pieces the file is closed; the next one is read only if the file is still the same, is not
    shorter, and still holds the bytes that were read last. Not for several threads at once.
    """

    def __init__(self, path: str | os.PathLike[str], *, growing: bool = False) -> None:
        self._path = Path(path)
        self._growing = growing
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._tail = b""
        self._rest = b""
        self._line = 0
        self._columns: Columns | None = None
        self._last_time: int | None = None

    @property
    def growing(self) -> bool:
        """Whether more lines are expected."""
        return self._growing

    def read_into(self, table: BarTable, limit: int = LOAD_BYTES) -> bool:
        """Append the bars of the next ``limit`` bytes to ``table``; False when all there is was read.

        Raises BarDataError for the first line that is not a bar, and for a file that cannot be read or
        was replaced, shortened or rewritten since the last call.
        """
        piece = self._next_piece(limit)
        finished = len(piece) < limit
        self._take(piece, table, last=finished and not self._growing)
        return not finished

    def check_complete(self, table: BarTable) -> None:
        """Raise BarDataError if a file that will not grow has given no bar."""
        if not table and not self._growing:
            below = "no bar below the header" if self._columns else "the file is empty"
            raise self._problem(below)

    def _next_piece(self, limit: int) -> bytes:
        try:
            with FileIO(self._path, opener=_without_waiting) as file:
                self._check_same(file)
                file.seek(self._offset - len(self._tail))
                found = _read_fully(file, len(self._tail) + limit)
        except OSError as error:
            raise self._problem(f"cannot be read: {error.strerror or error}") from error
        if not found.startswith(self._tail):
            raise self._problem("was rewritten while it was being followed; start again on the new file")
        piece = found[len(self._tail) :]
        self._offset += len(piece)
        self._tail = found[-TAIL_BYTES:]
        return piece

    def _check_same(self, file: FileIO) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise self._problem("is not a regular file")
        identity = (status.st_dev, status.st_ino)
        if self._identity not in (None, identity):
            raise self._problem("was replaced by another file while it was being followed; start again")
        if status.st_size < self._offset:
            raise self._problem("became shorter while it was being followed; start again on the new file")
        self._identity = identity

    def _take(self, piece: bytes, table: BarTable, *, last: bool) -> None:
        data = self._rest + piece
        if self._line == 0 and data.startswith(UTF16_MARKS):
            raise self._problem("is UTF-16; save it as UTF-8")
        end = len(data) if last else data.rfind(b"\n") + 1
        self._rest = data[end:]
        if len(self._rest) > MAX_LINE_BYTES:
            raise self._problem(f"longer than {MAX_LINE_BYTES} bytes", self._line + 1)
        lines = self._decoded(data[:end]).split("\n")
        if lines[-1] == "":
            lines.pop()
        for line in lines:
            self._line += 1
            self._take_line(line, table)

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode("utf-8-sig" if self._line == 0 else "utf-8")
        except UnicodeDecodeError as error:
            line = self._line + 1 + data.count(b"\n", 0, error.start)
            raise self._problem("not UTF-8 text", line) from None

    def _take_line(self, line: str, table: BarTable) -> None:
        line = line.removesuffix("\r")
        if not line or line.isspace():
            return
        try:
            if self._columns is None:
                self._columns = Columns.from_header(line)
                return
            moment, values = parse_row(line, self._columns)
            self._check_order(moment)
        except ValueError as error:
            raise self._problem(str(error), self._line) from None
        table.add(moment, values)

    def _check_order(self, moment: int) -> None:
        before, self._last_time = self._last_time, moment
        if before is None or moment > before:
            return
        if moment == before:
            raise ValueError("the same time as the bar before")
        raise ValueError("earlier than the bar before; bars must be in order of time")

    def _problem(self, text: str, line: int | None = None) -> BarDataError:
        place = clean(self._path) if line is None else f"{clean(self._path)}:{line}"
        return BarDataError(f"{place}: {text}")


def _without_waiting(path: str, flags: int) -> int:
    """Opening a named pipe would wait for a writer; this way it is opened, seen and refused."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read_fully(file: FileIO, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class BarFile:
    """A file that was read to its end and checked: its bars so far, and the place to read on from."""

    bars: BarTable
    reader: BarReader


def open_bars(path: str | os.PathLike[str], *, follow: bool = False) -> BarFile:
    """Read and check the whole of ``path``; with ``follow`` a last line without a line break is left alone.

    Raises BarDataError, one line with file and line number, for anything that is not a sound bar: missing
    columns or numbers, times out of order or twice, high below low, open or close outside of them. An
    empty file is an error too, unless it may still grow.
    """
    reader, table = BarReader(path, growing=follow), BarTable()
    while reader.read_into(table):
        pass
    reader.check_complete(table)
    logger.debug("read %d bars", len(table))
    return BarFile(table, reader)


def read_bars(path: str | os.PathLike[str]) -> BarTable:
    """Every bar of ``path``, in time order; raises BarDataError as ``open_bars`` does."""
    return open_bars(path).bars
