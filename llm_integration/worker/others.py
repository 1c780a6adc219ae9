"""Signals of this host that another worker answers: its answers are handed on here as well."""

from __future__ import annotations

import logging
from collections.abc import Callable

from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.worker.jobs import one_line
from llm_integration.worker.outage import Outage
from llm_integration.worker.ports import TaskDatabase

__all__ = ["Others"]

logger = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Beyond that many the oldest are given up: their answers are in PostgreSQL, and not in this host's files."""
AT_ONCE = 25


class Others:
    """Waits for what other workers make of signals that were handed to this one.

    A worker takes over what a dead one held, and the host that starts again finds the signals once more. Its
    callbacks and files get the answers from PostgreSQL by ``deliver``, each once.
    """

    def __init__(
        self,
        database: TaskDatabase | None,
        outage: Outage,
        deliver: Callable[[Signal, LLMAnalysis], None],
    ) -> None:
        self._database = database
        self._outage = outage
        self._deliver = deliver
        self._waiting: dict[str, Signal] = {}
        self._given_up = False

    @property
    def waiting(self) -> int:
        """Signals whose answers are still to come from elsewhere."""
        return len(self._waiting)

    def wait_for(self, signal: Signal) -> None:
        """Another worker holds this signal's task, or has ended it."""
        if self._database is None:
            return
        self._waiting[signal.signal_id] = signal
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            if not self._given_up:
                self._given_up = True
                logger.warning(
                    "more than %d signals wait for answers of other workers; an export has the oldest",
                    MOST_WAITING,
                )  # fmt: skip

    async def look(self) -> None:
        """Hand on what has come to its end since the last look."""
        names = list(self._waiting)
        for start in range(0, len(names), AT_ONCE):
            if self._database is None or not self._outage.worth_asking:
                return
            try:
                found = await self._database.finished_analyses(names[start : start + AT_ONCE])
            except Exception as error:
                self._outage.failed(error)
                return
            self._outage.over()
            for analysis in found:
                signal = self._waiting.pop(analysis.signal_id, None)
                if signal is not None:
                    logger.info("signal %s: answered by another worker", one_line(signal.signal_id))
                    self._deliver(signal, analysis)
