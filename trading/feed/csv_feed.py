"""CsvFeed: the bars of a CSV file, at a chosen speed, and those that are added to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from llm_integration import Bar
from llm_integration.bar_files import BarFile, BarTable, open_bars
from trading.feed.pace import InThread, bars

__all__ = ["CsvFeed"]


class CsvFeed:
    """A feed as ``llm_integration.ports.Feed`` describes it.

    ``speed`` is in bars per second, 0 for no waiting; with ``follow`` the feed goes on while the file grows,
    looking every ``poll_seconds``. ``zone`` and ``symbol`` are those of ``open_bars``; ``in_thread`` is
    replaced by a host that goes on where no thread can be started.
    """

    def __init__(
        self,
        path: Path,
        *,
        speed: float = 0.0,
        follow: bool = False,
        poll_seconds: float = 0.25,
        zone: str = "UTC",
        symbol: str | None = None,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._path, self._zone, self._symbol = path, zone, symbol
        self._speed, self._follow, self._poll_seconds = speed, follow, poll_seconds
        self._in_thread = in_thread
        self._file: BarFile | None = None

    @property
    def source(self) -> str:
        """The file, with its whole path."""
        return str(self._path.resolve())

    @property
    def described(self) -> str:
        """How the file is read, in one line."""
        return self._opened().reader.described

    @property
    def table(self) -> BarTable:
        """The bars that the file had when it was opened."""
        return self._opened().bars

    async def open(self) -> int | None:
        """Read and check the file; how many bars it has, None if it may grow. Raises BarDataError."""
        self._file = await self._in_thread(
            open_bars, self._path, follow=self._follow, zone=self._zone, symbol=self._symbol
        )
        return None if self._follow else len(self.table)

    async def bars(self, known_until: datetime | None = None) -> AsyncIterator[Bar]:
        """Bars up to ``known_until`` at once, the others at their speed. See Feed."""
        opened = self._opened()
        known = 0 if known_until is None else opened.bars.count_until(known_until)
        for index in range(known):
            yield opened.bars[index]
        async for bar in bars(
            opened,
            start=known,
            speed=self._speed,
            follow=self._follow,
            poll_seconds=self._poll_seconds,
            in_thread=self._in_thread,
        ):
            yield bar

    def _opened(self) -> BarFile:
        if self._file is None:
            raise RuntimeError("open() comes before the first bar")
        return self._file
