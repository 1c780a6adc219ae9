"""Everything a run does with PostgreSQL, once, in a transaction that is rolled back: would it work?

The connection is opened as a run opens it, the tables are brought up to date as a run would, and the very
statements of a run store a session, a bar, a signal, its answer and what that cost.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from llm_integration.domain import Bar, LLMAnalysis, Signal, TaskStatus
from llm_integration.record import ledger_queries
from llm_integration.record.connections import Connections, Rehearsal
from llm_integration.record.session_store import SessionStore
from llm_integration.record.task_store import TaskStore

__all__ = ["Found", "rehearse"]

LOOK = "SELECT clock_timestamp() AS now, current_setting('server_version') AS server"
WAITING = "SELECT count(*) FROM llm_enhancement_tasks WHERE status IN ('pending', 'processing')"
LEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a rehearsal saw. ``before`` and ``after`` are this machine's times around ``now``, the server's.

    ``version`` is that of the tables as they are, 0 when there are none.
    """

    server: str
    version: int
    waiting: int
    now: datetime
    before: datetime
    after: datetime


async def rehearse(connections: Connections) -> Found:
    """What a run would find. Raises what a run would raise; no row and no table is left behind."""
    async with connections.rehearsal() as rehearsal:
        before = datetime.now(UTC)
        (look,) = await rehearsal.fetch("reading the clock", LOOK)
        after = datetime.now(UTC)
        version = await rehearsal.migrate()
        (waiting,) = await rehearsal.fetch("counting tasks", WAITING)
        await _one_signal(rehearsal)
        return Found(look["server"], version, waiting[0], look["now"], before, after)


async def _one_signal(rehearsal: Rehearsal) -> None:
    """From the opening of a session to the end of its only signal, and the money for it."""
    name = f"check:{uuid.uuid4()}"
    sessions = SessionStore(cast(Connections, rehearsal))  # the stores use its fetch alone
    tasks = TaskStore(cast(Connections, rehearsal))
    now = datetime.now(UTC)
    bar = Bar(now - timedelta(hours=1), 1.0, 1.0, 1.0, 1.0, 1.0)
    await sessions.find_unfinished_session(symbol=name)
    await sessions.start_session(name, symbol=name, mode="simulated/check", source="check")
    await sessions.record_bars(name, name, [bar])
    signal = Signal(name, now, name, "BUY", 1.0, 0.9, 1.2, bars=(bar,), session_id=name)
    await tasks.record_signal(signal, worker_id=name)
    await tasks.heartbeat(name, lease_seconds=LEASE_SECONDS)
    claims = await tasks.claim_signals([signal], worker_id=name, lease_seconds=LEASE_SECONDS)
    answer = LLMAnalysis(name, TaskStatus.COMPLETED, rating=3, cost_usd=Decimal(0), processed_at=now)
    await tasks.save_outcomes([(answer, claims.get(name))])
    await tasks.retire_worker(name)
    await rehearsal.fetch("reading budgets", ledger_queries.STATE, name, [])
    await rehearsal.fetch("writing the ledger", ledger_queries.SETTLE, name, name, [_request()])
    await rehearsal.fetch("marking abandoned requests", ledger_queries.ABANDONED, name, timedelta(0))
    await sessions.end_session(name, "completed")


def _request() -> dict[str, object]:
    return {
        "grant_id": str(uuid.uuid4()), "model": "check", "symbols": {"check": 1}, "reserved_usd": "0",
        "reserved_tokens": 0, "age": 0.0, "state": "billed", "billed_usd": "0", "billed_tokens": 0,
        "prompt_tokens": 0, "completion_tokens": 0,
    }  # fmt: skip
