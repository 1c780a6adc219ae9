"""BarLoop: bar by bar from the feed through indicators and strategy, each with the signal that it brings."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from llm_integration import Bar, Signal
from llm_integration.ports import Feed
from llm_integration.sidecar import Sidecar
from trading.figures import Progress
from trading.indicators import IndicatorSet
from trading.settings import Settings
from trading.stopping import Stop
from trading.strategy import MovingAverageCross, TradeSignal

__all__ = ["BarLoop", "TradedBar"]

MOST_PACING_SECONDS = 5.0
PACING_LOOK_SECONDS = 0.01


class TradedBar(NamedTuple):
    """A closed bar and its signal. ``known``: an earlier run of the session has traded it."""

    bar: Bar
    signal: Signal | None
    known: bool


class BarLoop:
    """What the bundled host decides on; what becomes of a signal is its reader's business.

    The reader takes ``bars`` one after the other; the time that it takes for one is the bar's, and the
    longest is kept in ``progress``.
    """

    def __init__(self, settings: Settings, feed: Feed, stop: Stop) -> None:
        self.feed, self.progress = feed, Progress()
        self._settings = settings
        self.strategy = MovingAverageCross(settings.trading, settings.symbol)
        self._indicators = IndicatorSet(settings.llm.indicators_to_include)
        self._history: deque[Bar] = deque(maxlen=settings.llm.lookback_periods + 30)
        self._stop = stop
        self.ended = False
        """True once the feed has no more bars, and the run was not asked to end before."""

    @property
    def last_close(self) -> float | None:
        """The latest price; None before the first bar."""
        return self._history[-1].close if self._history else None

    def summary(self) -> dict[str, object]:
        """What the summary file says of the bars."""
        return {
            "symbol": self._settings.symbol,
            "bars": self.progress.bars,
            "signals": self.progress.signals,
            "simulated": self._settings.simulated,
        }

    async def open(self) -> None:
        """Have the feed get ready. Raises BarDataError."""
        self.progress.total_bars = await self.feed.open()

    async def bars(self, sidecar: Sidecar) -> AsyncGenerator[TradedBar, None]:
        """The bars of the feed until it ends or the run is asked to.

        Of a session that goes on, the bars that were traded before come first, and are ``known``. Signals
        carry the session's id: the same bar of the same session always brings the same signal.
        """
        session_id, known_until = sidecar.session or "", sidecar.resume_after
        async with aclosing(self._stop.cuts(self.feed.bars(known_until))) as bars:
            async for bar in bars:
                known = known_until is not None and bar.timestamp <= known_until
                await self._make_room(sidecar)
                began = time.perf_counter()
                yield TradedBar(bar, self._take(bar, session_id), known)
                if not known:
                    self.progress.took(time.perf_counter() - began)
                await asyncio.sleep(0)  # whatever the feed does, every bar gives the event loop a turn
        self.ended = not self._stop.requested

    async def _make_room(self, sidecar: Sidecar) -> None:
        """A history read without pace waits for the writers; live bars never do."""
        if self._settings.speed > 0 or self.progress.total_bars is None:
            return
        deadline = time.monotonic() + MOST_PACING_SECONDS
        while sidecar.parts.room < 1:
            if time.monotonic() > deadline or self._stop.requested:
                return
            await asyncio.sleep(PACING_LOOK_SECONDS)

    def _take(self, bar: Bar, session_id: str) -> Signal | None:
        self._history.append(bar)
        self._indicators.update(bar)
        found = self.strategy.on_bar(bar)
        self.progress.had(bar, signal=found is not None)
        return None if found is None else self._signal(found, session_id)

    def _signal(self, found: TradeSignal, session_id: str) -> Signal:
        name = f"{session_id}|{found.symbol}|{found.timestamp.isoformat()}|{found.strategy}"
        return Signal(
            signal_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
            timestamp=found.timestamp,
            symbol=found.symbol,
            signal_type=found.signal_type,
            entry_price=found.entry_price,
            stop_loss=found.stop_loss,
            target_price=found.target_price,
            indicators=self._indicators.values(),
            bars=tuple(self._history)[-(self._settings.llm.lookback_periods + 15) :],
            session_id=session_id,
            strategy=found.strategy,
        )
