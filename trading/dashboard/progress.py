"""Progress as log lines, for pipes and for ``--no-dashboard``; and the last messages, for the dashboard."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from trading.dashboard.state import DashboardState, bar_time, count, money
from trading.text import clean

__all__ = ["PlainProgress", "RecentMessages", "Ticker", "progress_line"]

logger = logging.getLogger(__name__)


class Ticker:
    """Calls ``action`` on the running event loop at once and then every ``interval`` seconds."""

    def __init__(self, interval: float, action: Callable[[], None]) -> None:
        self._interval = interval
        self._action = action
        self._next: asyncio.TimerHandle | None = None
        self._failed = False

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._tick(asyncio.get_running_loop())

    def stop(self) -> None:
        """Call ``action`` no more."""
        if self._next is not None:
            self._next.cancel()

    def run_action(self) -> None:
        """Call ``action`` now; a failure is logged the first time and never leaves here."""
        try:
            self._action()
        except Exception:
            if not self._failed:
                logger.exception("the display cannot be updated; trading goes on")
            self._failed = True

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.run_action()
        self._next = loop.call_later(self._interval, self._tick, loop)


class PlainProgress:
    """Context manager that logs a line of progress at INFO every so often, and one at the end.

    A line that would say the same as the one before is left out.
    """

    def __init__(self, state: Callable[[], DashboardState], *, interval_seconds: float = 5.0) -> None:
        self._state = state
        self._last = ""
        self._ticker = Ticker(interval_seconds, self._log)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._ticker.run_action()

    def _log(self) -> None:
        line = progress_line(self._state())
        if line != self._last:
            logger.info("%s", line)
        self._last = line


def progress_line(state: DashboardState) -> str:
    """The whole state of a run on one line."""
    parts = [_bars(state), f"signals {count(state.signals)}"]
    if state.llm_on:
        parts += _answers(state)
        parts.append(_requests(state))
        parts.append(f"cost {money(state.cost_usd)}")
    note = clean(state.llm_note, 200)
    if not state.llm_on or note:
        parts.append(f"LLM {'on' if state.llm_on else 'off'}" + (f" ({note})" if note else ""))
    if state.database and not state.database_ok:
        parts.append(f"database {clean(state.database, 200)}")
    return ", ".join(parts)


def _bars(state: DashboardState) -> str:
    share = state.share_done
    done = f"/{count(state.total_bars or 0)} ({share:.0%})" if share is not None else ""
    until = f" until {bar_time(state.last_bar_at)}" if state.last_bar_at else ""
    return f"bars {count(state.bars)}{done}{until}"


def _answers(state: DashboardState) -> list[str]:
    return [
        f"{name} {count(number)}"
        for name, number in (
            ("rated", state.rated),
            ("unrated", state.unrated),
            ("failed", state.failed),
            ("expired", state.expired),
            ("queued", state.queued),
            ("in flight", state.in_flight),
        )
    ]


def _requests(state: DashboardState) -> str:
    limit = f"/{count(state.requests_limit)}" if state.requests_limit else ""
    return f"requests {count(state.requests_this_minute)}{limit} this minute"


class RecentMessages(logging.Handler):
    """Keeps the last records as one safe line each, for ``DashboardState.messages``."""

    def __init__(self, kept: int = 3, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._lines: deque[str] = deque(maxlen=kept)

    @property
    def lines(self) -> tuple[str, ...]:
        """Oldest first."""
        return tuple(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's message, without a traceback."""
        try:
            self._lines.append(clean(record.getMessage(), 300))
        except Exception:
            self.handleError(record)
