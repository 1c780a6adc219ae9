"""A demo on somebody's own database leaves real tasks alone."""

from __future__ import annotations

import pytest

from database import DatabaseManager
from llm_integration.domain import Signal, TaskScope
from tests.integration.database_helpers import plain
from tests.unit.worker_parts import signal_mapping

pytestmark = pytest.mark.postgres


async def test_simulated_and_real_sessions_do_not_take_each_others_tasks(db: DatabaseManager) -> None:
    """A simulated model never answers for a real session, nor is a real one paid for a demo's signals."""
    for name, mode in (("real", "live"), ("demo", "simulated/demo")):
        await db.start_session(name, symbol="ES", mode=mode)
        data = {**signal_mapping("x")["signal_data"], "session_id": name}
        await db.record_signal(Signal.from_mapping(f"of {name}", data))
    await db.record_signal(Signal.from_mapping("of nobody", signal_mapping("x")["signal_data"]))
    taken = {}
    for simulated in (True, False):
        db.simulated = simulated
        found = await db.claim_waiting(worker_id="w", limit=10, lease_seconds=10)
        taken[simulated] = sorted(claim.signal_id for claim, _ in found)
    assert taken == {True: ["of demo"], False: ["of nobody", "of real"]}


async def record(db: DatabaseManager, signal_id: str, session: str | None) -> None:
    """Store one signal of a session."""
    data = {**signal_mapping("x")["signal_data"], "session_id": session}
    await db.record_signal(Signal.from_mapping(signal_id, data))


async def taken(db: DatabaseManager, scope: TaskScope) -> list[str]:
    """What a new worker of this scope finds; everything is free again afterwards."""
    db.work_for(scope)
    found = await db.claim_waiting(worker_id="w", limit=50, lease_seconds=10)
    await db.release([claim for claim, _ in found])
    return sorted(claim.signal_id for claim, _ in found)


async def test_a_task_is_simulated_by_itself_when_its_signal_has_no_session(db: DatabaseManager) -> None:
    """An embedding host has no sessions; its tests against a simulator are never sent to a real model."""
    for simulated in (True, False):
        db.simulated = simulated
        await record(db, f"simulated {simulated}", None)
    for simulated in (True, False):
        db.simulated = simulated
        assert await taken(db, TaskScope()) == [f"simulated {simulated}"]


async def test_a_worker_takes_the_tasks_of_its_own_sessions(db: DatabaseManager) -> None:
    """Signals without a session count as one session; all are taken only by who asks for all."""
    for session in ("a", "b", None):
        await record(db, f"of {session}", session)
    assert await taken(db, TaskScope({"a"})) == ["of a"]
    assert await taken(db, TaskScope({None})) == ["of None"]
    assert await taken(db, TaskScope({"b", None})) == ["of None", "of b"]
    assert await taken(db, TaskScope(None)) == ["of None", "of a", "of b"]
    assert await taken(db, TaskScope(set())) == []
    db.work_for(TaskScope({"a"}))
    assert await db.waiting_tasks("w") == 1
    assert await db.tasks_left_alone("w") == [(None, None, 1), ("b", None, 1)]


async def test_what_is_reserved_for_a_worker_is_its_own(db: DatabaseManager, database_url: str) -> None:
    """A host may store a signal of any session for its worker."""
    await db.record_signal(
        Signal.from_mapping("x", {**signal_mapping("x")["signal_data"], "session_id": "other"}),
        worker_id="w", lease_seconds=0,
    )  # fmt: skip
    db.work_for(TaskScope({"mine"}))
    async with plain(database_url) as connection:
        await connection.execute("UPDATE llm_enhancement_tasks SET claimed_at = now() - interval '1 minute'")
    assert [claim.signal_id for claim, _ in await db.claim_waiting(worker_id="w", limit=5, lease_seconds=9)]


async def test_a_task_is_sent_to_the_endpoint_it_was_meant_for(db: DatabaseManager) -> None:
    """Under another address it waits, unless that was asked for; then it is meant for the new one."""
    here, there = TaskScope(None, "https://here/v1"), TaskScope(None, "http://there:1/v1")
    await record(db, "of nobody", "s")
    for scope in (here, there):
        db.work_for(scope)
        await record(db, f"for {scope.endpoint}", "s")
    assert await taken(db, here) == ["for https://here/v1", "of nobody"]
    assert await taken(db, there) == ["for http://there:1/v1"], "the one of nobody is meant for here by now"
    db.work_for(there)
    assert await db.tasks_left_alone("w") == [("s", "https://here/v1", 2)]
    asked = TaskScope(None, "http://there:1/v1", any_endpoint=True)
    db.work_for(asked)
    assert await db.tasks_for_elsewhere("w") == [("https://here/v1", 2)]
    assert len(await taken(db, asked)) == 3
    assert await taken(db, here) == []
