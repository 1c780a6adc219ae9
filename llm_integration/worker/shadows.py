"""Shadows: other models or prompts asked about a sample of the signals, for comparison only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from llm_integration.config.routes import Shadow
from llm_integration.domain import Opinion
from llm_integration.errors import CallError, ConfigError, OversizeRequestError
from llm_integration.one_line import one_line
from llm_integration.ports import Record
from llm_integration.routing import RouteChoice
from llm_integration.second_opinion import in_shadow_sample
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.opinions import opinion_of
from llm_integration.worker.replies import Replies
from llm_integration.worker.tasks import Task

__all__ = ["Shadows"]

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 4
"""Shadow calls in flight; a signal that comes on top of them is left out of the sample and counted."""
STORE_TRIES = 5
STORE_PAUSE_SECONDS = 2.0
RESULT_SECONDS = 3_600.0
"""Longest wait for the signal's own result to be in PostgreSQL, which may be away."""


class Shadows:
    """Asks shadows in tasks of its own, after the signal was answered. Nothing here delays a rating.

    ``results_stored`` returns once the results there are so far are in the database. An opinion is stored
    after the result that it is compared with, because storing a result replaces the opinions on its signal.
    """

    def __init__(
        self,
        shadows: Sequence[Shadow],
        replies: Replies,
        database: Record | None,
        formatters: Mapping[str | None, SignalFormatter],
        results_stored: Callable[[], Awaitable[None]],
    ) -> None:
        self._shadows = shadows
        self._replies = replies
        self._database = database
        self._formatters = formatters
        self._results_stored = results_stored
        self._under_way: set[asyncio.Task[None]] = set()
        self.asked = 0
        self.left_out = 0

    def consider(self, task: Task, choice: RouteChoice) -> None:
        """Ask the shadows in whose sample this signal is; returns at once."""
        if self._database is None:
            return
        for number, shadow in enumerate(self._shadows):
            salt = f"{number}:{shadow.model}:{shadow.prompt}"
            if not in_shadow_sample(task.signal_id, shadow.share, salt):
                continue
            if len(self._under_way) >= MOST_AT_ONCE:
                self.left_out += 1
                continue
            asking = asyncio.create_task(
                self._ask(self._database, task, choice, shadow), name="sidecar shadow"
            )
            self._under_way.add(asking)
            asking.add_done_callback(self._done)

    async def stop(self, timeout: float) -> None:
        """End what is under way."""
        for asking in self._under_way:
            asking.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout)

    def _done(self, asking: asyncio.Task[None]) -> None:
        self._under_way.discard(asking)
        if not asking.cancelled() and (error := asking.exception()) is not None:
            logger.error("a shadow call failed inside the sidecar: %s", one_line(repr(error), 300))

    async def _ask(self, database: Record, task: Task, choice: RouteChoice, shadow: Shadow) -> None:
        model = shadow.model or choice.plan.model
        plan = replace(choice.plan, model=model, fallbacks=())
        formatter = self._formatters[shadow.prompt or choice.prompt]
        self.asked += 1
        try:
            reply = await self._replies.about_one(task.signal, task.deadline, plan, formatter)
        except (CallError, OversizeRequestError, ConfigError) as error:
            opinion = opinion_of("shadow", model, task.signal_id, error)
        else:
            opinion = opinion_of("shadow", model, task.signal_id, reply)
        await self._store(database, task.signal_id, opinion)

    async def _result_is_there(self) -> bool:
        try:
            async with asyncio.timeout(RESULT_SECONDS):
                await self._results_stored()
        except TimeoutError:
            return False
        return True

    async def _store(self, database: Record, signal_id: str, opinion: Opinion) -> None:
        """A comparison that cannot be stored after a few tries is dropped: it is no result."""
        if not await self._result_is_there():
            logger.warning(
                "signal %s: a shadow's opinion is not stored: its result is not", one_line(signal_id)
            )
            return
        for attempt in range(STORE_TRIES):
            try:
                await database.save_opinions(signal_id, [opinion])
            except Exception as error:
                if attempt == STORE_TRIES - 1 or not getattr(error, "retryable", True):
                    logger.warning(
                        "signal %s: a shadow's opinion is not stored: %s",
                        one_line(signal_id), one_line(str(error), 200),
                    )  # fmt: skip
                    return
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                return
