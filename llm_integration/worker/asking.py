"""Asking: each signal of a request gets its analysis, or is to be asked about again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from llm_integration.config import LLMConfig
from llm_integration.domain import LLMAnalysis, Opinion
from llm_integration.errors import (
    BudgetExceededError,
    CallError,
    ConfigError,
    DeadlineError,
    LineStoppedError,
    OversizeRequestError,
)
from llm_integration.one_line import one_line
from llm_integration.worker.analyses import answered, expired, failed, shares
from llm_integration.worker.opinions import (
    agreement,
    opinion_of,
    why_nobody_answered,
    why_nobody_was_asked,
    with_opinions,
)
from llm_integration.worker.patience import pause_after_failure
from llm_integration.worker.replies import ReadReply, Replies
from llm_integration.worker.tasks import Request, RequestReport, Task

__all__ = ["Asker"]

logger = logging.getLogger(__name__)

Failure = CallError | OversizeRequestError | ConfigError


class Asker:
    """Asks about requests, and says of each task what became of it.

    ``clock`` counts seconds as the tasks' deadlines do, ``wall_clock`` gives the time that is stored.
    """

    def __init__(
        self,
        config: LLMConfig,
        replies: Replies,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._replies = replies
        self._clock = clock
        self._wall = wall_clock

    async def ask(self, request: Request, report: RequestReport) -> None:
        """Note in ``report`` what becomes of each task.

        Raises LineStoppedError or BudgetExceededError when nothing was to be had. Whatever ends this, what
        the report has by then has happened, and the other tasks are as open as before.
        """
        started = self._clock()
        tasks = [task for task in request.tasks if not self._too_old(task, started, report)]
        if not tasks:
            return
        if request.choice.ensemble and len(tasks) == 1:
            await self._ask_ensemble(tasks[0], request, report, started)
            return
        try:
            tasks, reply = await self._reply_about(tasks, request, report)
        except (LineStoppedError, BudgetExceededError):
            raise
        except (CallError, OversizeRequestError, ConfigError) as error:
            still_open = [task for task in tasks if task not in report.again]
            if len(still_open) > 1:
                self._take_apart(still_open, error, report)
            else:
                self._wait_or_fail(still_open[0], error, request, report)
            return
        self._answered(tasks, reply, request, report, started)

    def too_late(self, task: Task, reason: str, error: CallError | None = None) -> LLMAnalysis:
        """The analysis of a signal that has grown too old."""
        limit = self._config.signal_max_age_seconds
        text = f"older than signal_max_age_seconds={limit:g}: {reason}"
        return expired(task, text, now=self._clock(), processed_at=self._wall(), error=error)

    def crashed(self, task: Task, model: str | None) -> LLMAnalysis:
        """The analysis of a signal that makes the worker itself fail."""
        reason = "the sidecar itself failed on this signal; its log has the cause"
        return failed(task, reason, now=self._clock(), processed_at=self._wall(), model=model)

    def _too_old(self, task: Task, now: float, report: RequestReport) -> bool:
        if now < task.deadline:
            return False
        report.ended.append((task, self.too_late(task, task.held_up or "it waited too long")))
        return True

    # One model, one or several signals

    async def _reply_about(
        self, tasks: list[Task], request: Request, report: RequestReport
    ) -> tuple[list[Task], ReadReply]:
        """Those of ``tasks`` for which a request has room, and the reply about them; the others come next."""
        plan, formatter = request.choice.plan, request.formatter
        if len(tasks) > 1:
            batch = await self._replies.batch_about([task.signal for task in tasks], plan, formatter)
            fitting = 1 if batch is None else len(batch.labels)
            report.again += tasks[fitting:]
            tasks = tasks[:fitting]
            if batch is not None:
                return tasks, await self._replies.about_several(tasks, batch, plan, formatter)
        task = tasks[0]
        return tasks, await self._replies.about_one(task.signal, task.deadline, plan, formatter)

    def _answered(
        self, tasks: Sequence[Task], reply: ReadReply, request: Request, report: RequestReport, started: float
    ) -> None:
        missing = []
        for task, share in zip(tasks, shares(reply.completion, len(tasks)), strict=True):
            reading = reply.readings.get(task.signal_id)
            if reading is None:
                task.charge(share.cost_usd, reply.completion.attempts)
                missing.append(task)
                continue
            report.ended.append((task, answered(
                task, reply.prompt_for(task.signal_id), reply.completion, reading, started=started,
                now=self._clock(), processed_at=self._wall(), share=share, route=request.choice.rule_name,
            )))  # fmt: skip
        report.ask_alone(missing)

    # What failed

    def _wait_or_fail(
        self,
        task: Task,
        error: Failure,
        request: Request,
        report: RequestReport,
        opinions: tuple[Opinion, ...] = (),
    ) -> None:
        """What is the model's or the line's fault is no end for a signal that has time left."""
        pause = pause_after_failure(task, error)
        if pause is None:
            end = self._without_answer(task, error, request)
            report.ended.append((task, replace(end, opinions=opinions) if opinions else end))
            return
        if isinstance(error, CallError):
            task.charge(error.cost_usd, error.attempts)
        logger.info(
            "signal %s: no answer (%s); asked again in %.0f s",
            one_line(task.signal_id), one_line(str(error), 200), pause,
        )  # fmt: skip
        report.later.append((task, pause, str(error)))

    def _without_answer(self, task: Task, error: Failure, request: Request) -> LLMAnalysis:
        if isinstance(error, DeadlineError):
            return self.too_late(task, str(error), error)
        return failed(
            task, str(error), now=self._clock(), processed_at=self._wall(),
            error=error if isinstance(error, CallError) else None,
            model=request.choice.plan.model, route=request.choice.rule_name,
        )  # fmt: skip

    @staticmethod
    def _take_apart(tasks: list[Task], error: Failure, report: RequestReport) -> None:
        """What spoilt a request as a whole cannot spoil the others twice: each is asked about alone."""
        logger.info(
            "a request about %d signals failed (%s); each is asked about alone",
            len(tasks), one_line(str(error), 200),
        )  # fmt: skip
        cost = error.cost_usd if isinstance(error, CallError) else None
        attempts = error.attempts if isinstance(error, CallError) else 0
        for index, task in enumerate(tasks):
            task.charge(cost if index == 0 else None, attempts)
        report.ask_alone(tasks)

    # Several models, one signal

    async def _ask_ensemble(
        self, task: Task, request: Request, report: RequestReport, started: float
    ) -> None:
        models = request.choice.ensemble
        plans = [replace(request.choice.plan, model=model, fallbacks=()) for model in models]
        replies = await asyncio.gather(
            *(self._replies.about_one(task.signal, task.deadline, plan, request.formatter) for plan in plans),
            return_exceptions=True,
        )
        if refusal := why_nobody_was_asked(replies):
            raise refusal
        opinions = tuple(
            opinion_of("ensemble", model, task.signal_id, reply)
            for model, reply in zip(models, replies, strict=True)
        )
        heard = [reply for reply in replies if isinstance(reply, ReadReply)]
        if not heard:
            self._wait_or_fail(task, why_nobody_answered(replies, opinions), request, report, opinions)
            return
        words, reading, spread, amiss = agreement(
            task.signal_id, opinions, heard, self._config.ensemble_quorum
        )
        single = answered(
            task, words.prompt, words.completion, reading, started=started, now=self._clock(),
            processed_at=self._wall(), route=request.choice.rule_name,
        )  # fmt: skip
        report.ended.append((task, with_opinions(single, task, opinions, spread, amiss)))
