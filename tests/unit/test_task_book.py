"""The book keeps every signal through every order of events: it ends once, in order, with all it has cost."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.memory_store import QueuedSignal, SignalMemoryStore
from llm_integration.worker.answers import Acceptance, Answer
from llm_integration.worker.book import DELIVERY_PATIENCE_SECONDS, TaskBook
from llm_integration.worker.tasks import Phase, Task
from tests.unit.worker_parts import signal_mapping

MAX_AGE = 50.0
LEASE = 6.0


def read(entry: QueuedSignal) -> Signal:
    """The signal of an entry in memory."""
    return Signal.from_mapping(entry.signal_id, entry.signal_data)


def read_named(name: str) -> Signal:
    """The signal that PostgreSQL has under a name."""
    return Signal.from_mapping(name, signal_mapping(name)["signal_data"])


class Postgres:
    """Tasks as PostgreSQL holds them: who has a claim on which, and which have their result."""

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self.others: set[str] = set()
        self.results: dict[str, LLMAnalysis] = {}
        self.attempts: Counter[str] = Counter()

    def claim(self, names: list[str]) -> dict[str, Claim]:
        """Claims on those that are free, or ours already."""
        free = [name for name in names if name not in self.others and name not in self.results]
        for name in free:
            self.attempts[name] += 1
            self.claims[name] = Claim(1, name, f"{name}/{self.attempts[name]}", self.attempts[name])
        return {name: self.claims[name] for name in free}

    def save(self, batch: list[Answer]) -> set[str]:
        """Store those whose claim is the last one that was given; the ids that are ours."""
        accepted = set()
        for answer in batch:
            name, claim = answer.task.signal_id, answer.task.claim
            if claim is not None and self.claims.get(name) == claim and name not in self.results:
                self.results[name] = answer.analysis
                accepted.add(name)
        return accepted


class Worker(RuleBasedStateMachine):
    """Loops that report in any order, a host that finds signals twice, neighbours that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.store = SignalMemoryStore(500, clock=lambda: self.now)
        self.book = TaskBook(self.store, max_age_seconds=MAX_AGE, lease_seconds=LEASE)
        self.postgres = Postgres()
        self.names: list[str] = []
        """Signals that exist, in memory or in PostgreSQL."""
        self.asked: list[Task] = []
        self.tasks: list[Task] = []
        self.answers: list[Answer] = []
        self.on_the_way: list[tuple[Claim, Signal]] = []
        """Replies of PostgreSQL that have not come yet."""
        self.released: list[Claim] = []
        self.spent: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.delivered: list[Answer] = []
        self.given_elsewhere: set[str] = set()

    def _waiting(self) -> list[str]:
        return [entry["signal_id"] for entry in self.store.get_pending_signals(1_000)]

    def _placed(self) -> list[Task]:
        line = self.book.line
        return [*self.asked, *line._next, *(task for _, _, task in line._parked)]

    # The host

    @rule(count=st.integers(1, 3))
    def signals_are_found(self, count: int) -> None:
        for _ in range(count):
            name = f"s{len(self.names)}"
            assert self.store.add_signal(signal_mapping(name))
            self.names.append(name)

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def a_signal_is_found_once_more(self, data: st.DataObject) -> None:
        """As a host does that goes on after a crash: PostgreSQL has the signal, memory has not."""
        self.store.add_signal(signal_mapping(data.draw(st.sampled_from(self.names))))

    @rule(seconds=st.floats(0.01, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # The intake

    @rule(room=st.integers(1, 4), more=st.integers(0, 2), claimed=st.booleans())
    def requests_go_out(self, room: int, more: int, claimed: bool) -> None:
        """What is next is claimed, if PostgreSQL is there, and asked about; a few more are claimed ahead."""
        waiting = self._waiting()
        tasks = self.book.line.take(room, self.now)
        entries = self.store.take_pending(room + more - len(tasks))
        assert [entry.signal_id for entry in entries] == waiting[: len(entries)]  # first come, first served
        stored = {one.task.signal_id for one in self.answers if one.verdict is Acceptance.OURS}
        answered = stored | set(self.book.answers)
        new = [task for entry in entries if (task := self.book.accept(entry, read)) is not None]
        assert answered.isdisjoint(task.signal_id for task in new)  # nobody pays twice for an answer
        self.tasks += new
        tasks += new
        free = [task for task in tasks if task.claim is None]
        if claimed and free:
            granted = self.book.claimed(free, self.postgres.claim([task.signal_id for task in free]))
            others = [task for task in free if task not in granted]
            self.given_elsewhere |= {task.signal_id for task in others}
            tasks = [task for task in tasks if task not in others]
        for task in tasks[room:]:
            self.book.line.append(task)
        self.asked += tasks[:room]

    @rule(new=st.booleans(), data=st.data())
    def waiting_tasks_are_asked_for(self, new: bool, data: st.DataObject) -> None:
        """PostgreSQL hands out a task that the book does not know; its reply is on the way."""
        if new:
            self.names.append(f"s{len(self.names)}")
        unknown = [name for name in self.names if name not in self.book.known]
        if unknown:
            name = unknown[-1] if new else data.draw(st.sampled_from(unknown))
            claim = self.postgres.claim([name]).get(name)
            if claim is not None:
                self.on_the_way.append((claim, read_named(name)))

    @precondition(lambda self: self.on_the_way)
    @rule()
    def a_waiting_task_arrives(self) -> None:
        claim, signal = self.on_the_way.pop(0)
        settled = [one for one in self.answers if one.task.signal_id == signal.signal_id]
        known = signal.signal_id in {task.signal_id for task in self._placed()} or (
            signal.signal_id in self.book.answers
        )
        task = self.book.recover(claim, signal, self.now, own=True)
        attempts = max((one.task.claim.attempts for one in settled if one.task.claim), default=-1)
        assert (task is None) == (known or bool(settled and claim.attempts <= max(attempts, 0)))
        if task is not None:
            self.tasks.append(task)
            self.asked.append(task)

    @rule()
    def the_line_stops(self) -> None:
        self.book.put_line_back()
        while (task := self.book.take_expired(self.now, read)) is not None:
            assert self.now >= task.deadline
            self.tasks.append(task)
            self._end(task, TaskStatus.EXPIRED)
        self._release(self.book.to_release())

    def _release(self, claims: list[Claim]) -> None:
        self.released += claims
        for claim in claims:
            if self.postgres.claims.get(claim.signal_id) == claim:
                del self.postgres.claims[claim.signal_id]

    # The lanes

    def _end(self, task: Task, status: TaskStatus = TaskStatus.COMPLETED) -> None:
        analysis = LLMAnalysis(task.signal_id, status, cost_usd=task.spent)
        answer = self.book.answered(task, analysis, self.now)
        assert answer is not None
        assert self.book.answered(task, analysis, self.now) is None  # once
        self.answers.append(answer)
        self.ends[task.signal_id] += 1
        assert not self.store.is_unfinished(task.signal_id)
        assert (task.spent or 0) == self.spent[task.signal_id]  # money spent is never forgotten
        self.spent[task.signal_id] = 0

    def _take_asked(self, data: st.DataObject, *, paid: bool = False) -> Task:
        task = data.draw(st.sampled_from(self.asked))
        self.asked.remove(task)
        if paid:
            task.charge(Decimal(1), 1)
            self.spent[task.signal_id] += 1
        return task

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def it_is_answered(self, data: st.DataObject) -> None:
        self._end(self._take_asked(data))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), paid=st.booleans())
    def it_is_to_be_asked_again(self, data: st.DataObject, paid: bool) -> None:
        task = self._take_asked(data, paid=paid)
        self.book.again(task)
        line = list(self.book.line._next)
        place = line.index(task)
        assert all(other.accepted_at <= task.accepted_at for other in line[place - 1 : place] if place)
        assert all(other.accepted_at > task.accepted_at for other in line[place + 1 : place + 2])

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), seconds=st.floats(0.0, 30), paid=st.booleans())
    def it_is_parked(self, data: st.DataObject, seconds: float, paid: bool) -> None:
        self.book.park(self._take_asked(data, paid=paid), self.now + seconds, "no room")

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def it_is_put_back(self, data: st.DataObject) -> None:
        task = self._take_asked(data)
        self.book.put_back(task)
        assert task.claim is None

    @precondition(lambda self: len(self.tasks) > len(self.asked))
    @rule(data=st.data())
    def a_word_comes_too_late(self, data: st.DataObject) -> None:
        """Of a task that nobody has in hand nothing can be said any more."""
        task = data.draw(st.sampled_from([task for task in self.tasks if task not in self.asked]))
        before = (task.phase, task.claim, len(self.book.line), self.book.line.parked, self._waiting())
        self.book.again(task)
        self.book.park(task, self.now, "late")
        self.book.put_back(task)
        after = (task.phase, task.claim, len(self.book.line), self.book.line.parked, self._waiting())
        assert after == before

    # PostgreSQL

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def another_worker_takes_a_task(self, data: st.DataObject) -> None:
        """Ours has lost its lease, or never had the task."""
        name = data.draw(st.sampled_from(self.names))
        if name not in self.postgres.results:
            self.postgres.claims.pop(name, None)
            self.postgres.others.add(name)

    @precondition(lambda self: self.postgres.others)
    @rule()
    def the_other_workers_die(self) -> None:
        self.postgres.others.clear()

    @rule(size=st.integers(1, 5))
    def answers_are_stored(self, size: int) -> None:
        batch = self.book.answers.next_batch(size, self.now)
        unclaimed = [answer.task for answer in batch if answer.task.claim is None]
        claims = self.postgres.claim([task.signal_id for task in unclaimed])
        for task in unclaimed:
            task.claim = claims.get(task.signal_id)
        accepted = self.postgres.save(batch)
        settled = self.book.stored(batch, accepted, self.now)
        for answer in batch:
            name = answer.task.signal_id
            assert (answer.verdict is Acceptance.OURS) == (name in accepted)
            if answer.verdict is Acceptance.OURS:
                assert answer.task.claim is not None  # nothing is stored without a claim
            elif answer.task.claim is None:  # the other worker may have died: one lease and a half
                until = answer.contested_until
                assert until is not None
                assert (answer.verdict is Acceptance.REFUSED) == (self.now >= until) == (answer in settled)
            if answer.verdict is Acceptance.REFUSED and answer.task.from_memory:
                assert answer.delivered or name in self.book.awaited_elsewhere

    # The host's files and callbacks

    @rule()
    def what_is_due_is_delivered(self) -> None:
        while (answer := self.book.answers.next_for_host(self.now)) is not None:
            assert answer.verdict is Acceptance.OURS or self.now >= answer.due
            assert answer.verdict is not Acceptance.REFUSED
            self.delivered.append(answer)
        left = [one for one in self.answers if not one.delivered and one.verdict is not Acceptance.REFUSED]
        if left:
            assert left[0].verdict is Acceptance.OPEN
            assert self.now < left[0].due

    # What holds at any time

    @invariant()
    def each_signal_is_in_one_place(self) -> None:
        placed = self._placed()
        assert len({task.signal_id for task in placed}) == len(placed)  # none is asked about by two at once
        assert all(task.phase is Phase.IN_HAND for task in self.asked)
        waiting = self._waiting()
        taken = set(self.store.ids()) - set(waiting)
        assert taken == {task.signal_id for task in placed if self.store.is_unfinished(task.signal_id)} - set(
            waiting
        )
        assert self.book.waiting == len(waiting) + len(placed) - len(self.asked)
        assert self.book.idle == (not placed and not waiting)

    @invariant()
    def answers_reach_the_host_in_order_and_once(self) -> None:
        remaining = iter(self.answers)
        assert all(answer in remaining for answer in self.delivered)

    def teardown(self) -> None:
        """In the end everything is answered or given back: no signal is lost, no claim is kept."""
        from_memory = {task.signal_id for task in self._placed() if task.from_memory}
        self._release(self.book.give_back())
        waiting = set(self._waiting())
        assert from_memory <= waiting
        assert all(task.phase is Phase.GIVEN_UP for task in self.asked)
        assert len(self.released) == len({claim.claim_id for claim in self.released})
        expected = {claim.signal_id for claim, _ in self.on_the_way}
        for name in self.postgres.claims:
            assert name in self.postgres.results or name in self.book.answers or name in expected
        self.now += DELIVERY_PATIENCE_SECONDS
        self.what_is_due_is_delivered()
        assert self.book.answers.undelivered == 0


TestTheBook = Worker.TestCase
TestTheBook.settings = settings(
    max_examples=100, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
)
