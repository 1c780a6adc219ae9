"""What the record in memory has beyond the contract of all: a bound, and kinds of tasks kept apart."""

from __future__ import annotations

from llm_integration.record.memory import MemoryRecord, MemoryTables
from tests.integration.database_helpers import LEASE, answer, signal


async def test_the_oldest_ends_are_forgotten() -> None:
    """A host of days does not grow: beyond the bound only what has no end is kept."""
    tables = MemoryTables(most_finished=3)
    record = MemoryRecord(tables)
    await record.record_signals([signal("waits")])
    for at in range(10):
        await record.save_outcomes([(answer(f"s-{at}"), None)])
    found = await record.finished_analyses([f"s-{at}" for at in range(10)])
    assert [ended.signal_id for ended in found] == ["s-7", "s-8", "s-9"]
    assert len(tables.tasks) == 4


async def test_simulated_and_real_tasks_are_kept_apart() -> None:
    """A simulated model never answers a real signal, nor the other way round."""
    tables = MemoryTables()
    real, simulated = MemoryRecord(tables), MemoryRecord(tables)
    real.simulated, simulated.simulated = False, True
    await real.record_signals([signal("real")])
    await simulated.record_signals([signal("simulated")])
    for record, name in ((real, "real"), (simulated, "simulated")):
        found = await record.claim_waiting(worker_id="w", limit=10, lease_seconds=LEASE)
        assert [got.signal_id for _, got in found] == [name]


async def test_a_lease_runs_out_by_the_clock() -> None:
    """To the second, and a reservation of one's own is taken after two of them."""
    now = [0.0]
    record = MemoryRecord(MemoryTables(clock=lambda: now[0]))
    await record.record_signals([signal("s-1")], worker_id="a", lease_seconds=15.0)
    now[0] = 2.0
    assert await record.claim_waiting(worker_id="b", limit=1, lease_seconds=5.0) == []
    assert len(await record.claim_waiting(worker_id="a", limit=1, lease_seconds=5.0)) == 1
    now[0] = 6.9
    assert await record.claim_waiting(worker_id="b", limit=1, lease_seconds=5.0) == []
    now[0] = 7.0
    assert len(await record.claim_waiting(worker_id="b", limit=1, lease_seconds=5.0)) == 1
