"""Which bars may be written now: in bar order, none before the signal it brought has an outcome.

A bar whose signal is unresolved holds itself and every later bar of its stream back. Past ``max_held``
bars the oldest unresolved signal is given up: its bar goes out as pending, with what waited behind it.
Pure and synchronous; every operation is O(1), ``take`` O(rows taken).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime

from llm_integration.csv_exporter.rows import NO_SIGNAL, PENDING, StreamKey

__all__ = ["HoldBack", "ReadyBar"]

MAX_EARLY = 5_000
"""Outcomes kept that came before the bar of their signal."""


@dataclass(slots=True)
class _Held:
    time: datetime
    cells: str
    ending: str | None
    signal_id: str | None
    stream: _Stream


@dataclass(slots=True, eq=False)
class _Stream:
    key: StreamKey
    bars: deque[_Held] = field(default_factory=deque)
    listed: bool = False


@dataclass(frozen=True, slots=True)
class ReadyBar:
    """One finished row and its place: stream and bar time."""

    key: StreamKey
    time: datetime
    row: str


class HoldBack:
    """Orders bars and joins them with the outcomes of their signals."""

    def __init__(self, max_held: int) -> None:
        self._max_held = max_held
        self._streams: dict[StreamKey, _Stream] = {}
        self._ready: deque[_Stream] = deque()
        self._unresolved: OrderedDict[str, _Held] = OrderedDict()
        self._early: OrderedDict[str, str] = OrderedDict()
        self.held = 0
        self.given_up = 0

    @property
    def unresolved(self) -> int:
        """Signals whose bar is held back for want of an outcome."""
        return len(self._unresolved)

    @property
    def has_ready(self) -> bool:
        """True when ``take`` would bring something."""
        return bool(self._ready)

    def add(self, key: StreamKey, time: datetime, cells: str, signal_id: str | None = None) -> None:
        """Take one bar in; ``cells`` is its row without the ending that the outcome gives."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(key)
        bar = _Held(time, cells, self._known_ending(signal_id), signal_id, stream)
        stream.bars.append(bar)
        self.held += 1
        if bar.ending is None and signal_id is not None:
            self._wait_for(signal_id, bar)
        self._list(stream)
        self._keep_bound()

    def resolve(self, signal_id: str, ending: str) -> None:
        """The signal has its outcome. Without its bar so far, it is remembered until the bar comes."""
        bar = self._unresolved.pop(signal_id, None)
        if bar is not None:
            bar.ending = ending
            self._list(bar.stream)
            return
        self._early[signal_id] = ending
        if len(self._early) > MAX_EARLY:
            self._early.popitem(last=False)

    def forget(self, signal_id: str) -> None:
        """The signal's bar is in the file already: its outcome need not be remembered."""
        self._early.pop(signal_id, None)

    def release_all(self) -> None:
        """Give every unresolved signal up: all bars become ready, those of such signals as pending."""
        while self._unresolved:
            self._give_up_oldest()

    def take(self, limit: int) -> list[ReadyBar]:
        """Remove and return up to ``limit`` rows that may be written, each stream in bar order."""
        taken: list[ReadyBar] = []
        while self._ready and len(taken) < limit:
            stream = self._ready[0]
            self._take_from(stream, limit, taken)
            if not stream.bars or stream.bars[0].ending is None:
                self._ready.popleft()
                stream.listed = False
                if not stream.bars:
                    del self._streams[stream.key]
        self.held -= len(taken)
        self._keep_bound()
        return taken

    def _take_from(self, stream: _Stream, limit: int, taken: list[ReadyBar]) -> None:
        bars = stream.bars
        while bars and len(taken) < limit and (ending := bars[0].ending) is not None:
            bar = bars.popleft()
            if ending is PENDING and bar.signal_id is not None:  # its outcome may have come since
                ending = self._early.pop(bar.signal_id, ending)
            taken.append(ReadyBar(stream.key, bar.time, bar.cells + ending))

    def _known_ending(self, signal_id: str | None) -> str | None:
        return NO_SIGNAL if signal_id is None else self._early.pop(signal_id, None)

    def _wait_for(self, signal_id: str, bar: _Held) -> None:
        # Two bars of one signal (a host's mistake): the earlier would wait for ever.
        earlier = self._unresolved.pop(signal_id, None)
        if earlier is not None:
            self._give_up(earlier)
        self._unresolved[signal_id] = bar

    def _keep_bound(self) -> None:
        # While something is ready the number is about to fall by itself.
        if self.held > self._max_held and not self._ready:
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        self._give_up(self._unresolved.popitem(last=False)[1])

    def _give_up(self, bar: _Held) -> None:
        bar.ending = PENDING
        self.given_up += 1
        self._list(bar.stream)

    def _list(self, stream: _Stream) -> None:
        if not stream.listed and stream.bars and stream.bars[0].ending is not None:
            stream.listed = True
            self._ready.append(stream)
