"""kill -9 at seeded random moments, PostgreSQL lost in between, and what must be there afterwards.

One round is one session: the program is started with ``--resume``, killed, started again, several times over,
and then left to finish. OpenRouter is a simulator in this process, which survives every kill and so knows
who asked what, and when.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from bisect import bisect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from llm_integration.csv_exporter import RESULT_FILE
from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.program import Program, connected, outbox_entries
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.report import Report
from tests.chaos.truth import EndState, compare, end_state, slice_of_bars

__all__ = ["KillPlan", "Plan", "plan_rounds", "reference_run", "run_round", "run_rounds", "shorten_leases"]

LATENCY_SECONDS = (0.02, 0.25)
LOG_SIZE = 1_000_000
SLICES = ((0, 300), (2_400, 300))
"""First bar and number of bars; each slice brings 60 to 70 signals."""
MOMENTS: Mapping[str, tuple[int, int]] = {
    "milliseconds": (200, 2_200),
    "bars": (1, 90),
    "requests": (1, 25),
    "results": (1, 25),
    "answers": (1, 25),
}
"""What a kill waits for, and from how many to how many of it."""
OUTAGES = ("stopped", "cut", "black hole")
TRIGGER_SECONDS = 30.0
MOST_SHOWN = 8
_SIGNAL_TIME = re.compile(r"^Signal time: (\d{4}-\d\d-\d\d \d\d:\d\d) UTC$", re.MULTILINE)

Databases = Callable[[], str]
"""Makes a fresh database and returns its URL; blocks."""


@dataclass(frozen=True, slots=True)
class KillPlan:
    """When one process is killed: after ``count`` of ``moment``. With ``outage``, PostgreSQL goes then, and
    the kill comes ``later`` seconds after. ``tear`` leaves half a line in a file, as a power cut would.
    """

    moment: str
    count: int
    outage: str | None = None
    later: float = 0.0
    tear: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One round: which bars, how fast, which kills."""

    number: int
    first_bar: int
    bars: int
    speed: float
    kills: tuple[KillPlan, ...]


@dataclass(slots=True)
class Known:
    """What stood somewhere durable at some kill: by signal time, the generation id of the answer."""

    stored: dict[datetime, tuple[str, float]] = field(default_factory=dict)
    deaths: list[float] = field(default_factory=list)

    def note(self, answers: Mapping[datetime, str], now: float) -> None:
        """Remember answers that are durable from now (monotonic) on."""
        for moment, generation in answers.items():
            self.stored.setdefault(moment, (generation, now))


def plan_rounds(kills: int, seed: int, *, per_round: int = 4, numbered_from: int = 0) -> list[Plan]:
    """Rounds with ``kills`` kills in all, numbered from there on; the same seed gives the same plans."""
    chance = random.Random(seed)
    plans: list[Plan] = []
    while kills > 0:
        first, bars = chance.choice(SLICES)
        count = min(per_round, kills)
        kills -= count
        plans.append(
            Plan(
                number=numbered_from + len(plans),
                first_bar=first,
                bars=bars,
                speed=chance.choice((120.0, 250.0, 500.0)),
                kills=tuple(_plan_kill(chance) for _ in range(count)),
            )
        )
    return plans


def _plan_kill(chance: random.Random) -> KillPlan:
    moment = chance.choice(list(MOMENTS))
    away = chance.random() < 0.4
    return KillPlan(
        moment,
        chance.randint(*MOMENTS[moment]),
        outage=chance.choice(OUTAGES) if away else None,
        later=chance.uniform(0.02, 0.8) if away else 0.0,
        tear=chance.random() < 0.2,
    )


async def reference_run(folder: Path, databases: Databases, first_bar: int, bars: int) -> EndState:
    """The end of a run over the same bars that nobody disturbed."""
    url = await asyncio.to_thread(databases)
    async with OpenRouterSimulator(log_size=LOG_SIZE) as simulator:
        program = Program(folder, url, simulator.base_url, slice_of_bars(folder, first_bar, bars), speed=0)
        await program.start()
        try:
            await program.finish()
        finally:
            await program.close()
    state = await end_state(url, program.out)
    found = compare(program, state, None)
    assert not found.problems, found.problems
    return state


class Round:
    """One session with its database, proxy and simulator."""

    def __init__(
        self, plan: Plan, program: Program, url: str, proxy: FaultProxy, simulator: OpenRouterSimulator,
        report: Report,
    ) -> None:  # fmt: skip
        self.plan, self.program, self.url = plan, program, url
        self.proxy, self.simulator, self.report = proxy, simulator, report
        self.known = Known()

    async def play(self) -> None:
        """All kills, then the run that is left alone."""
        for kill in self.plan.kills:
            await self.program.start()
            if not await self._kill(kill):
                return  # it had finished before
        await self.program.start()
        await self.program.finish()
        self.report.see_pause(self.program.longest_bar_seconds)

    async def _kill(self, kill: KillPlan) -> bool:
        await self._moment(kill)
        if kill.outage is not None and self.program.running:
            self.report.outages += 1
            await self._take_away(kill.outage)
            await asyncio.sleep(kill.later)
        hit = await self.program.kill()
        now = time.monotonic()
        await self.proxy.heal()
        self.known.deaths.append(now)
        self.known.note(await answers_in(self.url), now)
        self.known.note(answers_on_disk(self.program.outbox), now)
        if not hit:
            self.report.missed += 1
            return self._has_refused(kill)
        self.report.kills += 1
        await shorten_leases(self.url)
        unfinished = await self._unfinished()
        if kill.tear and unfinished:  # else nobody opens the file again who could mend it
            tear(self.program.out / RESULT_FILE)
        return unfinished

    def _has_refused(self, kill: KillPlan) -> bool:
        """Whether it refused to start for want of PostgreSQL; False when it had finished before the kill."""
        assert self.program.process is not None
        status = self.program.process.returncode
        if status != 0 and not (kill.outage is not None and status == 2):
            raise AssertionError(f"exit status {status}: {self.program.log[-1_000:]}")
        return status != 0

    async def _take_away(self, outage: str) -> None:
        if outage == "stopped":
            await self.proxy.refuse()
        elif outage == "cut":
            self.proxy.reset()
        else:
            self.proxy.black_hole()

    async def _unfinished(self) -> bool:
        """False when the kill came after the end of the session: there is nothing to resume."""
        async with connected(self.url) as link:
            return not await link.fetchval("SELECT count(*) FROM trading_sessions WHERE status = 'completed'")

    async def _moment(self, kill: KillPlan) -> None:
        """Wait for the moment of ``kill``, for the end of the process, or for TRIGGER_SECONDS."""
        assert self.program.process is not None
        moment = asyncio.create_task(self._wait_for(kill))
        gone = asyncio.create_task(self.program.process.wait())
        await asyncio.wait({moment, gone}, timeout=TRIGGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in (moment, gone):
            task.cancel()
        await asyncio.wait({moment, gone})
        if not moment.cancelled() and (fault := moment.exception()) and self.program.running:
            raise fault  # that it ended meanwhile is no fault: `_has_refused` looks at how

    async def _wait_for(self, kill: KillPlan) -> None:
        program, count = self.program, kill.count
        if kill.moment == "milliseconds":
            await asyncio.sleep(count / 1000)
        elif kill.moment == "requests":
            await self.simulator.wait_for_requests(self.simulator.counters["chat_requests"] + count)
        elif kill.moment == "bars":
            wanted = program.bars_written() + count
            await program.until(lambda: program.bars_written() >= wanted)
        elif kill.moment == "answers":
            wanted = program.answers_written() + count
            await program.until(lambda: program.answers_written() >= wanted)
        else:
            await self._wait_for_results(count)

    async def _wait_for_results(self, count: int) -> None:
        async with connected(self.url) as link:
            sql = "SELECT count(*) FROM llm_analysis_results"
            wanted = await link.fetchval(sql) + count

            async def enough() -> bool:
                return bool(await link.fetchval(sql) >= wanted)

            await self.program.until(enough)

    async def verify(self, reference: EndState) -> list[str]:
        """What is wrong at the end; the report gets the counts."""
        state = await end_state(self.url, self.program.out)
        found = compare(self.program, state, reference)
        self.report.signals_in += len(reference.signals)
        self.report.signals_accounted += len(set(state.readings) & set(reference.readings))
        self.report.duplicates += found.duplicates
        self.report.torn_lines += found.torn_lines
        self._check_paid_answers(state, found.problems)
        if "Traceback" in self.program.log:
            found.problems.append("the log holds a traceback")
        shown = found.problems[:MOST_SHOWN]
        if len(found.problems) > len(shown):
            shown.append(f"and {len(found.problems) - len(shown)} more")
        return [f"round {self.plan.number}: {problem}" for problem in shown]

    def _check_paid_answers(self, state: EndState, problems: list[str]) -> None:
        """An answer that was durable at a kill is the answer at the end, and was not asked for again."""
        asked = requests_by_signal(self.simulator)
        self.report.answers_durable += len(self.known.stored)
        self.report.asked_twice += sum(len(times) - 1 for times in asked.values())
        for moment, (generation, since) in self.known.stored.items():
            if state.generations.get(moment) != generation:
                problems.append(f"the answer about {moment} that was stored at a kill was replaced")
            if any(arrived > since for arrived in asked.get(moment, ())):
                problems.append(f"{moment} was asked about again although its answer was stored")
        for moment, times in asked.items():
            lives = Counter(bisect(self.known.deaths, arrived) for arrived in times)
            if max(lives.values()) > 1:
                problems.append(f"one process asked {max(lives.values())} times about {moment}")


def requests_by_signal(simulator: OpenRouterSimulator) -> dict[datetime, list[float]]:
    """When (monotonic) the simulator was asked about the signal of which bar."""
    found: dict[datetime, list[float]] = {}
    for request in simulator.requests:
        if request.body is None or "messages" not in request.body:
            continue
        for text in _SIGNAL_TIME.findall(request.body["messages"][-1]["content"]):
            moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
            found.setdefault(moment, []).append(request.arrived_at)
    return found


async def answers_in(url: str) -> dict[datetime, str]:
    """The generation ids of the answers that PostgreSQL has, by the time of their signal."""
    async with connected(url) as link:
        stored = await link.fetch(
            "SELECT s.timestamp, r.generation_id FROM llm_analysis_results r JOIN trading_signals s"
            " USING (signal_id) WHERE r.generation_id IS NOT NULL"
        )
    return {row[0]: row[1] for row in stored}


async def shorten_leases(url: str) -> None:
    """Have the dead process's tasks free soon, to save time; the real waits are measured elsewhere."""
    async with connected(url) as link:
        for table in ("llm_enhancement_tasks", "llm_workers"):
            await link.execute(
                f"UPDATE {table} SET lease_expires_at = least(lease_expires_at, now() + interval '1 second')"
                " WHERE lease_expires_at IS NOT NULL"
            )


def answers_on_disk(outbox: Path) -> dict[datetime, str]:
    """The generation ids of the answers that stand in the outbox, by the time of their signal."""
    return {
        datetime.fromisoformat(body["signal"]["timestamp"]): body["analysis"]["generation_id"]
        for kind, _, body in outbox_entries(outbox)
        if kind == "outcome"
    }


def tear(file: Path) -> None:
    """Leave half a line at the end of ``file``, as a power cut does."""
    if file.exists():
        with file.open("ab") as handle:
            handle.write(b"0b5e,2017-01-03T07:00:0")


async def run_round(
    plan: Plan, folder: Path, databases: Databases, reference: EndState, report: Report
) -> None:
    """Play one round and hold its end against ``reference``; what is wrong goes to the report."""
    url = await asyncio.to_thread(databases)
    async with (
        OpenRouterSimulator(
            seed=plan.number, latency_seconds=LATENCY_SECONDS, log_size=LOG_SIZE
        ) as simulator,
        FaultProxy(postgres_target(url), seed=plan.number) as proxy,
    ):
        program = Program(
            folder, proxy.postgres_url(url), simulator.base_url,
            slice_of_bars(folder, plan.first_bar, plan.bars), speed=plan.speed,
        )  # fmt: skip
        one = Round(plan, program, url, proxy, simulator, report)
        try:
            await one.play()
            report.problems += await one.verify(reference)
        except (AssertionError, TimeoutError) as error:
            report.problems.append(f"round {plan.number}: {type(error).__name__}: {error}")
        finally:
            await program.close()


async def run_rounds(
    plans: Sequence[Plan], folder: Path, databases: Databases, report: Report, *, at_once: int = 2,
    told: Callable[[], Awaitable[None]] | None = None,
) -> None:  # fmt: skip
    """Play all rounds, ``at_once`` at a time; ``told`` is awaited after each."""
    references = {
        key: await reference_run(folder / f"reference-{key[0]}", databases, *key)
        for key in sorted({(plan.first_bar, plan.bars) for plan in plans})
    }
    free, one_by_one = asyncio.Semaphore(at_once), threading.Lock()

    def database() -> str:
        with one_by_one:
            return databases()

    async def play(plan: Plan) -> None:
        async with free:
            reference = references[plan.first_bar, plan.bars]
            await run_round(plan, folder / f"round-{plan.number}", database, reference, report)
            report.rounds += 1
            if told is not None:
                await told()

    async with asyncio.TaskGroup() as group:
        for plan in plans:
            group.create_task(play(plan))
