"""Rows of bars that had to be written before their signal was answered get the answer that came later.

Everything here blocks and belongs in a thread.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from llm_integration.csv_exporter.escape import text_cell
from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.index import BarIndex, BarKey
from llm_integration.csv_exporter.rebuild import lines_of
from llm_integration.csv_exporter.rows import (
    PENDING,
    RESULT_COLUMNS,
    RESULT_FILE,
    answer_cells,
    outcome_cells,
)
from llm_integration.csv_exporter.summary import draft_of
from llm_integration.domain import LLMAnalysis, Signal

__all__ = ["fill_pending"]

_PENDING_END = PENDING.encode()
_ID_COLUMN = RESULT_COLUMNS.index("signal_id")
_LOCK_RETRY_SECONDS = 0.02
_SLICE = 256
_PAUSE_SECONDS = 0.0005


def fill_pending(
    directory: str | Path,
    outcomes: Iterable[tuple[Signal, LLMAnalysis]],
    *,
    lock_timeout: float = 10.0,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Put ``outcomes`` into the rows of ``llm_strategy_results.csv`` that say pending; how many there were.

    The file is replaced in one step, and only if there is something to fill in; every other row stays as it
    is, byte for byte. Raises BlockingIOError when another process keeps the file locked for ``lock_timeout``
    seconds, and OSError; nothing has changed then.
    """
    endings = {
        text_cell(signal.signal_id): outcome_cells(analysis, answer_cells(analysis)).encode()
        for signal, analysis in outcomes
        if analysis.status.final
    }
    path = Path(directory) / RESULT_FILE
    if not endings or not _has_pending(path, endings):
        return 0
    file = AppendFile(path, RESULT_COLUMNS, BarIndex(), pause=lambda: pause(_PAUSE_SECONDS))
    draft = draft_of(path)
    try:
        with ExitStack() as stack:
            fd = _locked(stack, file, lock_timeout, pause)
            with draft.open("wb") as out:
                filled = _copy(fd, out, endings, pause)
                out.flush()
                os.fsync(out.fileno())
            draft.chmod(path.stat().st_mode & 0o777)
            draft.replace(path)
            return filled
    finally:
        file.close()
        draft.unlink(missing_ok=True)


def _has_pending(path: Path, endings: Mapping[str, bytes]) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return any(_filled(line, endings) is not None for line in lines_of(fd))
    finally:
        os.close(fd)


def _locked(
    stack: ExitStack, file: AppendFile[BarKey], lock_timeout: float, pause: Callable[[float], None]
) -> int:
    give_up_at = time.monotonic() + lock_timeout
    while True:
        try:
            return stack.enter_context(file.locked())
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise
            pause(_LOCK_RETRY_SECONDS)


def _copy(fd: int, out: BinaryIO, endings: Mapping[str, bytes], pause: Callable[[float], None]) -> int:
    filled = 0
    for number, line in enumerate(lines_of(fd)):
        better = _filled(line, endings)
        filled += better is not None
        out.write(line if better is None else better)
        if number % _SLICE == 0:
            pause(_PAUSE_SECONDS)
    return filled


def _filled(line: bytes, endings: Mapping[str, bytes]) -> bytes | None:
    """The row with its answer; None for a row that waits for none of these."""
    if not line.endswith(_PENDING_END):
        return None
    cells = next(csv.reader([line.decode("utf-8", "replace")]), [])
    ending = endings.get(cells[_ID_COLUMN]) if len(cells) == len(RESULT_COLUMNS) else None
    return None if ending is None else line.removesuffix(_PENDING_END) + ending
