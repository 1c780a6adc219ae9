"""Threads where none may be had: a limit on processes or memory is no reason for a host to end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["BackgroundThread", "in_thread", "in_thread_later"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RETRY_SECONDS = 1.0


class BackgroundThread:
    """One daemon thread, started as soon as the system lets it start. May be used from any thread.

    ``ensure`` costs a microsecond while the thread runs and never raises. Where no thread can be started it
    says so once, with ``meanwhile``, and tries again at most once a second, whenever it is called.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        meanwhile: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._work = work
        self._meanwhile = meanwhile
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._try_at = 0.0
        self.error: str | None = None
        """Why there is no thread although one is wanted."""

    @property
    def running(self) -> bool:
        """True while the thread works."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def ensure(self, *, now: bool = False) -> bool:
        """Have it run; False while no thread can be started. ``now``: without a pause after a failure."""
        return self.running or self._start(now=now, anew=False)

    def start_anew(self) -> bool:
        """Start another one: the last has done its work and is ending, or has ended."""
        return self._start(now=True, anew=True)

    def join(self, timeout: float) -> bool:
        """Wait for its end, at most ``timeout`` seconds; True if it does not run, started or not."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return not self.running

    def _start(self, *, now: bool, anew: bool) -> bool:
        with self._lock:
            if self.running and not anew:
                return True
            if not now and self._clock() < self._try_at:
                return False
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except (RuntimeError, MemoryError) as error:
                self._failed(error)
                return False
            self._thread = thread  # not before: one that did not start can neither be joined nor asked
        if self.error is not None:
            self.error = None
            logger.warning("%s: its thread has been started after all", self._name)
        return True

    def _failed(self, error: Exception) -> None:
        self._try_at = self._clock() + RETRY_SECONDS
        if self.error is None:
            logger.error(
                "%s: no thread can be started (%s); %s, and it is tried again; raise the limit on processes"
                " or memory",
                self._name, error, self._meanwhile,
            )  # fmt: skip
        self.error = str(error) or type(error).__name__


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """``asyncio.to_thread``; where no thread can be started the work is done here, and holds up the loop.

    For what must be done and takes milliseconds: closing a file, reading the bars that were added.
    """
    done, result = await _tried(work, *args, **kwargs)
    return result if done else work(*args, **kwargs)  # type: ignore[return-value]  # a T, if it is done


async def in_thread_later(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """``asyncio.to_thread``; where no thread can be started it is tried again every second.

    For what nobody waits for, and what would hold up the loop.
    """
    while True:
        done, result = await _tried(work, *args, **kwargs)
        if done:
            return result  # type: ignore[return-value]  # a T, if it is done
        await asyncio.sleep(RETRY_SECONDS)


async def _tried(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> tuple[bool, T | None]:
    """Whether a thread could be had, and what it brought; what the work raises is raised.

    It is a thread of its own, not one of the loop's executor: where none can be had, ``asyncio.run`` cannot
    end a loop that had made one. A thread that hangs keeps no process from ending.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            told = functools.partial(_settle, done, context.run(work, *args, **kwargs), None)
        except BaseException as error:  # it belongs to whoever waits
            told = functools.partial(_settle, done, None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(told)

    try:
        threading.Thread(target=run, name=getattr(work, "__name__", "work"), daemon=True).start()
    except (RuntimeError, MemoryError):
        return False, None
    return True, await done


def _settle(done: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(result)  # type: ignore[arg-type]  # a T, where there is no error
    else:
        done.set_exception(error)
