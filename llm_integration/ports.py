"""The seams between the sidecar and what a host may replace, as Protocols: any object of the shape will do.

Each has a suite in ``tests/contracts`` that every implementation can be run against.
"""

from __future__ import annotations

from typing import Protocol

from llm_integration.domain import Bar, LLMAnalysis, Signal

__all__ = ["Sink"]


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
