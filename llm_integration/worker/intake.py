"""Intake: where waiting signals come from, and who may be asked about next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from llm_integration.config import LLMConfig
from llm_integration.domain import Claim, Signal, TaskStatus
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.routing import Router
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.jobs import Job, one_line
from llm_integration.worker.loads import Load, signals_per_request, sort_into_loads
from llm_integration.worker.outage import Outage
from llm_integration.worker.ownership import Ownership
from llm_integration.worker.ports import Processor, TaskDatabase
from llm_integration.worker.reading import SignalReader

__all__ = ["Intake"]

logger = logging.getLogger(__name__)

MOST_REMEMBERED = 20_000
"""Signals that have ended and are still known by their ids."""
CLAIMED_TOGETHER = 32
"""While the rate limit has room, so many signals are claimed with one statement; the rest of them is next."""
READ_AT_ONCE = 8
"""Signals read from the host's mappings before its loop gets its turn."""
MANY_BARS = 50
"""A signal with more bars than this is work of its own."""
EXPIRED_AT_ONCE = 20
"""Signals ended before the host's loop gets its turn: a fraction of a millisecond."""


class Intake:
    """Takes signals from memory, PostgreSQL and the worker's own hands, claims them, and makes loads of them.

    ``elsewhere`` is told of a signal that another worker has; ``expire`` ends one that is too old;
    ``unclaimed`` is told of those that are asked about though PostgreSQL may not know them. ``turn`` is
    awaited before a piece of computing.
    """

    def __init__(
        self,
        config: LLMConfig,
        memory_store: SignalMemoryStore,
        database: TaskDatabase | None,
        processor: Processor,
        *,
        router: Router,
        formatters: Mapping[str | None, SignalFormatter],
        worker_id: str,
        outage: Outage,
        clock: Callable[[], float],
        elsewhere: Callable[[Job], None],
        expire: Callable[[Job, str], None],
        holds: Callable[[], Mapping[str, Job]],
        unclaimed: Callable[[Iterable[Signal]], None],
        turn: Callable[[], Awaitable[None]],
        reader: SignalReader,
        ownership: Ownership,
    ) -> None:
        self._config = config
        self._store = memory_store
        self._database = database
        self._processor = processor
        self._router = router
        self._formatters = formatters
        self._worker_id = worker_id
        self._outage = outage
        self._clock = clock
        self._elsewhere = elsewhere
        self._expire = expire
        self._holds = holds
        self._unclaimed = unclaimed
        self._turn = turn
        self._reader = reader
        self._ownership = ownership
        self._parked: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._given_up: list[Claim] = []
        self._look_again = False
        self._told_why_alone = False
        self._ended: OrderedDict[str, int] = OrderedDict()
        """Signals that have their end, by which of the claims on their task; 0 without one."""
        self.recovered: deque[Job] = deque()
        """Signals in hand that are next: claimed ones, and such as come back from a lane."""
        self.unfinished: dict[str, Job] = {}
        """Every signal in hand, by id."""

    @property
    def waiting(self) -> int:
        """Signals that nobody is asking about at the moment."""
        return self._store.get_statistics()["pending"] + len(self.recovered) + len(self._parked)

    @property
    def parked(self) -> int:
        """Signals that wait for room in a budget."""
        return len(self._parked)

    # What is to be asked about next

    async def next_loads(self, lanes: int) -> list[Load]:
        """Loads for at most ``lanes`` lanes; none while no request may be sent."""
        stopped = self._processor.ready_in() > 0
        if stopped:
            self._hand_back()
        await self._release_given_up()
        if stopped:
            await self._expire_waiting()
            return []
        size, requests = self._how_many(lanes)
        jobs = await self._collect(size * requests)
        if size > 1:
            await self._place_in_time(jobs)
        return self._loads(jobs, size)

    def pause(self) -> float:
        """Seconds after which it is worth looking again though nothing has happened."""
        pause = self._config.poll_interval
        for wait in (self._processor.ready_in(), self._until_room(), self._until_parked()):
            if wait > 0:
                pause = min(pause, wait)
        return pause

    def _how_many(self, lanes: int) -> tuple[int, int]:
        """Signals per request, and requests.

        Batches are made when a request may be sent and not before, so that they hold whatever waits by then.
        """
        if self._config.batch_size == 1:
            return 1, lanes
        free, _ = self._processor.room()
        size = signals_per_request(
            self._config.batch_size, waiting=self.waiting, free=free, lanes=self._config.max_concurrency
        )
        return size, min(lanes, free)

    def _until_room(self) -> float:
        return 0.0 if self._config.batch_size == 1 else self._processor.room()[1]

    def _until_parked(self) -> float:
        return max(0.001, self._parked[0][0] - self._clock()) if self._parked else 0.0

    async def _place_in_time(self, jobs: Sequence[Job]) -> None:
        """Find out what signals with many bars show, which says who may be asked about with whom."""
        for job in jobs:
            if len(job.signal.bars) > MANY_BARS:
                for formatter in {id(one): one for one in self._formatters.values()}.values():
                    formatter.span(job.signal)
                await self._turn()

    def _loads(self, jobs: Sequence[Job], size: int) -> list[Load]:
        backlog = self.waiting + len(jobs)
        chosen = []
        for job in jobs:
            choice = self._router.choose(job.signal, backlog=backlog)
            if job.model is not None:
                plan = replace(choice.plan, model=job.model, fallbacks=())
                choice = replace(choice, plan=plan, ensemble=())
            chosen.append((job, choice, self._formatters[choice.prompt]))
        loads = sort_into_loads(chosen, size, across_time=self._config.batch_across_time)
        if size > 1 and len(loads) == len(jobs) > 1 and not self._told_why_alone:
            self._told_why_alone = True
            logger.info(
                "signals of different times are asked about one by one, so that none sees what came after it;"
                " batch_across_time lets them share a request"
            )
        return loads

    async def _collect(self, room: int) -> list[Job]:
        jobs = [self.recovered.popleft() for _ in range(min(room, len(self.recovered)))]
        unclaimed = [job for job in jobs if job.claim is None] + self._due(room - len(jobs))
        jobs = [job for job in jobs if job.claim is not None] + await self._claimed(unclaimed)
        if not self.recovered and self._look_again:
            self._look_again = False
            jobs += await self._claim_waiting(room - len(jobs))
        jobs += await self._from_memory(room - len(jobs))
        return jobs

    def _due(self, room: int) -> list[Job]:
        jobs: list[Job] = []
        while len(jobs) < room and self._parked and self._parked[0][0] <= self._clock():
            jobs.append(heapq.heappop(self._parked)[2])
        return jobs

    async def _from_memory(self, room: int) -> list[Job]:
        """Up to ``room`` signals of the host's. A few more are claimed with them, and come next."""
        if room <= 0:
            return []
        wanted = max(room, self._claimable())
        jobs = await self._read_ahead(min(wanted, READ_AT_ONCE))
        while jobs and len(jobs) < wanted:
            await self._turn()
            more = await self._read_ahead(min(wanted - len(jobs), READ_AT_ONCE))
            if not more:
                break
            jobs += more
        jobs = await self._claimed(jobs)
        self.recovered.extend(jobs[room:])
        return jobs[:room]

    async def _read_ahead(self, count: int) -> list[Job]:
        await self._reader.ahead(self._store.next_pending(count))
        return self._read(count)

    def _read(self, count: int) -> list[Job]:
        """Up to ``count`` signals of the host's, from now on in hand."""
        jobs: list[Job] = []
        entries = self._store.take_pending(count)
        answered = self._holds() if entries else {}
        for entry in entries:
            if self._in_hand(entry.signal_id, answered):
                continue
            job = Job(
                signal=self._reader.read(entry),
                accepted_at=entry.added_at,
                deadline=entry.added_at + self._config.signal_max_age_seconds,
            )
            self._ownership.meet(job.signal)
            self.unfinished[job.signal_id] = job
            jobs.append(job)
        return jobs

    def _claimable(self) -> int:
        """How many signals may be claimed together: not more than may be asked about at once."""
        return 0 if self._database is None else min(CLAIMED_TOGETHER, self._processor.room()[0])

    def _in_hand(self, signal_id: str, answered: Container[str]) -> bool:
        """A host found a signal once more that came from PostgreSQL before: it is in hand, or answered."""
        known = self.unfinished.get(signal_id)
        if known is not None:
            known.from_memory = True  # whatever becomes of it becomes of the entry in memory
            known.adopted = False
            return True
        ended = signal_id in answered or signal_id in self._ended
        if ended:
            self._store.finish(signal_id, TaskStatus.COMPLETED)
        return ended

    def remember(self, job: Job) -> None:
        """A signal has its end. A host may find it only now, when PostgreSQL cannot be asked about it."""
        self._ended[job.signal_id] = job.claim.attempts if job.claim else 0
        if len(self._ended) > MOST_REMEMBERED:
            self._ended.popitem(last=False)

    async def _claimed(self, jobs: list[Job]) -> list[Job]:
        if self._database is None or not jobs:
            return jobs
        if not self._outage.worth_asking:
            self._unclaimed(job.signal for job in jobs)
            return jobs
        await self._turn()
        try:
            claims = await self._database.claim_signals(
                [job.signal for job in jobs],
                worker_id=self._worker_id, lease_seconds=self._config.lease_seconds,
            )  # fmt: skip
        except Exception as error:
            self._outage.failed(error)
            self._unclaimed(job.signal for job in jobs)
            return jobs
        self._outage.over()
        granted = []
        for job in jobs:
            claim = claims.get(job.signal_id)
            if claim is None:
                self._elsewhere(job)
            else:
                job.take(claim)
                granted.append(job)
        return granted

    # PostgreSQL

    async def look_for_waiting(self) -> None:
        """Take what waits in PostgreSQL, or was abandoned there, as far as there is room."""
        if self._processor.ready_in() <= 0:
            self.recovered.extend(
                await self._claim_waiting(self._config.max_concurrency - len(self.recovered))
            )

    async def _claim_waiting(self, room: int) -> list[Job]:
        if self._database is None or room <= 0 or not self._outage.worth_asking:
            return []
        try:
            found = await self._database.claim_waiting(
                worker_id=self._worker_id, limit=room, lease_seconds=self._config.lease_seconds,
                exclude=_InHand(self._store, self.unfinished, self._holds()),
            )  # fmt: skip
        except Exception as error:
            self._outage.failed(error)
            return []
        self._outage.over()
        self._look_again = len(found) >= room
        return [job for claim, signal in found if (job := self._recover(claim, signal)) is not None]

    def _recover(self, claim: Claim, signal: Signal) -> Job | None:
        """A task from PostgreSQL; None if it came into hand, or was answered, while PostgreSQL was asked."""
        known = self.unfinished.get(signal.signal_id) or self._holds().get(signal.signal_id)
        if known is not None:
            known.take(claim)
            return None
        ended = self._ended.get(signal.signal_id)
        if ended is not None and claim.attempts <= ended:
            return None  # void: through memory it was claimed again, and answered, before this reply came
        accepted = self._clock() - claim.age_seconds
        job = Job(
            signal, accepted, accepted + self._config.signal_max_age_seconds, claim, from_memory=False,
            model=claim.model, adopted=not self._ownership.is_own(signal),
        )  # fmt: skip
        self.unfinished[job.signal_id] = job
        return job

    # What comes back

    def again(self, job: Job) -> None:
        """A signal is to be asked about once more, before all that came after it."""
        later = (place for place, other in enumerate(self.recovered) if other.accepted_at > job.accepted_at)
        self.recovered.insert(next(later, len(self.recovered)), job)

    def put_back(self, job: Job) -> None:
        """Nothing can be sent for now: the signal is pending again, in memory and in PostgreSQL."""
        self._give_up(job)
        if job.from_memory:
            self.unfinished.pop(job.signal_id, None)
            self._store.requeue([job.signal_id])
        else:
            self.recovered.appendleft(job)  # to be claimed anew, or to grow too old here

    def _hand_back(self) -> None:
        """Nothing can be sent for now: what was claimed ahead is pending again."""
        for job in [job for job in self.recovered if job.from_memory and job.claim and not job.alone]:
            self.recovered.remove(job)
            self.put_back(job)

    def park(self, job: Job, seconds: float, reason: str) -> None:
        """A budget has no room for this signal for ``seconds``; meanwhile it is pending in PostgreSQL."""
        self._give_up(job)
        job.held_up = reason
        wake_at = min(self._clock() + seconds, job.deadline)
        heapq.heappush(self._parked, (wake_at, next(self._numbers), job))

    def _give_up(self, job: Job) -> None:
        if job.claim is not None:
            self._given_up.append(job.claim)
            job.claim = None

    async def _release_given_up(self) -> None:
        claims, self._given_up = self._given_up, []
        if not claims or self._database is None or not self._outage.worth_asking:
            return
        try:
            await self._database.release(claims)
        except Exception as error:  # they stay ours, and can be claimed again by us
            self._outage.failed(error)

    async def _expire_waiting(self) -> None:
        """While no request may be sent, end the signals that have grown too old, a few at a time."""
        reason = self._processor.stopped_reason() or "no request could be sent"
        for number in itertools.count(1):
            job = self._oldest_expired()
            if job is None:
                return
            self._expire(job, reason)
            if number % EXPIRED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _oldest_expired(self) -> Job | None:
        """A signal that is too old, taken out of where it waits."""
        now = self._clock()
        self.recovered.extend(self._due(len(self._parked)))
        for job in self.recovered:
            if now >= job.deadline:
                self.recovered.remove(job)
                return job
        for entry in self._store.take_pending(1):
            deadline = entry.added_at + self._config.signal_max_age_seconds
            if now >= deadline:
                signal = self._reader.read(entry)
                return Job(signal, entry.added_at, deadline)
            self._store.requeue([entry.signal_id])
        return None

    # Ending

    def take_waiting(self) -> list[Job]:
        """Everything in hand that nobody is asking about; it is not unfinished any more."""
        jobs = [*self.recovered, *(job for _, _, job in self._parked)]
        self.recovered.clear()
        self._parked.clear()
        for job in jobs:
            self.unfinished.pop(job.signal_id, None)
        return jobs

    async def give_back(self, abandoned: Sequence[Job], timeout: float) -> None:
        """What was claimed and not answered is pending again, here and in PostgreSQL."""
        jobs = [*abandoned, *self.unfinished.values()]
        self.unfinished.clear()
        self._store.requeue([job.signal_id for job in jobs if job.from_memory])
        claims = [*self._given_up, *(job.claim for job in jobs if job.claim is not None)]
        if self._database is None:
            return
        try:
            async with asyncio.timeout(timeout):
                if claims:
                    await self._database.release(claims)
                await self._database.retire_worker(self._worker_id)
        except Exception as error:  # its lease runs out by itself
            reason = one_line(str(error) or type(error).__name__)
            logger.warning("tasks not handed back (%s); free in %g s", reason, self._config.lease_seconds)


class _InHand(Collection[str]):
    """The signals that this worker has: waiting in memory, on their way, or answered and not stored yet."""

    def __init__(
        self, store: SignalMemoryStore, unfinished: Mapping[str, Job], answered: Mapping[str, Job]
    ) -> None:
        self._store, self._unfinished, self._answered = store, unfinished, answered

    def __contains__(self, signal_id: object) -> bool:
        return isinstance(signal_id, str) and (
            signal_id in self._unfinished
            or signal_id in self._answered
            or self._store.is_unfinished(signal_id)
        )

    def __iter__(self) -> Iterator[str]:
        return iter([*self._store.ids(), *self._unfinished, *self._answered])

    def __len__(self) -> int:
        return len(set(self))
