"""A demo on somebody's own database leaves real tasks alone."""

from __future__ import annotations

import pytest

from database import DatabaseManager
from llm_integration.domain import Signal
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
