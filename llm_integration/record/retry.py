"""Finished tasks made pending again, so that a worker asks about their signals once more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from llm_integration.record.connections import Connections
from llm_integration.record.rows import Row
from llm_integration.record.statements import load
from llm_integration.record.storable import LONGEST_NAME, clean_key, clean_text

__all__ = ["RetryChoice", "RetryStore", "Retryable"]

ROUND = 200
"""Tasks per statement: each is a short transaction, and a worker can take the first while others follow."""

_STATEMENTS = load("retry.sql")
CHOSEN = _STATEMENTS["CHOSEN"]
NOW = _STATEMENTS["NOW"]
RETRY = _STATEMENTS["RETRY"]


@dataclass(frozen=True, slots=True)
class RetryChoice:
    """Which finished tasks: how they ended, and where and since when."""

    failed: bool = False
    expired: bool = False
    unrated: bool = False
    session_id: str | None = None
    since: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Retryable:
    """A finished task and how it had ended. ``spent_usd`` None: nothing is known to have been spent."""

    task_id: int
    signal_id: str
    symbol: str | None
    timestamp: datetime | None
    status: str
    reason: str | None
    model: str | None
    spent_usd: Decimal | None


class RetryStore:
    """Asking again about what came to nothing."""

    _connections: Connections

    async def find_retryable(self, choice: RetryChoice) -> list[Retryable]:
        """The tasks that ``retry`` would make pending, oldest first; nothing is changed."""
        rows = await self._connections.fetch(
            "looking for tasks", CHOSEN, *_arguments(choice, await self._now(), choice.limit)
        )
        return [_retryable(row) for row in rows]

    async def retry(self, choice: RetryChoice, *, model: str | None = None) -> list[Retryable]:
        """Make the chosen tasks pending, oldest first, to be asked of ``model`` if one is given.

        Tasks that finish again meanwhile are left as they are. A task is done wholly or not at all; an
        error in the middle leaves those that were done.
        """
        now = await self._now()
        done: list[Retryable] = []
        while choice.limit is None or len(done) < choice.limit:
            room = ROUND if choice.limit is None else min(ROUND, choice.limit - len(done))
            rows = await self._connections.fetch(
                "asking again", RETRY, *_arguments(choice, now, room), clean_text(model, LONGEST_NAME)
            )
            done += [_retryable(row) for row in rows]
            if not rows:
                break
        return done

    async def _now(self) -> datetime:
        moment: datetime = (await self._connections.fetch("reading the clock", NOW))[0]["at"]
        return moment


def _arguments(choice: RetryChoice, until: datetime, limit: int | None) -> tuple[object, ...]:
    session = None if choice.session_id is None else clean_key(choice.session_id)
    return choice.failed, choice.expired, choice.unrated, session, choice.since, until, limit


def _retryable(row: Row) -> Retryable:
    return Retryable(
        task_id=row["task_id"],
        signal_id=row["signal_id"],
        symbol=row["symbol"],
        timestamp=row["timestamp"],
        status=row["status"],
        reason=row["reason"],
        model=row["model_served"] or row["model_requested"],
        spent_usd=row["spent_usd"],
    )
