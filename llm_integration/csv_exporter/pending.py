"""Rows of bars that had to be written before their signal was answered get the answer that came later.

A bar is written as pending when the feed ends, or too many bars wait behind it. Everything here blocks and
belongs in the thread of the files.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping

from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.index import BarKey
from llm_integration.csv_exporter.rewriting import rewrite
from llm_integration.csv_exporter.rows import PENDING, RESULT_COLUMNS

__all__ = ["MOST_PENDING", "PendingRows", "fill"]

MOST_PENDING = 100_000
"""Signals whose rows say pending and are known; of more than that, the oldest stay as they are."""
_END = PENDING.encode()
_ID_COLUMN = RESULT_COLUMNS.index("signal_id")


class PendingRows:
    """Which signals' rows say pending, by their id cells, and the endings that came for them since."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self.endings: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def see(self, row: str) -> None:
        """Take note of a row, in the file or on its way to it."""
        if row.rstrip("\n").endswith(PENDING.rstrip("\n")) and (cell := _id_cell(row)):
            self._ids[cell] = None
            if len(self._ids) > MOST_PENDING:
                del self._ids[next(iter(self._ids))]

    def resolve(self, cell: str, ending: str) -> None:
        """A signal has its outcome: its row is to end so, if there is one that says pending."""
        if cell in self._ids:
            self.endings[cell] = ending.encode()

    def filled(self, cells: set[str]) -> None:
        """These rows have their endings."""
        for cell in cells:
            self._ids.pop(cell, None)
            self.endings.pop(cell, None)


def fill(file: AppendFile[BarKey], endings: Mapping[str, bytes], pause: Callable[[], None]) -> set[str]:
    """Put ``endings`` into the rows of ``file`` that say pending; the id cells of those that were there.

    The file is replaced in one step, and only if there is something to fill in; every other row stays as it
    is, byte for byte. Raises BlockingIOError while another process holds the file, and OSError; nothing has
    changed then.
    """
    filled = set[str]()

    def better(_number: int, line: bytes) -> bytes:
        cell = _id_cell(line.decode("utf-8", "replace")) if line.endswith(_END) else None
        if cell is None or cell not in endings:
            return line
        filled.add(cell)
        return line.removesuffix(_END) + endings[cell]

    rewrite(file, better, pause)
    return filled


def _id_cell(row: str) -> str | None:
    """The signal's id as it stands in a row; None in one that is none of ours."""
    try:
        cells = next(csv.reader([row]), [])
    except csv.Error:
        return None
    return cells[_ID_COLUMN] if len(cells) == len(RESULT_COLUMNS) else None
