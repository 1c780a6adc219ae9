"""What a host hands over: signals in the forms that the parts take, and bars on their way to the loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_integration.domain import Bar, LLMAnalysis, Signal, TaskStatus

__all__ = ["BarQueue", "GivenBar", "as_mapping", "in_session", "unasked"]

MOST_BARS = 100_000
"""Bars that wait for the start of the sidecar; of more the last ones."""


class GivenBar(NamedTuple):
    """A closed bar as the host gave it. ``stored``: PostgreSQL has it from an earlier run."""

    bar: Bar
    symbol: str
    signal: Signal | None
    stored: bool


class BarQueue:
    """Takes bars from any thread and gives them, in their order, to ``take`` on the event loop.

    In the loop's own thread that happens at once; before ``open`` they wait.
    """

    def __init__(self, take: Callable[[GivenBar], None]) -> None:
        self._take = take
        self._bars: deque[GivenBar] = deque(maxlen=MOST_BARS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def open(self) -> None:
        """From now on bars are taken by the running event loop."""
        self._thread, self._loop = threading.get_ident(), asyncio.get_running_loop()
        self._pass_on()

    def put(self, bar: GivenBar) -> None:
        """Hand a bar over."""
        self._bars.append(bar)
        if self._loop is None:
            return
        if threading.get_ident() == self._thread:
            self._pass_on()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody takes bars any more
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        while self._bars:
            self._take(self._bars.popleft())


def as_mapping(signal: Signal) -> dict[str, Any]:
    """What the memory store takes."""
    return {"signal_id": signal.signal_id, "signal_data": {
        "timestamp": signal.timestamp,
        "symbol": signal.symbol,
        "signal_type": signal.signal_type,
        "entry_price": signal.entry_price,
        "stop_loss": signal.stop_loss,
        "target_price": signal.target_price,
        "indicators": signal.indicators,
        "bars": signal.bars,
        "session_id": signal.session_id,
        "strategy": signal.strategy,
    }}  # fmt: skip


def in_session(signal: Mapping[str, Any], session: str) -> Mapping[str, Any]:
    """The signal with the host's session, unless it names one."""
    try:
        data = signal["signal_data"]
        if "session_id" in data or not isinstance(data, Mapping):
            return signal
        return {**signal, "signal_data": {**data, "session_id": session}}
    except Exception:  # whatever it is, the store says what is wrong with it
        return signal


def unasked(signal: Signal, reason: str) -> LLMAnalysis:
    """Lets the bar of a signal into the file when nobody is going to answer it."""
    return LLMAnalysis(signal_id=signal.signal_id, status=TaskStatus.EXPIRED, error=f"LLM off: {reason}")
