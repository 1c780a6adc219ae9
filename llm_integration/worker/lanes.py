"""Lanes: as many loops as requests may be in flight, each with one request at a time."""

from __future__ import annotations

import asyncio

from llm_integration.domain import LLMAnalysis
from llm_integration.errors import BudgetExceededError, CallError, LineStoppedError
from llm_integration.fairness import REPLIES_ARE_KEPT
from llm_integration.worker.asking import Asker
from llm_integration.worker.patience import pause_after_stop
from llm_integration.worker.ports import Processor
from llm_integration.worker.shadows import Shadows
from llm_integration.worker.shared import Shared
from llm_integration.worker.storing import Storing
from llm_integration.worker.tally import Tally
from llm_integration.worker.tasks import Phase, Request, RequestReport, Task

__all__ = ["Lanes"]

MOST_CRASHES = 2
"""A signal on which the worker itself crashes this often ends as failed."""
MODEL_DOWN_SECONDS = 1.0
NO_ROOM_SECONDS = 60.0
"""How long a signal waits for a budget that does not know when it has room again."""


class Lanes:
    """Takes requests from ``ready``, has them asked, and hands on the answers to ``storing``."""

    def __init__(
        self,
        shared: Shared,
        processor: Processor,
        ready: asyncio.Queue[Request],
        *,
        asker: Asker,
        storing: Storing,
        shadows: Shadows,
        tally: Tally,
    ) -> None:
        self._shared, self._book = shared, shared.book
        self._processor = processor
        self._ready = ready
        self._asker = asker
        self._storing = storing
        self._shadows = shadows
        self._tally = tally

    async def run(self) -> None:
        """One lane; for ever."""
        REPLIES_ARE_KEPT.set(True)
        while True:
            request = await self._ready.get()
            try:
                await self._ask(request)
            except (LineStoppedError, BudgetExceededError) as stop:
                self._stopped(request, stop)
            except Exception:
                self._crashed_on(request)
                raise
            else:
                for task in request.tasks:
                    if task.phase is Phase.ANSWERED:
                        self._shadows.consider(task, request.choice)

    async def _ask(self, request: Request) -> None:
        await self._shared.turn()
        report = RequestReport()
        try:
            await self._asker.ask(request, report)
        finally:  # also when this is cancelled: what was read was paid for
            self._take(report)

    def _take(self, report: RequestReport) -> None:
        now = self._shared.clock()
        for task, analysis in report.ended:
            self._end(task, analysis)
        for task in report.again:
            self._book.again(task)
        for task, seconds, reason in report.later:
            self._book.park(task, now + seconds, reason)
        if report.again or report.later:
            self._shared.wake.set()

    def expire(self, task: Task, reason: str) -> None:
        """End a task that has grown too old before it was its turn."""
        self._end(task, self._asker.too_late(task, reason))

    def _end(self, task: Task, analysis: LLMAnalysis) -> None:
        if self._storing.put(task, analysis):
            self._tally.add(task, analysis)
        if self._ready.qsize() <= self._shared.config.max_concurrency // 2:  # else they have their next ones
            self._shared.wake.set()

    def _stopped(self, request: Request, stop: LineStoppedError | BudgetExceededError) -> None:
        """Nothing was to be had: from anybody, or only from the models of this request's route."""
        self._tally.charge(stop.cost_usd)
        now, ready_in = self._shared.clock(), self._processor.ready_in()
        for task in request.tasks:
            if task.phase is not Phase.IN_HAND:
                continue
            if isinstance(stop, BudgetExceededError) or ready_in <= 0:
                self._book.park(task, now + (stop.retry_after or _usual_wait(stop)), str(stop))
            elif (pause := pause_after_stop(task, stop, ready_in)) is not None:
                self._book.park(task, now + pause, str(stop))
            else:
                self._book.put_back(task)
        self._shared.wake.set()

    def _crashed_on(self, request: Request) -> None:
        self._shared.wake.set()
        for task in request.tasks:
            if task.phase is not Phase.IN_HAND:
                continue
            task.crashes += 1
            task.alone = True
            if task.crashes < MOST_CRASHES:
                self._book.again(task)
            else:
                self._end(task, self._asker.crashed(task, request.choice.plan.model))


def _usual_wait(refusal: CallError) -> float:
    return NO_ROOM_SECONDS if isinstance(refusal, BudgetExceededError) else MODEL_DOWN_SECONDS
