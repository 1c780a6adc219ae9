"""Outcomes on their way from the thread that follows signals to PostgreSQL, which the event loop talks to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from llm_integration.domain import Signal
from llm_integration.record.errors import BadRowError, DatabaseError
from llm_integration.record.outcomes import OutcomeStore, record_row
from llm_integration.worth.outcome import OutcomeRecord

__all__ = ["UnsavedOutcomes"]

logger = logging.getLogger(__name__)

MOST_UNSAVED = 20_000
"""Outcomes that wait while PostgreSQL is away; of more than that the oldest are left to ``worth``."""
MOST_LOOKED_UP = 1_000
AT_ONCE, LOOKED_UP_AT_ONCE = 100, 25
RETRY_SECONDS = 2.0

Found = Callable[[Signal | None], None]


class UnsavedOutcomes:
    """``put``, ``look_up`` and ``tell`` are the thread's, ``keep_saving`` and ``save_rest`` the loop's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, Any]] = {}
        self._looked_up: dict[str, list[Found]] = {}
        self._wake: Callable[[], object] | None = None
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, record: OutcomeRecord) -> None:
        """To be stored, in the place of what waits for the same signal."""
        row = record_row(record)
        with self._lock:
            self._rows[row["signal_id"]] = row
            if len(self._rows) > MOST_UNSAVED:
                del self._rows[next(iter(self._rows))]
                self.left_out += 1

    def look_up(self, signal_id: str, found: Found) -> bool:
        """Have ``found`` called with the stored signal, in the loop. False: nobody can."""
        with self._lock:
            if self._wake is None or len(self._looked_up) >= MOST_LOOKED_UP:
                return False
            self._looked_up.setdefault(signal_id, []).append(found)
        return True

    def tell(self) -> None:
        """There may be something to do for the loop."""
        if self._wake is not None and (self._rows or self._looked_up):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._wake()

    async def keep_saving(self, store: OutcomeStore) -> None:
        """Store what comes, until this is cancelled; while PostgreSQL is away it waits here."""
        came = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, came.set)
        while True:
            came.clear()
            try:
                await self._save(store)
            except DatabaseError as error:
                logger.debug("outcomes wait: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await came.wait()

    async def save_rest(self, store: OutcomeStore, seconds: float) -> None:
        """Within ``seconds``; what is left then is said."""
        self._wake = None
        try:
            async with asyncio.timeout(seconds):
                await self._save(store)
        except (DatabaseError, TimeoutError) as error:
            logger.debug("outcomes are not stored: %s", error)
        if self._rows:
            logger.warning(
                "%d outcomes did not reach PostgreSQL; `python -m llm_integration worth` tells those of bars"
                " again", len(self._rows),
            )  # fmt: skip

    async def _save(self, store: OutcomeStore) -> None:
        while self._rows:
            rows = self._taken()
            try:
                await store.save(rows)
            except BaseException as error:
                if not isinstance(error, BadRowError):
                    self._put_back(rows)
                    raise
                logger.error("PostgreSQL refuses %d outcomes, which are left out: %s", len(rows), error)
        while self._looked_up:
            await self._look_some_up(store)

    async def _look_some_up(self, store: OutcomeStore) -> None:
        with self._lock:
            asked = list(self._looked_up)[:LOOKED_UP_AT_ONCE]
        signals = await store.signals(asked)
        for name in asked:
            with self._lock:
                waiting = self._looked_up.pop(name)
            for found in waiting:
                found(signals.get(name))

    def _taken(self) -> list[dict[str, Any]]:
        with self._lock:
            names = list(self._rows)[:AT_ONCE]
            return [self._rows.pop(name) for name in names]

    def _put_back(self, rows: list[dict[str, Any]]) -> None:
        """At their old place, unless something newer has come for the same signal."""
        with self._lock:
            kept = {row["signal_id"]: row for row in rows}
            self._rows = {**kept, **self._rows}
