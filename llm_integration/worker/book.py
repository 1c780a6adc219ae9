"""TaskBook: the whole state of every signal in hand. No asyncio, no clock of its own, no database."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.memory_store import QueuedSignal, SignalMemoryStore
from llm_integration.worker.answers import Acceptance, Answer, Answers
from llm_integration.worker.line import Line
from llm_integration.worker.tasks import Phase, Task

__all__ = ["TaskBook"]

MOST_REMEMBERED = 20_000
"""Signals that have ended and are still known by their ids."""
MOST_ELSEWHERE = 10_000
"""Signals whose answers are awaited from other workers; the oldest beyond that are given up."""
DELIVERY_PATIENCE_SECONDS = 0.25
"""How long PostgreSQL may take to say that an answer is ours before the host gets it all the same."""

Read = Callable[[QueuedSignal], Signal]


class TaskBook:
    """Every signal from its acceptance until its answer is settled; loops tell it what happened.

    A task is in ``line``, parked there, or in the hand of exactly one loop; only that loop may say what
    becomes of it, and whatever is said of a task that nobody has in hand changes nothing. What was claimed
    and is not asked about is given up: the claims in ``to_release`` are to be handed back to PostgreSQL.
    ``answers`` are those that PostgreSQL or the host does not have. Times are seconds on the clock of
    ``store``.
    """

    def __init__(self, store: SignalMemoryStore, *, max_age_seconds: float, lease_seconds: float) -> None:
        self.answers = Answers(lease_seconds=lease_seconds, patience=DELIVERY_PATIENCE_SECONDS)
        self.taken_elsewhere = 0
        self.given_up_elsewhere = 0
        self.line = Line()
        self._store = store
        self._max_age = max_age_seconds
        self._tasks: dict[str, Task] = {}
        self._to_release: list[Claim] = []
        self._ended: OrderedDict[str, int] = OrderedDict()
        """Settled signals, by which of the claims on their task; 0 without one."""
        self._elsewhere: OrderedDict[str, Signal] = OrderedDict()
        """Signals of this host that another worker answers."""
        self._unrecorded: dict[str, Signal] = {}
        """Signals that the outbox has and PostgreSQL has not."""

    # How much there is

    @property
    def waiting(self) -> int:
        """Signals that nobody is asking about."""
        return self._store.get_statistics()["pending"] + len(self.line) + self.line.parked

    @property
    def idle(self) -> bool:
        """Whether every signal has its end."""
        return not self._tasks and self._store.get_statistics()["pending"] == 0

    @property
    def known(self) -> Collection[str]:
        """Ids of the signals that wait, are in hand, or are answered and not stored. It is no copy."""
        return _Known(self._store, self._tasks, self.answers)

    # Where tasks come from; each that is returned is in the caller's hand

    def accept(self, entry: QueuedSignal, read: Read) -> Task | None:
        """A signal was taken from memory. None: it is in hand, or answered, already.

        A host may find a signal once more that came from PostgreSQL before, when it goes on after a crash.
        """
        known = self._tasks.get(entry.signal_id)
        if known is not None:
            known.from_memory = True  # whatever becomes of it becomes of the entry in memory
            known.adopted = False
            return None
        if entry.signal_id in self.answers or entry.signal_id in self._ended:
            self._store.finish(entry.signal_id, TaskStatus.COMPLETED)
            return None
        return self._begin(Task(read(entry), entry.added_at, entry.added_at + self._max_age))

    def recover(self, claim: Claim, signal: Signal, now: float, *, own: bool) -> Task | None:
        """A waiting task was claimed. None: it came into hand, or was answered, meanwhile."""
        known = self._tasks.get(signal.signal_id) or self.answers.get(signal.signal_id)
        if known is not None:
            known.take(claim)
            return None
        ended = self._ended.get(signal.signal_id)
        if ended is not None and claim.attempts <= ended:
            return None  # void: through memory it was claimed again, and answered, before this reply came
        accepted = now - claim.age_seconds
        return self._begin(Task(
            signal, accepted, accepted + self._max_age, claim, from_memory=False, model=claim.model,
            adopted=not own,
        ))  # fmt: skip

    def _begin(self, task: Task) -> Task:
        self._tasks[task.signal_id] = task
        return task

    def take_expired(self, now: float, read: Read) -> Task | None:
        """A task that is too old and nobody is asking about; looks at one signal in memory, the oldest."""
        if (task := self.line.take_expired(now)) is not None:
            return task
        for entry in self._store.take_pending(1):
            if now >= entry.added_at + self._max_age:
                return self.accept(entry, read)
            self._store.requeue([entry.signal_id])
        return None

    # Claims

    def claimed(self, tasks: Sequence[Task], claims: Mapping[str, Claim]) -> list[Task]:
        """PostgreSQL was asked for these: those that are ours. Others have, or have ended, the rest."""
        granted = []
        for task in tasks:
            claim = claims.get(task.signal_id)
            if claim is not None:
                task.take(claim)
                granted.append(task)
            else:
                self.taken_elsewhere += 1
                self._await_elsewhere(task)
                self._end(task, Phase.GIVEN_UP, TaskStatus.COMPLETED)
        return granted

    def to_release(self) -> list[Claim]:
        """The claims that were given up since the last call."""
        claims, self._to_release = self._to_release, []
        return claims

    def _give_up_claim(self, task: Task) -> None:
        if task.claim is not None:
            self._to_release.append(task.claim)
            task.claim = None

    # What becomes of a task in hand

    def again(self, task: Task) -> None:
        """It is to be asked about once more, before all that were accepted later."""
        if task.phase is Phase.IN_HAND:
            self.line.insert(task)

    def park(self, task: Task, wake_at: float, reason: str) -> None:
        """It waits until ``wake_at``, others may pass; meanwhile it is pending in PostgreSQL."""
        if task.phase is Phase.IN_HAND:
            self._give_up_claim(task)
            task.held_up = reason
            self.line.park(task, wake_at)

    def put_back(self, task: Task) -> None:
        """Nothing can be sent for now: it is pending again, in memory or in line, and in PostgreSQL."""
        if task.phase is not Phase.IN_HAND:
            return
        self._give_up_claim(task)
        if task.from_memory and not task.has_history:
            del self._tasks[task.signal_id]
            task.phase = Phase.GIVEN_UP
            self._store.requeue([task.signal_id])
        else:
            self.line.insert(task)  # with what it has cost, to be claimed anew or to grow too old here

    def put_line_back(self) -> None:
        """The same for those that were claimed ahead."""
        for task in self.line.take_claimed_ahead():
            self.put_back(task)

    def answered(
        self, task: Task, analysis: LLMAnalysis, now: float, *, hurry: bool = False
    ) -> Answer | None:
        """It has its analysis. None: it had one before.

        A reply that comes when everything was given back is an answer, too: it was paid for.
        """
        if task.phase is Phase.ANSWERED:
            return None
        answer = self.answers.put(task, analysis, now, hurry=hurry)
        self._end(task, Phase.ANSWERED, analysis.status)
        return answer

    def _end(self, task: Task, phase: Phase, status: TaskStatus) -> None:
        task.phase = phase
        if self._tasks.get(task.signal_id) is task:
            del self._tasks[task.signal_id]
        self._store.finish(task.signal_id, status)  # a host may have found it once more meanwhile

    # After the answer

    def stored(self, batch: list[Answer], accepted: set[str], now: float) -> list[Answer]:
        """PostgreSQL has said which of the oldest answers are ours; those that are settled by that.

        The host gets another worker's answer in place of one that was refused before it was delivered.
        """
        settled = self.answers.settle(batch, accepted, now)
        for answer in settled:
            claim = answer.task.claim
            self._ended[answer.task.signal_id] = claim.attempts if claim else 0
            if answer.verdict is Acceptance.REFUSED and not answer.delivered:
                self._await_elsewhere(answer.task)
        while len(self._ended) > MOST_REMEMBERED:
            self._ended.popitem(last=False)
        return settled

    def _await_elsewhere(self, task: Task) -> None:
        if not task.from_memory:
            return  # this host never asked for it
        self._elsewhere[task.signal_id] = task.signal
        if len(self._elsewhere) > MOST_ELSEWHERE:
            self._elsewhere.popitem(last=False)
            self.given_up_elsewhere += 1

    @property
    def awaited_elsewhere(self) -> list[str]:
        """Ids of the signals that other workers answer, oldest first."""
        return list(self._elsewhere)

    def answered_elsewhere(self, signal_id: str) -> Signal | None:
        """Another worker's answer is there: the signal it is about, once."""
        return self._elsewhere.pop(signal_id, None)

    # Signals that PostgreSQL does not have

    def unrecorded(self, signals: Iterable[Signal]) -> list[Signal]:
        """PostgreSQL could not be told of these; those that are new to the outbox."""
        new = [signal for signal in signals if signal.signal_id not in self._unrecorded]
        self._unrecorded.update((signal.signal_id, signal) for signal in new)
        return new

    def next_unrecorded(self, limit: int) -> list[Signal]:
        """The oldest signals that only the outbox has."""
        return list(islice(self._unrecorded.values(), limit))

    def recorded(self, signal: Signal) -> bool:
        """PostgreSQL has it, or refuses it for good; whether the outbox has it, too."""
        return self._unrecorded.pop(signal.signal_id, None) is not None

    # The end

    def give_back(self) -> list[Claim]:
        """What has no answer is pending again in memory; the claims to be handed back to PostgreSQL."""
        tasks = list(self._tasks.values())
        self.line.clear()
        self._tasks.clear()
        self._store.requeue([task.signal_id for task in tasks if task.from_memory])
        for task in tasks:
            self._give_up_claim(task)
            task.phase = Phase.GIVEN_UP
        return self.to_release()


class _Known(Collection[str]):
    """A view, looked at while PostgreSQL answers and tasks come and go."""

    def __init__(self, store: SignalMemoryStore, tasks: Mapping[str, Task], answers: Answers) -> None:
        self._store, self._tasks, self._answers = store, tasks, answers

    def __contains__(self, signal_id: object) -> bool:
        return isinstance(signal_id, str) and (
            signal_id in self._tasks or signal_id in self._answers or self._store.is_unfinished(signal_id)
        )

    def __iter__(self) -> Iterator[str]:
        return iter([*self._store.ids(), *self._tasks, *self._answers])

    def __len__(self) -> int:
        return len(set(self))
