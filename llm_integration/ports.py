"""The seams between the sidecar and what a host may replace, as Protocols: any object of the shape will do.

Each has a suite in ``tests/contracts`` that every implementation can be run against.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from llm_integration.domain import Bar, LLMAnalysis, Signal

__all__ = ["Feed", "Sink"]


class Sink(Protocol):
    """Where bars and finished analyses go; ``LLMCSVExporter`` is one.

    Every call comes in the thread of the sidecar's event loop or of the host, returns at once, and keeps
    blocking work for a thread of its own. What it raises is logged, counted and costs nobody else anything.
    """

    def start(self) -> None:
        """Get ready; called again it does nothing."""
        ...

    def record_bar(
        self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None
    ) -> object:
        """One closed bar, in bar order within its session and symbol, with the signal that it brought."""
        ...

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> object:
        """How one signal ended; each signal once."""
        ...

    def close(self, timeout: float = 10.0) -> object:
        """Write what waits and let go, within ``timeout`` seconds. Called in a thread; it may block."""
        ...


class Feed(Protocol):
    """Where the closed bars of one instrument come from, one after the other; ``CsvFeed`` is one.

    ``open`` is awaited once, then ``bars`` is read once. Nothing here may block the event loop.
    """

    @property
    def source(self) -> str:
        """What the bars come from; noted with the session, which goes on with the same source alone."""
        ...

    async def open(self) -> int | None:
        """Get ready; how many bars there will be, None when nobody can say.

        Raises BarDataError, one line long, for what cannot be traded.
        """
        ...

    def bars(self, known_until: datetime | None = None) -> AsyncIterator[Bar]:
        """The closed bars, each later than the one before, as long as there are any to come.

        Of a run that goes on ``known_until`` is the time of the last bar that was traded. A feed that has
        bars up to it hands them out again, from its first and at once, so that strategies warm up; another
        one begins behind it. The reader may stop at any bar, or in the wait for one: an async generator is
        cancelled and closed then.
        """
        ...
