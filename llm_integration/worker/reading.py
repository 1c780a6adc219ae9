"""From a host's mappings to signals, without holding up its loop when they bring many bars of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from llm_integration.bar_forms import is_frame
from llm_integration.domain import BARS_AT_ONCE, Bar, Signal, bars_in_pieces
from llm_integration.memory_store import QueuedSignal
from llm_integration.pieces import in_turns

__all__ = ["SignalReader"]

MOST_AHEAD = 64
"""Signals that are made and not taken yet."""


class SignalReader:
    """Makes signals. ``turn`` is awaited before each piece of computing but the first."""

    def __init__(self, turn: Callable[[], Awaitable[None]]) -> None:
        self._turn = turn
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
        return Signal.from_mapping(entry.signal_id, entry.signal_data)

    def read(self, entry: QueuedSignal) -> Signal:
        """The signal of ``entry``, at once."""
        known = self._known(entry) if self._ahead else None
        if known is None:
            return Signal.from_mapping(entry.signal_id, entry.signal_data)
        del self._ahead[entry.signal_id]
        return known

    def _known(self, entry: QueuedSignal) -> Signal | None:
        data, signal = self._ahead.get(entry.signal_id, (None, None))
        return signal if data is entry.signal_data else None

    async def _in_turns(self, entry: QueuedSignal) -> Signal:
        bars = await in_turns(bars_in_pieces(entry.signal_data["bars"]), self._turn)
        await self._turn()
        return Signal.from_mapping(entry.signal_id, {**entry.signal_data, "bars": bars})


def _takes_long(data: Mapping[str, Any]) -> bool:
    """True for a signal with many bars that are no ``Bar`` yet, or with any in a DataFrame."""
    bars = data.get("bars")
    if type(bars) is tuple and bars and type(bars[0]) is Bar:
        return False
    if is_frame(bars):
        return True
    if not isinstance(bars, Collection) or isinstance(bars, (str, bytes, Mapping)):
        return False
    try:
        return len(bars) > BARS_AT_ONCE // 2
    except Exception:  # whatever a foreign container raises; it has no bars then
        return False
