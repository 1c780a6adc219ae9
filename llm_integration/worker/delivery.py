"""Finished analyses on their way to the host: its files and callbacks, in order, each once, in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from llm_integration.domain import LLMAnalysis
from llm_integration.worker.jobs import Job

__all__ = ["Delivery", "Outcome", "Verdict"]

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.25
"""How long PostgreSQL may take to say that a result is ours before the host gets it all the same."""
HANDED_ON_AT_ONCE = 8
"""Results handed to CSV and callbacks, and logged, before the host's loop gets its turn."""


class Verdict(Enum):
    """What PostgreSQL says about a result."""

    OPEN = auto()
    OURS = auto()
    REFUSED = auto()


@dataclass(slots=True, eq=False)
class Outcome:
    """A finished analysis. ``kept``: the outbox has it; ``delivered``: the host has it."""

    job: Job
    analysis: LLMAnalysis
    due: float = 0.0
    verdict: Verdict = Verdict.OPEN
    delivered: bool = False
    kept: bool = False
    contested_until: float | None = None


class Delivery:
    """Hands results on in the order in which they were read; ``hand_on`` takes each.

    A result waits until PostgreSQL has said that it is ours, and no longer than ``patience`` seconds: the
    host's loop decides with what it has, and an answer that is late is worth less than one that the
    database may refuse afterwards. What it refuses in time is not handed on. When nobody runs this any
    more, ``put`` hands on at once.
    """

    def __init__(
        self,
        hand_on: Callable[[Outcome], None],
        *,
        patience: float = PATIENCE_SECONDS,
        turn: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
    ) -> None:
        self._hand_on = hand_on
        self._patience = patience
        self._turn = turn
        self._waiting: deque[Outcome] = deque()
        self._look = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Results that the host does not have yet."""
        return len(self._waiting)

    def put(self, outcome: Outcome, *, at_once: bool) -> None:
        """Take one result; O(1). ``at_once``: PostgreSQL is known to be away."""
        if self._closed:
            self._deliver(outcome)
            return
        now = asyncio.get_running_loop().time()
        outcome.due = now if at_once else now + self._patience
        self._waiting.append(outcome)
        self._empty.clear()
        self._look.set()

    def look(self) -> None:
        """Verdicts have come."""
        self._look.set()

    def hurry(self) -> None:
        """PostgreSQL is away: nothing that waits now waits for it any longer."""
        for outcome in self._waiting:
            outcome.due = 0.0
        self._look.set()

    async def wait_until_empty(self) -> None:
        """Return once the host has everything there is so far."""
        await self._empty.wait()

    async def run(self) -> None:
        """Hand on what is due, for ever."""
        while True:
            self._look.clear()
            for _ in range(HANDED_ON_AT_ONCE):
                if not self._next_is_due():
                    await self._wait()
                    break
                self._deliver_next()
            else:
                await self._turn()

    def close(self) -> None:
        """Hand on everything now, and whatever comes later as it comes: nobody runs this any more."""
        self._closed = True
        while self._waiting:
            try:
                self._deliver_next()
            except Exception:  # one that cannot be handed on must not keep the others back
                logger.exception("a result could not be handed on to files or callbacks")

    def _next_is_due(self) -> bool:
        if not self._waiting:
            return False
        first = self._waiting[0]
        return first.verdict is not Verdict.OPEN or asyncio.get_running_loop().time() >= first.due

    async def _wait(self) -> None:
        """Until something is due: dues are in order, so that of the first is the next."""
        seconds = None
        if self._waiting:
            seconds = max(0.0, self._waiting[0].due - asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._look.wait()

    def _deliver_next(self) -> None:
        outcome = self._waiting.popleft()
        if not self._waiting:
            self._empty.set()
        self._deliver(outcome)

    def _deliver(self, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.REFUSED:
            return
        outcome.delivered = True
        self._hand_on(outcome)
