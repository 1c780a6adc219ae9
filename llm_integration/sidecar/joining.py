"""Which signal a bar has brought, so that both stand in one row of the files."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from llm_integration.domain import Bar, Signal, parse_time

__all__ = ["SignalsOfBars"]

MOST_SIGNALS = 1_000
"""Signals that wait for their bar; of a host that hands over no bars, the last ones."""


class SignalsOfBars:
    """Finds a bar's signal by symbol and time. ``note`` may be called from any thread, ``of`` from one."""

    def __init__(self) -> None:
        self._new: deque[Mapping[str, Any]] = deque(maxlen=MOST_SIGNALS)
        self._known: OrderedDict[tuple[str, datetime], Signal] = OrderedDict()

    def note(self, signal: Mapping[str, Any]) -> None:
        """A signal has been handed over; nothing of it is read yet."""
        self._new.append(signal)

    def of(self, symbol: str, bar: Bar) -> Signal | None:
        """The signal that came with this bar; None for a bar without one."""
        while self._new:
            self._learn(self._new.popleft())
        moment = parse_time(bar.timestamp)
        return None if moment is None else self._known.pop((symbol, moment), None)

    def _learn(self, signal: Mapping[str, Any]) -> None:
        try:
            data = {name: value for name, value in signal["signal_data"].items() if name != "bars"}
            read = Signal.from_mapping(signal["signal_id"], data)
        except Exception:  # a foreign mapping; its row stands without the signal
            return
        if read.timestamp is not None:
            self._known[read.symbol, read.timestamp] = read
            if len(self._known) > MOST_SIGNALS:
                self._known.popitem(last=False)
