"""Notes about requests on their way into the ledger: bounded, merged by request, written in batches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice

from llm_integration.availability import Availability
from llm_integration.budget import Grant, SpendRequest
from llm_integration.record import ledger_queries as queries
from llm_integration.record.connections import Connections
from llm_integration.record.errors import BadRowError, DatabaseError
from llm_integration.record.storable import LONGEST_NAME, clean_text

__all__ = ["Change", "SettleQueue"]

logger = logging.getLogger(__name__)

LARGEST_BATCH = 50
"""Requests per statement: it holds the lock of the key."""
LARGEST_COUNT = 2**62


@dataclass(frozen=True, slots=True)
class Change:
    """All that is known about one request. ``made`` is when, on the clock of the queue."""

    grant_id: str
    model: str
    symbols: Mapping[str, int]
    reserved_usd: Decimal | None
    reserved_tokens: int
    made: float
    state: str = "reserved"
    billed_usd: Decimal | None = None
    billed_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @classmethod
    def of(cls, grant: Grant, request: SpendRequest, tokens: int, made: float) -> Change:
        """A request that was just made."""
        symbols: dict[str, int] = {}
        for symbol, count in request.symbols.items():
            name = clean_text(symbol, LONGEST_NAME) or ""
            symbols[name] = symbols.get(name, 0) + max(1, count)
        model = clean_text(grant.model, LONGEST_NAME) or ""
        return cls(grant.grant_id, model, symbols, grant.reserved_usd, tokens, made)

    def ended(
        self,
        state: str,
        billed: Decimal | None = None,
        tokens: int | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> Change:
        """The request with its end."""
        return replace(
            self,
            state=state,
            billed_usd=billed,
            billed_tokens=tokens,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )

    def row(self, now: float) -> dict[str, object]:
        """As the SQL takes it."""
        return {
            "grant_id": self.grant_id,
            "model": self.model,
            "symbols": dict(self.symbols),
            "reserved_usd": None if self.reserved_usd is None else str(self.reserved_usd),
            "reserved_tokens": self.reserved_tokens,
            "age": max(0.0, now - self.made),
            "state": self.state,
            "billed_usd": None if self.billed_usd is None else str(self.billed_usd),
            "billed_tokens": _count(self.billed_tokens),
            "prompt_tokens": _count(self.prompt_tokens),
            "completion_tokens": _count(self.completion_tokens),
        }


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < LARGEST_COUNT else None


class SettleQueue:
    """Notes wait here until PostgreSQL has them. For one event loop; ``flush`` for one task at a time."""

    def __init__(
        self,
        connections: Connections,
        key_fingerprint: str,
        worker_id: str,
        *,
        size: int,
        clock: Callable[[], float],
        availability: Availability,
    ) -> None:
        self._connections = connections
        self._availability = availability
        self._key = key_fingerprint
        self._worker_id = worker_id
        self._size = size
        self._clock = clock
        self._notes: dict[str, Change] = {}
        self._open: dict[str, Change] = {}
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._writing = asyncio.Lock()
        self._said_full = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Notes that PostgreSQL does not have yet."""
        return len(self._notes)

    def open(self, change: Change) -> None:
        """A request is on its way and PostgreSQL knows it."""
        self._open[change.grant_id] = change

    def opened(self, grant_id: str) -> Change | None:
        """The request of a grant that was not settled yet, once."""
        return self._open.pop(grant_id, None)

    def put(self, change: Change) -> None:
        """Note ``change``; a later one takes the place of an earlier one about the same request."""
        on_its_way = change.state == "reserved"
        if on_its_way:
            self.open(change)
        if self._closing.is_set() or (len(self._notes) >= self._size and change.grant_id not in self._notes):
            if not on_its_way:  # else there is another chance at its end
                self._drop()
            return
        self._notes[change.grant_id] = change
        self._wake.set()

    def _drop(self) -> None:
        self.dropped += 1
        if not self._said_full:
            self._said_full = True
            logger.warning(
                "the ledger takes no more notes (%d wait for PostgreSQL): what these requests cost will "
                "be missing, and what was put aside for them stays put aside",
                len(self._notes),
            )

    async def wait(self, seconds: float) -> None:
        """Until there is something to write or ``close``, at most ``seconds``; after a failure, a pause."""
        if self._closing.is_set():  # a flush that was under way may have taken the waking for its own
            return
        failing = self._availability.error_of("ledger") is not None
        event = self._closing if failing else self._wake
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._availability.retry_in("ledger") if failing else seconds):
                await event.wait()

    async def rest(self, seconds: float) -> None:
        """Until ``close``, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def flush(self) -> int:
        """Write until nothing waits or PostgreSQL does not take it; how many were written."""
        written = 0
        async with self._writing:
            while self._notes:
                batch = list(islice(self._notes.values(), LARGEST_BATCH))
                try:
                    await self._write(batch)
                except DatabaseError as error:
                    self._availability.failed(error, "ledger")
                    return written
                written += len(batch)
            self._mended()
        return written

    async def _write(self, batch: list[Change]) -> None:
        now = self._clock()
        rows = [change.row(now) for change in batch]
        try:
            await self._connections.fetch(
                "writing the ledger", queries.SETTLE, self._key, self._worker_id, rows
            )
        except BadRowError as error:
            if len(batch) > 1:
                for change in batch:
                    await self._write([change])
                return
            self.dropped += 1
            logger.error("request %s cannot be entered into the ledger: %s", batch[0].grant_id, error)
        for change in batch:  # what was noted about it meanwhile stays
            if self._notes.get(change.grant_id) is change:
                del self._notes[change.grant_id]

    def _mended(self) -> None:
        self._wake.clear()
        if self._availability.error_of("ledger") is not None:
            self._said_full = False
            self._availability.over("ledger")

    async def close(self, timeout: float) -> int:
        """Write what waits, within ``timeout`` seconds and until a first failure; how many stay unsettled."""
        self._closing.set()
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.flush()
        self._availability.withdraw("ledger")
        left = len(self._notes.keys() | self._open.keys())
        if left:
            logger.warning(
                "%d requests stay unsettled in the ledger; what was put aside for them stays", left
            )
        return left
