"""Ends the process when nothing else does: the event loop is blocked, or a thread waits for a dead disk."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["LastResort"]

logger = logging.getLogger(__name__)

STDERR = 2


class LastResort:
    """A thread that is started beforehand and leaves the process ``seconds`` after ``arm``, with status 1.

    ``before`` is called first, in that thread; it must return at once. There is no way to call it off: a
    program that ends in time takes the thread with it.
    """

    def __init__(self, seconds: float, before: Callable[[], None]) -> None:
        self._seconds = seconds
        self._before = before
        self._armed: SimpleQueue[float] = SimpleQueue()  # may be filled by a signal handler at any moment

    def start(self) -> None:
        """Start the thread. Where that fails the program may take as long to end as what it waits for."""
        try:
            threading.Thread(target=self._wait, name="last resort", daemon=True).start()
        except RuntimeError as error:
            logger.warning("no thread for the last resort (%s): a blocked callback can delay the end", error)

    def arm(self) -> None:
        """Begin to count. Does nothing that a signal handler may not do."""
        self._armed.put(time.monotonic())

    def _wait(self) -> None:
        time.sleep(max(0.0, self._armed.get() + self._seconds - time.monotonic()))
        try:
            _say(f"{self._seconds:g} s after the signal something still blocks; the process leaves now\n")
            self._before()
        finally:
            os._exit(1)


def _say(line: str) -> None:
    """To stderr, if that takes it: a full pipe must not hold up the end."""
    if select.select([], [STDERR], [], 0)[1]:
        os.write(STDERR, line.encode())
