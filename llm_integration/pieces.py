"""Computing in pieces: what would hold an event loop up pauses, and goes on in a later turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import TypeVar

__all__ = ["REPLIES_ARE_KEPT", "Steps", "at_once", "cancel_later", "in_turns", "next_turn_with_reply"]

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
