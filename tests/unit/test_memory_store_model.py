"""SignalMemoryStore against a model so simple that it is right: one list in the order of addition."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llm_integration.domain import TaskStatus
from llm_integration.memory_store import SignalMemoryStore

CAPACITY = 6
RETENTION_SECONDS = 120.0
IDS = st.sampled_from([f"s{number}" for number in range(10)])
ENDS = st.sampled_from([status for status in TaskStatus if status.final])


@dataclass
class Kept:
    """What the model knows of one signal."""

    signal_id: str
    status: TaskStatus = TaskStatus.PENDING
    finished_at: float = 0.0
    turn: int = 0


class StoreMachine(RuleBasedStateMachine):
    """Every operation on both, and the same answers."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turn = 0
        self.store = SignalMemoryStore(CAPACITY, RETENTION_SECONDS / 60, clock=lambda: self.now)
        self.model: list[Kept] = []

    def find(self, signal_id: str) -> Kept | None:
        return next((kept for kept in self.model if kept.signal_id == signal_id), None)

    def in_state(self, *states: TaskStatus) -> list[Kept]:
        return [kept for kept in self.model if kept.status in states]

    def finished(self) -> list[Kept]:
        done = [kept for kept in self.model if kept.status.final]
        return sorted(done, key=lambda kept: kept.turn)

    def change(self, kept: Kept, status: TaskStatus) -> None:
        if status is not kept.status:
            self.turn += 1
            kept.status, kept.finished_at, kept.turn = status, self.now, self.turn

    @rule(signal_id=IDS)
    def add(self, signal_id: str) -> None:
        expected = True
        if self.find(signal_id) is None:
            if len(self.model) == CAPACITY and (finished := self.finished()):
                self.model.remove(finished[0])
            expected = len(self.model) < CAPACITY
            if expected:
                self.model.append(Kept(signal_id))
        assert self.store.add_signal({"signal_id": signal_id, "signal_data": {}}) is expected

    @rule(limit=st.integers(0, 4))
    def take(self, limit: int) -> None:
        expected = self.in_state(TaskStatus.PENDING)[:limit]
        assert [entry.signal_id for entry in self.store.take_pending(limit)] == [
            k.signal_id for k in expected
        ]
        for kept in expected:
            self.change(kept, TaskStatus.PROCESSING)

    @rule(ids=st.lists(IDS, max_size=5, unique=True))
    def requeue(self, ids: list[str]) -> None:
        back = [kept for kept in self.in_state(TaskStatus.PROCESSING) if kept.signal_id in ids]
        assert self.store.requeue(ids) == len(back)
        for kept in back:
            self.change(kept, TaskStatus.PENDING)

    @rule(signal_id=IDS, status=ENDS)
    def finish(self, signal_id: str, status: TaskStatus) -> None:
        kept = self.find(signal_id)
        assert self.store.finish(signal_id, status) is (kept is not None)
        if kept is not None:
            self.change(kept, status)

    @rule(signal_id=IDS, status=st.sampled_from(TaskStatus))
    def update(self, signal_id: str, status: TaskStatus) -> None:
        kept = self.find(signal_id)
        assert self.store.update_signal(signal_id, status=status.value, note=1) is (kept is not None)
        if kept is not None:
            self.change(kept, status)

    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0, 120.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def clean(self) -> None:
        old = [kept for kept in self.finished() if kept.finished_at <= self.now - RETENTION_SECONDS]
        assert self.store.cleanup_old_signals() == len(old)
        self.model = [kept for kept in self.model if kept not in old]

    @invariant()
    def same_content(self) -> None:
        pending = [kept.signal_id for kept in self.in_state(TaskStatus.PENDING)]
        processing = [kept.signal_id for kept in self.in_state(TaskStatus.PROCESSING)]
        assert [entry["signal_id"] for entry in self.store.get_pending_signals(CAPACITY)] == pending
        assert [entry["signal_id"] for entry in self.store.get_pending_signals(2)] == pending[:2]
        assert sorted(self.store.ids()) == sorted(pending + processing)
        assert self.store.room() == CAPACITY - len(pending) - len(processing)
        statistics = self.store.get_statistics()
        assert statistics["finished"] == len(self.finished())
        assert statistics["total_added"] - statistics["evicted"] - statistics["cleaned_up"] == len(self.model)
        for kept in self.model:
            found = self.store.get_signal(kept.signal_id)
            assert found is not None
            assert found["status"] == kept.status.value


TestStoreAgainstModel = StoreMachine.TestCase
TestStoreAgainstModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestStoreAgainstModel.__doc__ = "The store answers as a list in the order of addition would."
