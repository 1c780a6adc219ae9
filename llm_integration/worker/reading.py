"""From a host's mappings to signals, without holding up its loop when they bring many bars of their own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from llm_integration.bar_forms import is_frame
from llm_integration.domain import Bar, Signal, SignalRead, signal_in_pieces
from llm_integration.fairness import BARS_AT_ONCE, Steps, at_once, in_turns
from llm_integration.memory_store import QueuedSignal
from llm_integration.remarks import Remarks
from llm_integration.times import TimeRules, zone_named

__all__ = ["SignalReader"]

logger = logging.getLogger(__name__)

MOST_AHEAD = 64
"""Signals that are made and not taken yet."""


class SignalReader:
    """Makes signals, and says once of each shape what of it cannot be used.

    ``turn`` is awaited before each piece of computing but the first; ``zone`` is that of times without one.
    """

    def __init__(
        self,
        turn: Callable[[], Awaitable[None]],
        zone: str = "UTC",
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._turn = turn
        self._zone = zone_named(zone)
        self._clock = clock
        self._remarks = Remarks(logger, zone)
        self._ahead: dict[str, tuple[Mapping[str, Any], Signal]] = {}

    async def ahead(self, entries: Iterable[QueuedSignal]) -> None:
        """Make those signals that take long; they stay where they are, and ``read`` finds them."""
        for entry in entries:
            if _takes_long(entry.signal_data) and self._known(entry) is None:
                if len(self._ahead) >= MOST_AHEAD:
                    self._ahead.clear()  # they may have ended elsewhere
                self._ahead[entry.signal_id] = entry.signal_data, await self._in_turns(entry)

    async def read_in_turns(self, entry: QueuedSignal) -> Signal:
        """The signal of ``entry``, however many bars it has."""
        if _takes_long(entry.signal_data):
            return self._known(entry) or await self._in_turns(entry)
        return self._said(at_once(self._steps(entry)))

    def read(self, entry: QueuedSignal) -> Signal:
        """The signal of ``entry``, at once."""
        known = self._known(entry) if self._ahead else None
        if known is None:
            return self._said(at_once(self._steps(entry)))
        del self._ahead[entry.signal_id]
        return known

    def _known(self, entry: QueuedSignal) -> Signal | None:
        data, signal = self._ahead.get(entry.signal_id, (None, None))
        return signal if data is entry.signal_data else None

    async def _in_turns(self, entry: QueuedSignal) -> Signal:
        return self._said(await in_turns(self._steps(entry), self._turn))

    def _steps(self, entry: QueuedSignal) -> Steps[SignalRead]:
        rules = TimeRules.at(self._clock(), self._zone)
        return signal_in_pieces(entry.signal_id, entry.signal_data, rules)

    def _said(self, read: SignalRead) -> Signal:
        if read.remarks or read.naive:
            self._remarks.tell(read.remarks, naive=read.naive)
        return read.signal


def _takes_long(data: Mapping[str, Any]) -> bool:
    """True for a signal with many bars that are no ``Bar`` yet, or with any in a DataFrame."""
    bars = data.get("bars")
    if type(bars) is tuple and bars and type(bars[0]) is Bar:
        return False
    if is_frame(bars):
        return True
    if not isinstance(bars, Collection) or isinstance(bars, (str, bytes)):
        return False
    if isinstance(bars, Mapping):  # of columns, or of bars by their times
        return True
    try:
        return len(bars) > BARS_AT_ONCE // 2
    except Exception:  # whatever a foreign container raises; it has no bars then
        return False
