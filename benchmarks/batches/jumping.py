"""An event loop that does not wait: its clock jumps to the next timer, so that hours pass in a second."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["JumpingLoop", "in_jumps"]

T = TypeVar("T")


class _Jumps(selectors.DefaultSelector):
    """Does not wait: when nothing is ready, the clock is at the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if nothing is, ``timeout`` seconds have passed."""
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen again")
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes between its timers, and not while it works."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Seconds since it was made."""
        return self._jumps.now


def in_jumps(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end on such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)
