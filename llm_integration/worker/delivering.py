"""Answers on their way to the host: its files and callbacks, in order, each once, in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.fairness import HANDED_ON_AT_ONCE
from llm_integration.worker.answers import Answer
from llm_integration.worker.ports import AnalysisSink
from llm_integration.worker.shared import Shared
from llm_integration.worker.text import log_line

__all__ = ["Delivering"]

logger = logging.getLogger(__name__)


class Delivering:
    """Hands answers on in the order in which they were read, to ``sink`` and to ``callbacks``.

    An answer waits until PostgreSQL has said that it is ours, and no longer than a moment: the host's loop
    decides with what it has, and an answer that is late is worth less than one that the database may refuse
    afterwards. After ``close`` nobody runs this any more, and ``look`` hands on at once.
    """

    def __init__(
        self, shared: Shared, sink: AnalysisSink | None, callbacks: Callable[[LLMAnalysis], None]
    ) -> None:
        self._answers = shared.book.answers
        self._clock, self._turn = shared.clock, shared.turn
        self._sink = sink
        self._callbacks = callbacks
        self._news = asyncio.Event()
        self._moved = asyncio.Event()
        self._closed = False
        self.sink_errors = 0

    def look(self) -> None:
        """There are new answers, or PostgreSQL has spoken."""
        if self._closed:
            self._hand_on_all()
        else:
            self._news.set()

    async def wait_until_empty(self) -> None:
        """Return once the host has everything there is so far."""
        while self._answers.undelivered:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Hand on what is due, for ever."""
        while True:
            self._news.clear()
            for _ in range(HANDED_ON_AT_ONCE):
                answer = self._answers.next_for_host(self._clock())
                if answer is None:
                    await self._wait()
                    break
                self._hand_on(answer)
            else:
                await self._turn()

    async def _wait(self) -> None:
        self._moved.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._answers.waits_for_host(self._clock())):
                await self._news.wait()

    def close(self) -> None:
        """Hand on everything now, and whatever comes later as it comes."""
        self._closed = True
        self._hand_on_all()

    def _hand_on_all(self) -> None:
        self._answers.hurry()
        while (answer := self._answers.next_for_host(self._clock())) is not None:
            try:
                self._hand_on(answer)
            except Exception:  # one that cannot be handed on must not keep the others back
                logger.exception("a result could not be handed on to files or callbacks")
        self._moved.set()

    def _hand_on(self, answer: Answer) -> None:
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s", log_line(answer.analysis))
        if not answer.task.adopted:
            self.hand_to_host(answer.task.signal, answer.analysis)

    def hand_to_host(self, signal: Signal, analysis: LLMAnalysis) -> None:
        """To its files and its callbacks; the fault of one costs the other nothing."""
        if self._sink is not None:
            try:
                self._sink.write_analysis(signal, analysis)
            except Exception as error:
                self._sink_failed(error)
        self._callbacks(analysis)

    def _sink_failed(self, error: Exception) -> None:
        """A fault of the files costs their row and nothing else: no callback waits for it."""
        self.sink_errors += 1
        if self.sink_errors == 1:
            logger.error(
                "the files did not take a result (%s); further ones are only counted (sink_errors)",
                type(error).__name__, exc_info=error,
            )  # fmt: skip
