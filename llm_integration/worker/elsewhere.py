"""Signals of this host that another worker answers: its answers are handed on here as well."""

from __future__ import annotations

import logging

from llm_integration.one_line import one_line
from llm_integration.worker.delivering import Delivering
from llm_integration.worker.shared import Shared
from llm_integration.worker.tally import Tally

__all__ = ["Elsewhere"]

logger = logging.getLogger(__name__)

ANSWERS_AT_ONCE = 25
"""Other workers' answers that are asked for with one statement."""


class Elsewhere:
    """Looks for what other workers have made of the signals that the book awaits from them.

    A worker takes over what a dead one held, and the host that starts again finds the signals once more: its
    callbacks and files get the answers from PostgreSQL, each once.
    """

    def __init__(self, shared: Shared, delivering: Delivering, tally: Tally) -> None:
        self._shared = shared
        self._delivering = delivering
        self._tally = tally
        self._told_given_up = False

    async def look(self) -> None:
        """Hand on what has come to its end since the last look."""
        book, database, availability = self._shared.book, self._shared.database, self._shared.availability
        if book.given_up_elsewhere and not self._told_given_up:
            self._told_given_up = True
            logger.warning("too many signals wait for answers of other workers; an export has the oldest")
        names = book.awaited_elsewhere
        for start in range(0, len(names), ANSWERS_AT_ONCE):
            if database is None or not availability.worth_asking:
                return
            try:
                found = await database.finished_analyses(names[start : start + ANSWERS_AT_ONCE])
            except Exception as error:
                availability.failed(error)
                return
            availability.over()
            for analysis in found:
                signal = book.answered_elsewhere(analysis.signal_id)
                if signal is not None:
                    logger.info("signal %s: answered by another worker", one_line(signal.signal_id))
                    self._tally.show(analysis)
                    self._delivering.hand_to_host(signal, analysis)
