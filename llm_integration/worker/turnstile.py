"""Keeps the parts of the worker from computing all in one turn of the host's event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from llm_integration.pieces import cancel_later

__all__ = ["Turnstile"]

SHARE_SECONDS = 0.0001
"""How much of one turn of the loop they may use together before the next of them has to wait.

Less than it takes to write a prompt, so that at saturation each turn brings one piece of computing.
"""


class Turnstile:
    """When many replies come together, a timer of the host waits for one of them instead of for all.

    Whoever computes for more than some microseconds, a lane, the intake or a writer, awaits ``turn()`` first.
    It returns at once until their share of this turn of the loop is used; after that, one at a time goes on
    in each of the next.
    """

    def __init__(self, share: float = SHARE_SECONDS, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share = share
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._used_up_at: float | None = None

    async def turn(self) -> None:
        """Wait until computing is fair."""
        turn = self._ask_for_turn()
        if turn is not None:
            await turn

    async def turn_with_reply(self) -> None:
        """The same for a task with a reply in hand, which was paid for.

        If the task is cancelled meanwhile, that happens at the next point where it waits.
        """
        turn = self._ask_for_turn()
        if turn is None:
            return
        try:
            await turn
        except asyncio.CancelledError:
            cancel_later()

    def _ask_for_turn(self) -> asyncio.Future[None] | None:
        """None for who need not wait."""
        now = self._clock()
        if self._used_up_at is None:
            self._begin(now)
            return None
        if now < self._used_up_at and not self._waiting:
            return None
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return turn

    def _begin(self, now: float) -> None:
        self._used_up_at = now + self._share
        asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._used_up_at = None
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled meanwhile
                self._begin(self._clock())
                turn.set_result(None)
                return
