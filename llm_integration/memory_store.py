"""SignalMemoryStore: the bounded queue between the trading loop and the worker. Synchronous, no I/O.

An entry is pending, processing or finished, and each of the three has a container of its own, so that
no operation looks at entries it is not about.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from llm_integration.bar_forms import as_mapping
from llm_integration.domain import TaskStatus
from llm_integration.errors import InvalidSignalError

__all__ = ["QueuedSignal", "SignalMemoryStore"]

logger = logging.getLogger(__name__)

MAX_ID_CHARS = 256
"""Longest accepted signal id; PostgreSQL cannot index a text of a few thousand bytes."""

OWN_FIELDS = frozenset({"signal_data", "added_at", "finished_at"})


@dataclass(slots=True, eq=False)
class QueuedSignal:
    """One signal in memory. Times are seconds of the store's clock, not of the wall clock.

    Read it freely; only the store changes it. ``number`` counts additions and gives the FIFO order.
    """

    signal_id: str
    signal_data: Mapping[str, Any]
    added_at: float
    number: int
    status: TaskStatus = TaskStatus.PENDING
    finished_at: float | None = None
    extra: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The entry as users see it: a new dict with the signal, its state and what was noted since."""
        return {
            "signal_id": self.signal_id,
            "signal_data": self.signal_data,
            "status": self.status.value,
            "added_at": self.added_at,
            "finished_at": self.finished_at,
            **(self.extra or {}),
        }


class _Arrivals:
    """Signals nobody has taken yet, in the order of addition.

    Parallel tables of texts and numbers rather than one object per signal: what the garbage collector does
    not have to track does not make it run in the middle of the trading loop. And an OrderedDict rather
    than a dict, whose front is slow to find after many removals there.
    """

    __slots__ = ("added_at", "data", "numbers")

    def __init__(self) -> None:
        self.data: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self.added_at: dict[str, float] = {}
        self.numbers: dict[str, int] = {}

    def first(self) -> str | None:
        """The id that has waited longest."""
        return next(iter(self.data), None)

    def entry(self, signal_id: str) -> QueuedSignal:
        """The signal as an object of its own; it stays where it is."""
        return QueuedSignal(
            signal_id, self.data[signal_id], self.added_at[signal_id], self.numbers[signal_id]
        )

    def pop(self, signal_id: str) -> QueuedSignal:
        """The signal as an object of its own, taken out."""
        return QueuedSignal(
            signal_id, self.data.pop(signal_id), self.added_at.pop(signal_id), self.numbers.pop(signal_id)
        )


class _Entries:
    """Signals that were taken or changed once, as objects and divided by their status, and how the ``fresh``
    ones become such. Not for several threads.
    """

    __slots__ = ("entries", "finished", "fresh", "processing", "returned")

    def __init__(self, fresh: _Arrivals) -> None:
        self.fresh = fresh
        self.entries: dict[str, QueuedSignal] = {}
        """All of them; each is in one of the other three as well."""
        self.returned: list[QueuedSignal] = []
        """The pending ones, in the order of addition."""
        self.processing: dict[str, QueuedSignal] = {}
        self.finished: OrderedDict[str, QueuedSignal] = OrderedDict()
        """In the order in which they finished."""

    def own(self, signal_id: str) -> QueuedSignal | None:
        """The entry of a signal, from now on an object that can be changed."""
        if signal_id in self.fresh.data:
            entry = self.entries[signal_id] = self.fresh.pop(signal_id)
            insort(self.returned, entry, key=_number)
            return entry
        return self.entries.get(signal_id)

    def waiting(self, signal_id: str) -> QueuedSignal | None:
        """The entry of a signal if it is pending; it stays where it is."""
        if signal_id in self.fresh.data:
            return self.fresh.entry(signal_id)
        entry = self.entries.get(signal_id)
        return entry if entry is not None and entry.status is TaskStatus.PENDING else None

    def oldest(self) -> QueuedSignal | None:
        """The pending signal that was added first, as an object that can be changed."""
        fresh = self.fresh.first()
        if not self.returned:
            return None if fresh is None else self.own(fresh)
        if fresh is None or self.returned[0].number < self.fresh.numbers[fresh]:
            return self.returned[0]
        return self.own(fresh)

    def next(self, limit: int) -> list[QueuedSignal]:
        """Up to ``limit`` pending signals, oldest first; they stay where they are."""
        fresh = [self.fresh.entry(signal_id) for signal_id in islice(self.fresh.data, limit)]
        if not self.returned:
            return fresh
        return sorted([*self.returned[:limit], *fresh], key=_number)[:limit]

    def move(self, entry: QueuedSignal, status: TaskStatus, finished_at: float | None = None) -> None:
        """Give an entry another status; a pending one takes its place by the order of addition."""
        if status is entry.status:
            return
        if entry.status is TaskStatus.PROCESSING:
            del self.processing[entry.signal_id]
        elif entry.status is TaskStatus.PENDING:
            del self.returned[bisect_left(self.returned, entry.number, key=_number)]
        else:
            del self.finished[entry.signal_id]
        entry.status = status
        entry.finished_at = finished_at
        if status is TaskStatus.PENDING:
            insort(self.returned, entry, key=_number)
        elif status is TaskStatus.PROCESSING:
            self.processing[entry.signal_id] = entry
        else:
            self.finished[entry.signal_id] = entry

    def drop_oldest_finished(self) -> bool:
        """Forget the one that finished first; False if none has."""
        if not self.finished:
            return False
        signal_id, _ = self.finished.popitem(last=False)
        del self.entries[signal_id]
        return True

    def drop_finished(self, until: float, limit: int | None) -> int:
        """Forget up to ``limit`` that finished no later than ``until``; how many."""
        removed = 0
        while self.finished and removed != limit:
            finished_at = next(iter(self.finished.values())).finished_at
            if finished_at is not None and finished_at > until:
                break
            self.drop_oldest_finished()
            removed += 1
        return removed


class SignalMemoryStore:
    """Holds signals from the moment they are found until some time after they are answered.

    Every method may be called from any thread. Each takes constant time, except that those which
    return or remove several entries take time in proportion to these, and that putting one back among
    k others put back costs log k.

    ``max_signals`` bounds all entries together. ``retention_minutes`` is how long a finished one stays
    readable. ``clock`` gives seconds and never steps back.
    """

    def __init__(
        self,
        max_signals: int = 1000,
        retention_minutes: float = 60,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_signals < 1:
            raise ValueError(f"max_signals should be at least 1, not {max_signals}")
        if not retention_minutes >= 0:
            raise ValueError(f"retention_minutes should be 0 or more, not {retention_minutes}")
        self._capacity = max_signals
        self._retention = retention_minutes * 60
        self._clock = clock
        self._lock = threading.RLock()
        self._waker: Callable[[], object] | None = None
        self._waker_failed = False
        self._fresh = _Arrivals()
        self._all = _Entries(self._fresh)
        self._entries = self._all.entries
        self._followed: deque[str] | None = None
        """Ids in the order of addition that ``arrivals`` has not told of yet; None while nobody asks."""
        self._added = self._rejected = self._duplicates = self._evicted = self._removed = 0

    # The trading loop's side

    def add_signal(self, signal: Mapping[str, Any]) -> bool:
        """Queue ``{"signal_id": str, "signal_data": {...}}``; True if the store holds it now.

        An id that is held already is not queued twice and also gives True. False means that the store is
        full of unfinished signals. ``signal_data`` is handed over, not copied: bars common to many signals
        exist once, and nothing in it may be changed afterwards.

        Raises InvalidSignalError for anything that is not such a mapping.
        """
        signal_id, data = _checked(signal)
        fresh = self._fresh
        with self._lock:
            if signal_id in fresh.data or signal_id in self._entries:
                self._duplicates += 1
                return True
            if len(fresh.data) + len(self._entries) >= self._capacity:
                if not self._all.drop_oldest_finished():
                    self._rejected += 1
                    return False
                self._evicted += 1
            self._added += 1
            fresh.added_at[signal_id] = self._clock()
            fresh.numbers[signal_id] = self._added
            fresh.data[signal_id] = data
            if self._followed is not None:
                self._followed.append(signal_id)
            waker = self._waker
        if waker is not None:  # outside the lock: it may take locks of its own
            self._wake(waker)
        return True

    def set_waker(self, callback: Callable[[], object] | None) -> None:
        """Have ``callback`` called after each addition, in the adding thread; None for nobody."""
        with self._lock:
            self._waker = callback
            self._waker_failed = False

    def _wake(self, waker: Callable[[], object]) -> None:
        try:
            waker()
        except Exception:  # whatever is wrong with the worker, the trading loop goes on
            if not self._waker_failed:
                self._waker_failed = True
                logger.exception("the worker cannot be woken; it will find the signals when it next looks")

    # Looking and noting

    def get_signal(self, signal_id: str) -> dict[str, Any] | None:
        """The signal with its status and whatever ``update_signal`` noted; None if it is not here."""
        with self._lock:
            entry = self._entries.get(signal_id)
            if entry is None and signal_id in self._fresh.data:
                entry = self._fresh.entry(signal_id)
            return entry.to_dict() if entry else None

    def get_pending_signals(self, limit: int = 10) -> list[dict[str, Any]]:
        """Up to ``limit`` pending signals, oldest first, without taking them."""
        with self._lock:
            return [entry.to_dict() for entry in self._all.next(max(0, limit))]

    def update_signal(self, signal_id: str, status: TaskStatus | str | None = None, **fields: Any) -> bool:
        """Set the status of a signal and note ``fields`` beside it; False if it is not in memory.

        A signal that becomes ``pending`` again takes back its place in the order of addition. That is the
        front, because whatever was taken before it has gone ahead of everything that is still waiting.

        Raises ValueError for a status that does not exist and for a field that the store itself keeps.
        """
        if taken := OWN_FIELDS.intersection(fields):
            raise ValueError(f"{', '.join(sorted(taken))} cannot be changed")
        wanted = None if status is None else TaskStatus(status)
        with self._lock:
            entry = self._all.own(signal_id)
            if entry is None:
                return False
            if fields:
                entry.extra = {**(entry.extra or {}), **fields}
            if wanted is not None:
                self._all.move(entry, wanted, self._clock() if wanted.final else None)
            return True

    def cleanup_old_signals(self, limit: int | None = None) -> int:
        """Remove signals that finished longer ago than the retention; returns how many.

        Unfinished ones stay, however old. ``limit`` bounds the work of one call.
        """
        with self._lock:
            removed = self._all.drop_finished(self._clock() - self._retention, limit)
            self._removed += removed
        return removed

    def get_statistics(self) -> dict[str, int]:
        """How many signals are in each state now, and what happened since the start."""
        with self._lock:
            return {
                "pending": len(self._fresh.data) + len(self._all.returned),
                "processing": len(self._all.processing),
                "finished": len(self._all.finished),
                "total_added": self._added,
                "rejected": self._rejected,
                "duplicates": self._duplicates,
                "evicted": self._evicted,
                "cleaned_up": self._removed,
                "capacity": self._capacity,
            }

    # The worker's side

    def take_pending(self, limit: int) -> list[QueuedSignal]:
        """Up to ``limit`` pending signals, oldest first; from now on they are ``processing``."""
        taken: list[QueuedSignal] = []
        with self._lock:
            while len(taken) < limit and (entry := self._all.oldest()) is not None:
                self._all.move(entry, TaskStatus.PROCESSING)
                taken.append(entry)
        return taken

    def next_pending(self, limit: int) -> list[QueuedSignal]:
        """The up to ``limit`` signals that ``take_pending`` would take first, without taking them."""
        with self._lock:
            return self._all.next(limit)

    def requeue(self, signal_ids: Iterable[str]) -> int:
        """Make those of ``signal_ids`` that are ``processing`` pending again, each in its old place.

        Returns how many. Pending, finished and unknown ones are left alone. The waker is not called: who
        gives back knows.
        """
        count = 0
        with self._lock:
            for signal_id in signal_ids:
                entry = self._all.processing.get(signal_id)
                if entry is not None:
                    self._all.move(entry, TaskStatus.PENDING)
                    count += 1
        return count

    def finish(self, signal_id: str, status: TaskStatus) -> bool:
        """Give a signal its end (``completed``, ``failed`` or ``expired``); False if it is not in memory.

        Raises ValueError for a status that is no end.
        """
        if not TaskStatus(status).final:
            raise ValueError(f"{status} is not the end of a signal")
        return self.update_signal(signal_id, status)

    def follow_arrivals(self) -> None:
        """Have ``arrivals`` tell of what waits now and of what comes from now on."""
        with self._lock:
            if self._followed is None:
                waiting = [*(entry.signal_id for entry in self._all.returned), *self._fresh.data]
                self._followed = deque(waiting, maxlen=self._capacity)

    def arrivals(self, limit: int, age: float = 0.0) -> list[QueuedSignal]:
        """Up to ``limit`` signals that have waited for ``age`` seconds or longer, oldest first, each once.

        What was taken before it was told is passed over. More than ``max_signals`` of them are never kept
        in mind: beyond that the oldest are passed over, too.
        """
        told: list[QueuedSignal] = []
        with self._lock:
            last = self._clock() - age
            while self._followed and len(told) < limit:
                signal_id = self._followed[0]
                entry = self._all.waiting(signal_id)
                if entry is not None:
                    if entry.added_at > last:
                        break
                    told.append(entry)
                self._followed.popleft()
        return told

    @property
    def untold(self) -> bool:
        """Whether ``arrivals`` may have something to tell, now or later."""
        return bool(self._followed)

    def room(self) -> int:
        """How many new signals would be accepted now."""
        with self._lock:
            return self._capacity - len(self._fresh.data) - len(self._entries) + len(self._all.finished)

    def ids(self) -> list[str]:
        """The ids of all unfinished signals."""
        with self._lock:
            returned = [entry.signal_id for entry in self._all.returned]
            return [*self._all.processing, *returned, *self._fresh.data]

    def is_unfinished(self, signal_id: str) -> bool:
        """Whether the signal is here and has not had its end."""
        with self._lock:
            entry = self._entries.get(signal_id)
            return signal_id in self._fresh.data if entry is None else not entry.status.final


def _number(entry: QueuedSignal) -> int:
    return entry.number


def _checked(signal: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    try:
        signal_id, data = signal["signal_id"], signal["signal_data"]
    except (KeyError, TypeError, IndexError, AttributeError):
        raise InvalidSignalError(_what_is_missing(signal)) from None
    if not isinstance(signal_id, str) or not signal_id:
        raise InvalidSignalError(f"signal_id should be a text that is not empty, not {_kind(signal_id)}")
    if len(signal_id) > MAX_ID_CHARS:
        raise InvalidSignalError(f"signal_id has {len(signal_id)} characters; {MAX_ID_CHARS} are allowed")
    if type(data) is dict or isinstance(data, Mapping):  # a dict needs no search for its base
        return signal_id, data
    named = as_mapping(data)  # a pandas Series has its values by name, too
    if named is None:
        raise InvalidSignalError(f"signal_data should be a mapping, not {_kind(data)}")
    return signal_id, named


def _what_is_missing(signal: object) -> str:
    if not isinstance(signal, Mapping):
        return f"a signal should be a mapping with signal_id and signal_data, not {_kind(signal)}"
    missing = [name for name in ("signal_id", "signal_data") if name not in signal]
    return f"the signal has no {' and no '.join(missing)}"


def _kind(value: object) -> str:
    return "an empty text" if isinstance(value, str) and not value else type(value).__name__
