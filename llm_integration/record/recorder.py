"""Writes a session's bars and signals to PostgreSQL without holding up the bar loop.

A signal and its task go out in one statement. The loop waits for it no longer than ``handoff_seconds``;
what PostgreSQL has not taken by then stays in a bounded queue and is written in order once it answers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice
from typing import Literal, Protocol

from llm_integration.availability import Availability
from llm_integration.domain import Bar, Signal

__all__ = ["HostDatabase", "SessionRecorder", "SignalOutbox"]

logger = logging.getLogger(__name__)

FLUSH_RETRY_SECONDS = 0.25
BAR_INTERVAL_SECONDS = 0.25
BARS_PER_STATEMENT = 500


class HostDatabase(Protocol):
    """The part of DatabaseManager that a recorder uses."""

    async def record_signal(self, signal: Signal, *, worker_id: str | None = None) -> int:
        """Store a signal and its task; repeating it changes nothing."""
        ...

    async def record_bars(self, session_id: str, symbol: str, bars: Sequence[Bar]) -> None:
        """Store bars; repeating them changes nothing."""
        ...

    async def update_task_status(self, task_id: int, status: str, error: str | None = None) -> object:
        """End a task that nobody is going to work on."""
        ...


class SignalOutbox(Protocol):
    """Where signals are kept on disk while PostgreSQL does not have them; ``Outbox`` is one."""

    def keep_signal(self, signal: Signal, *, off_reason: str | None = None) -> None:
        """Keep a signal; returns at once."""
        ...

    def forget_signal(self, signal: Signal) -> None:
        """PostgreSQL has it."""
        ...


class SessionRecorder:
    """One session's way into PostgreSQL. ``run()`` is a task of the host; ``flush`` and cancel end it.

    With ``off_reason`` the LLM is off: the task of each signal ends as ``expired`` with that reason. With
    an ``outbox`` a signal that PostgreSQL has not confirmed within the handoff bound is kept on disk as
    well, until it has. ``availability`` is what other parts know of the same PostgreSQL; what keeps signals
    from being stored keeps no bar that needs none of them, nor the other way round.
    """

    def __init__(
        self,
        database: HostDatabase,
        session_id: str,
        symbol: str,
        *,
        worker_id: str | None = None,
        off_reason: str | None = None,
        outbox: SignalOutbox | None = None,
        handoff_seconds: float = 0.05,
        max_signals: int = 10_000,
        max_bars: int = 100_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        availability: Availability | None = None,
    ) -> None:
        self._database = database
        self._session_id = session_id
        self._symbol = symbol
        self._worker_id = worker_id
        self._off_reason = off_reason
        self._outbox = outbox
        self._handoff = handoff_seconds
        self._max_signals = max_signals
        self._max_bars = max_bars
        self._sleep = sleep
        self._flushing = asyncio.Event()
        self._signals: deque[tuple[Signal, asyncio.Future[bool]]] = deque()
        self._bars: deque[tuple[int, str, Bar]] = deque()
        self._signals_seen = 0
        self._signals_done = 0
        self._new_signal = asyncio.Event()
        self._new_bar = asyncio.Event()
        self._written = asyncio.Condition()
        self._availability = availability or Availability(time.monotonic)
        self.late_signals = 0
        self.lost_signals = 0
        self.lost_bars = 0

    @property
    def error(self) -> str | None:
        """Why PostgreSQL does not take signals, else why not bars; None while it takes both."""
        return self._availability.error_of("signals") or self._availability.error_of("bars")

    @property
    def waiting(self) -> tuple[int, int]:
        """Signals and bars that PostgreSQL does not have yet."""
        return len(self._signals), len(self._bars)

    def record_bar(self, bar: Bar, symbol: str | None = None) -> None:
        """Queue one bar, of ``symbol`` if it is another than the session's; O(1).

        When 100,000 wait already, it is left out and counted.
        """
        if len(self._bars) >= self._max_bars:
            self.lost_bars += 1
            if self.lost_bars == 1:
                logger.error("%d bars wait for PostgreSQL; further ones are not stored", self._max_bars)
            return
        self._bars.append((self._signals_seen, symbol or self._symbol, bar))
        self._new_bar.set()

    async def record_signal(self, signal: Signal) -> bool:
        """Store ``signal`` and its task; True if PostgreSQL has confirmed it within the handoff bound."""
        if len(self._signals) >= self._max_signals:
            self._no_room_for(signal)
            return False
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._signals_seen += 1
        self._signals.append((signal, stored))
        self._new_signal.set()
        if (
            self._availability.error_of("signals") is not None
        ):  # known to be away: do not make the loop wait for it again
            self._late(signal)
            return False
        done, _ = await asyncio.wait({stored}, timeout=self._handoff)
        if not done:
            self._late(signal)
        return bool(done) and stored.result()

    def _late(self, signal: Signal) -> None:
        self.late_signals += 1
        if self._outbox is not None:
            self._outbox.keep_signal(signal, off_reason=self._off_reason)

    def _no_room_for(self, signal: Signal) -> None:
        if self._outbox is None:
            self.lost_signals += 1
            meanwhile = "it is not stored"
        else:
            self._late(signal)
            meanwhile = "it stays in the outbox until the next start"
        logger.error(
            "signal %r: %d signals wait for PostgreSQL already, %s",
            signal.signal_id, self._max_signals, meanwhile,
        )  # fmt: skip

    async def run(self) -> None:
        """Write what arrives until cancelled. It may be started again, and goes on with what waits."""
        if self._signals:
            self._new_signal.set()
        if self._bars:
            self._new_bar.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write_signals(), name="recorder signals")
                group.create_task(self._write_bars(), name="recorder bars")
        finally:
            self._availability.withdraw("signals")
            self._availability.withdraw("bars")

    async def flush(self, timeout: float) -> bool:
        """Wait, at most ``timeout`` seconds, until everything is stored; True if it is.

        What PostgreSQL does not take is tried at once and often meanwhile: it may be back since the last
        try, and there is no later one.
        """
        self._flushing.set()
        try:
            async with asyncio.timeout(timeout), self._written:
                await self._written.wait_for(lambda: self.waiting == (0, 0))
        except TimeoutError:
            pass
        finally:
            self._flushing.clear()
        return self.waiting == (0, 0)

    async def _rest(self, seconds: float) -> None:
        """Between two tries; the end is in a hurry."""
        if self._flushing.is_set():
            await self._sleep(min(seconds, FLUSH_RETRY_SECONDS))
            return
        pause = asyncio.ensure_future(self._sleep(seconds))
        hurry = asyncio.ensure_future(self._flushing.wait())
        try:
            await asyncio.wait({pause, hurry}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            hurry.cancel()

    def keep_waiting(self) -> int:
        """Have every signal that still waits kept on disk, for the next run; how many there are."""
        if self._outbox is None:
            return 0
        for signal, _ in self._signals:
            self._outbox.keep_signal(signal, off_reason=self._off_reason)
        return len(self._signals)

    async def _write_signals(self) -> None:
        while True:
            await self._new_signal.wait()
            self._new_signal.clear()
            while self._signals:
                signal, stored = self._signals[0]
                what = f"signal {signal.signal_id!r}"
                ok = await self._insist("signals", partial(self._store_signal, signal), what)
                self.lost_signals += not ok
                self._signals.popleft()
                self._signals_done += 1
                if self._outbox is not None:
                    self._outbox.forget_signal(signal)
                if not stored.done():
                    stored.set_result(ok)
            await self._tell()

    async def _store_signal(self, signal: Signal) -> None:
        task_id = await self._database.record_signal(signal, worker_id=self._worker_id)
        if self._off_reason is not None:  # or a later run would pay for what nobody asked for
            await self._database.update_task_status(task_id, "expired", f"LLM off: {self._off_reason}")

    async def _write_bars(self) -> None:
        while True:
            await self._new_bar.wait()
            await self._sleep(BAR_INTERVAL_SECONDS)
            self._new_bar.clear()
            while batch := self._storable_bars():
                for symbol, bars in _by_symbol(batch).items():
                    store = partial(self._database.record_bars, self._session_id, symbol, bars)
                    ok = await self._insist("bars", store, f"{len(bars)} bars")
                    self.lost_bars += 0 if ok else len(bars)
                for _ in batch:
                    self._bars.popleft()
            if self._bars:
                self._new_bar.set()
            await self._tell()

    def _storable_bars(self) -> list[tuple[str, Bar]]:
        """The oldest bars whose signals are stored, each with its symbol.

        A bar in PostgreSQL says that everything up to it is there: a resumed run starts behind it.
        """
        count = min(BARS_PER_STATEMENT, len(self._bars))
        return [
            (symbol, bar) for seen, symbol, bar in islice(self._bars, count) if seen <= self._signals_done
        ]

    async def _insist(
        self, kind: Literal["signals", "bars"], store: Callable[[], Awaitable[None]], what: str
    ) -> bool:
        """Try until it is stored; False when PostgreSQL refuses it for what it is."""
        while True:
            try:
                await store()
            except Exception as error:
                if not getattr(error, "retryable", True):
                    logger.error("PostgreSQL refuses %s: %s", what, error)
                    return False
                self._availability.failed(error, kind)
            else:
                self._availability.over(kind)
                return True
            await self._rest(self._availability.retry_in(kind))

    async def _tell(self) -> None:
        async with self._written:
            self._written.notify_all()


def _by_symbol(batch: Sequence[tuple[str, Bar]]) -> dict[str, list[Bar]]:
    found: dict[str, list[Bar]] = {}
    for symbol, bar in batch:
        found.setdefault(symbol, []).append(bar)
    return found
