"""Several sinks as one: each gets everything, and the fault of one costs the others nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.ports import Sink
from llm_integration.threads import in_thread

__all__ = ["LatestAnalyses", "SinkList"]

logger = logging.getLogger(__name__)

MOST_ANSWERS = 20_000


class SinkList:
    """Hands everything to each of ``sinks``, in their order."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self.errors: Counter[str] = Counter()
        """What sinks raised, by the name of their class."""

    def start(self) -> None:
        """See Sink."""
        self._each(lambda sink: sink.start(), "start")

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> None:
        """See Sink."""
        self._each(lambda sink: sink.record_bar(session_id, symbol, bar, signal), "take a bar")

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        """See Sink."""
        self._each(lambda sink: sink.write_analysis(signal, analysis), "take an analysis")

    async def close(self, timeout: float) -> None:
        """Close all of them side by side, each in a thread; those that take longer are left behind."""
        closing = {
            asyncio.create_task(in_thread(sink.close, timeout), name=type(sink).__name__)
            for sink in self._sinks
        }
        if not closing:
            return
        _, late = await asyncio.wait(closing, timeout=timeout + 0.5)
        for task in closing - late:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failed(task.get_name(), "close", error)
        for task in late:
            logger.warning("%s did not close within %.1f s and is left behind", task.get_name(), timeout)

    def _each(self, what: Callable[[Sink], object], doing: str) -> None:
        for sink in self._sinks:
            try:
                what(sink)
            except Exception as error:
                self._failed(type(sink).__name__, doing, error)

    def _failed(self, name: str, doing: str, error: BaseException) -> None:
        self.errors[name] += 1
        if self.errors[name] == 1:
            logger.error(
                "%s could not %s (%s); further faults of it are only counted", name, doing,
                type(error).__name__, exc_info=error,
            )  # fmt: skip


class LatestAnalyses:
    """A sink that remembers how the last signals ended. One thread writes, any may read."""

    def __init__(self, told: Callable[[LLMAnalysis], None] = lambda _analysis: None) -> None:
        self._known: OrderedDict[str, LLMAnalysis] = OrderedDict()
        self._told = told

    def get(self, signal_id: str) -> LLMAnalysis | None:
        """How the signal ended; None while it has not, or when it was too long ago."""
        return self._known.get(signal_id)

    def start(self) -> None:
        """See Sink."""

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> None:
        """See Sink."""

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        """See Sink."""
        self._known[signal.signal_id] = analysis
        if len(self._known) > MOST_ANSWERS:
            self._known.popitem(last=False)
        self._told(analysis)

    def close(self, timeout: float = 10.0) -> None:
        """See Sink."""
