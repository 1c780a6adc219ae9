"""Computing in pieces: what would hold an event loop up pauses, and goes on in a later turn of the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

__all__ = ["Steps", "at_once", "in_turns"]

T = TypeVar("T")
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
