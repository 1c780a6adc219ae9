"""Keeps an eye on the embedded server, and has it started again when it was killed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from llm_integration.record.errors import EmbeddedServerError

__all__ = ["Watch"]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
CALM_SECONDS = 60.0
"""A server that has run for this long since it was started again counts as well."""


class Watch:
    """A thread that looks twice a second whether the server lives. It touches no event loop.

    A server that has ended is started again at once, and one that ends again and again, or cannot start,
    after pauses that double up to half a minute. ``running`` and ``revive`` are those of a Cluster.
    """

    def __init__(
        self, running: Callable[[], bool], revive: Callable[[], bool], *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._running = running
        self._revive = revive
        self._look = look_seconds
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._said: str | None = None

    def start(self) -> None:
        """Begin; harmless when it has begun. Where no thread can be started, that is said, no more."""
        if self._thread is not None:
            return
        self._end = threading.Event()
        thread = threading.Thread(target=self._run, name="embedded PostgreSQL watch", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            logger.warning("embedded PostgreSQL is not watched (%s): killed, it stays away", error)
        else:
            self._thread = thread

    def stop(self) -> None:
        """End it, without waiting for what it is at: giving up the cluster cuts that short."""
        self._end.set()
        self._thread = None

    def _run(self) -> None:
        end, pause, tried = self._end, 0.0, time.monotonic()
        while not end.wait(self._look):
            if self._is_running():
                if time.monotonic() - tried > CALM_SECONDS:
                    pause = 0.0
                continue
            if end.wait(pause):
                return
            self._try(end)
            tried = time.monotonic()
            pause = min(max(FIRST_PAUSE_SECONDS, pause * 2), LONGEST_PAUSE_SECONDS)

    def _is_running(self) -> bool:
        try:
            return self._running()
        except (OSError, EmbeddedServerError):
            return False

    def _try(self, end: threading.Event) -> None:
        began = time.monotonic()
        try:
            started = self._revive()
        except EmbeddedServerError as error:
            if not end.is_set():
                self._failed(str(error))
        except Exception:
            logger.exception("starting embedded PostgreSQL again failed; it is tried again")
        else:
            self._said = None
            if started:
                logger.warning(
                    "embedded PostgreSQL had ended (killed, out of memory?); it was started again in %.1f s",
                    time.monotonic() - began,
                )

    def _failed(self, message: str) -> None:
        """Say it once, and again when it is something else."""
        if message != self._said:
            self._said = message
            logger.error(
                "%s; it is tried again, half a minute apart at most, and what is to be stored waits", message
            )
