"""One CSV file, the rows that wait for it, and how it is doing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.health import Health
from llm_integration.csv_exporter.index import Index, Row

__all__ = ["BATCH", "Lane"]

K = TypeVar("K", bound=Hashable)
BATCH = 256
"""Most rows of one write."""
BATCH_BYTES = 500_000


class Lane(Generic[K]):
    """Rows go in by ``put`` and, batch by batch, into the file by ``write``. Belongs to one thread."""

    def __init__(
        self,
        path: Path,
        columns: tuple[str, ...],
        index: Index[K],
        pause: Callable[[], None],
        byte_order_mark: bool = False,
    ) -> None:
        self.file = AppendFile(path, columns, index, pause=pause, byte_order_mark=byte_order_mark)
        self.rows: deque[Row[K]] = deque()
        self.health = Health(str(path))
        self.written = 0
        self.repeated = 0

    def put(self, row: Row[K]) -> None:
        """Queue a row."""
        self.rows.append(row)

    def open(self, now: float) -> None:
        """Learn what the file holds, so that a repeated bar is recognised before it is held back."""
        try:
            self.file.open()
        except OSError as error:
            self.health.failed(error, now)
        else:
            self.health.worked(now)

    def write(self, now: float) -> None:
        """One batch, if there is any and the file is not known to fail just now."""
        if not self.rows or now < self.health.retry_at:
            return
        result = self.file.append(self._batch())
        for _ in range(result.settled):
            self.rows.popleft()
        self.written += result.written
        self.repeated += result.settled - result.written
        if result.error is None:
            self.health.worked(now)
        else:
            self.health.failed(result.error, now)

    def sync(self, now: float) -> None:
        """Force the file to the disk."""
        try:
            self.file.sync()
        except OSError as error:
            self.health.failed(error, now)

    def as_dict(self) -> dict[str, Any]:
        """Figures of this file since the start."""
        return {
            "rows_written": self.written,
            "rows_already_there": self.repeated,
            "rows_waiting": len(self.rows),
            "torn_lines_repaired": self.file.repaired,
            "errors": self.health.errors,
            "failing": self.health.cause,
        }

    def _batch(self) -> list[Row[K]]:
        batch: list[Row[K]] = []
        size = 0
        for row in islice(self.rows, BATCH):
            size += len(row.data)
            if batch and size > BATCH_BYTES:
                break
            batch.append(row)
        return batch
