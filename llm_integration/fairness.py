"""Fairness: how the sidecar shares the event loop with its host. Every size of a slice is in this table.

What is computed in one turn of the loop should take the host less than a millisecond, and usually a tenth of
it. Each number is the most that one slice holds, with what it is a number of or what it costs.
``tests/unit/test_long_bars.py`` counts the calls in each slice; ``benchmarks`` measures what the host feels.

SIGNALS_AT_ONCE            8  signals read from the host's mappings; about 20 us each, bars apart
MANY_BARS                 50  a signal with more bars is work of its own
BARS_AT_ONCE              50  bars converted from a host's forms; 2 to 6 us each
SHOWN_BARS_AT_ONCE        25  bars that a prompt shows, read or written out; 8 us each
TABLE_LINES_AT_ONCE       50  lines of a prompt's table put together
CELLS_AT_ONCE             50  times read from a column of a file or frame
EXPIRED_AT_ONCE           20  signals that end as too old
CLEANED_AT_ONCE          200  finished signals removed from memory, under its lock
KEPT_AT_ONCE             200  answers handed to the outbox's thread
HANDED_ON_AT_ONCE          8  answers logged and handed to files and callbacks
ROWS_AT_ONCE               8  rows made ready for one statement
ROW_CHARS_AT_ONCE      32000  and their characters: a raw reply may have 64 KB
MANY_STORED_BARS          10  a signal from PostgreSQL with more bars is read in a turn of its own
LEFTOVERS_AT_ONCE         32  entries of a dead process's outbox that are read
LONG_REPLY_CHARS        8192  a longer reply is parsed in pieces; this much takes 0.5 ms at most
ENTRIES_AT_ONCE           25  entries of a reply about several signals that are weighed
ONE_SLICE_BYTES        16384  a longer body is decoded in pieces
STREAM_LINES_AT_ONCE     100  lines of a stream
STREAM_LINE_BYTES        160  a longer line of a stream counts as several
HTTP_BYTES_AT_ONCE     16384  bytes that the HTTP parser gets
HTTP_LINES_AT_ONCE       128  and lines: headers, chunks, interim answers; 0.5 ms
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Final, TypeVar

__all__ = [
    "BARS_AT_ONCE",
    "CELLS_AT_ONCE",
    "CLEANED_AT_ONCE",
    "ENTRIES_AT_ONCE",
    "EXPIRED_AT_ONCE",
    "HANDED_ON_AT_ONCE",
    "HTTP_BYTES_AT_ONCE",
    "HTTP_LINES_AT_ONCE",
    "KEPT_AT_ONCE",
    "LEFTOVERS_AT_ONCE",
    "LONG_REPLY_CHARS",
    "MANY_BARS",
    "MANY_STORED_BARS",
    "ONE_SLICE_BYTES",
    "REPLIES_ARE_KEPT",
    "ROWS_AT_ONCE",
    "ROW_CHARS_AT_ONCE",
    "SHOWN_BARS_AT_ONCE",
    "SIGNALS_AT_ONCE",
    "STREAM_LINES_AT_ONCE",
    "STREAM_LINE_BYTES",
    "TABLE_LINES_AT_ONCE",
    "Steps",
    "Turns",
    "at_once",
    "cancel_later",
    "in_turns",
    "next_turn_with_reply",
]

SIGNALS_AT_ONCE: Final = 8
MANY_BARS: Final = 50
BARS_AT_ONCE: Final = 50
SHOWN_BARS_AT_ONCE: Final = 25
TABLE_LINES_AT_ONCE: Final = 50
CELLS_AT_ONCE: Final = 50
EXPIRED_AT_ONCE: Final = 20
CLEANED_AT_ONCE: Final = 200
KEPT_AT_ONCE: Final = 200
HANDED_ON_AT_ONCE: Final = 8
ROWS_AT_ONCE: Final = 8
ROW_CHARS_AT_ONCE: Final = 32_000
MANY_STORED_BARS: Final = 10
LEFTOVERS_AT_ONCE: Final = 32
LONG_REPLY_CHARS: Final = 8_192
ENTRIES_AT_ONCE: Final = 25
ONE_SLICE_BYTES: Final = 16_384
STREAM_LINES_AT_ONCE: Final = 100
STREAM_LINE_BYTES: Final = 160
HTTP_BYTES_AT_ONCE: Final = 16_384
HTTP_LINES_AT_ONCE: Final = 128

SHARE_SECONDS: Final = 0.0001
"""How much of one turn of the loop the worker's parts may use together before the next has to wait.

Less than it takes to write a prompt, so that at saturation each turn brings one piece of computing.
"""

T = TypeVar("T")
REPLIES_ARE_KEPT: ContextVar[bool] = ContextVar("replies are kept", default=False)
"""True in tasks that are under no timeout and hand on a reply that was read, though they are cancelled."""
Steps = Generator[None, None, T]
"""Work in pieces: it may be left alone for a while wherever it yields, and returns what it came to."""


def at_once(steps: Steps[T]) -> T:
    """What ``steps`` come to, without a pause between them."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        found: T = end.value
        return found


async def in_turns(steps: Steps[T], turn: Callable[[], Awaitable[object]]) -> T:
    """What ``steps`` come to; before each of them but the first, ``turn`` is awaited."""
    try:
        while True:
            next(steps)
            await turn()
    except StopIteration as end:
        found: T = end.value
        return found


async def next_turn_with_reply() -> None:
    """The next turn of the loop, for a task with a reply in hand, which was paid for.

    A task of the worker (``REPLIES_ARE_KEPT``) that is cancelled meanwhile is so at the next point where it
    waits. A host's task may be under a timeout of its own, which must not find out later.
    """
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if not REPLIES_ARE_KEPT.get():
            raise
        cancel_later()


def cancel_later() -> None:
    """Put off the cancellation that the current task has just met until it waits again."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        asyncio.get_running_loop().call_soon(task.cancel)


class Turns:
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
