"""Brings what dead processes left in their outboxes into PostgreSQL: in order, each once."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from llm_integration.availability import Availability
from llm_integration.domain import Claim, LLMAnalysis, Signal
from llm_integration.fairness import LEFTOVERS_AT_ONCE
from llm_integration.record.errors import DatabaseError
from llm_integration.record.outbox.entries import Entry, KeptOutcome, KeptSignal, decode
from llm_integration.record.outbox.file import OutboxFile, Row, find_files, put_aside
from llm_integration.record.outbox.thread import folder_for
from llm_integration.threads import in_thread, in_thread_later

__all__ = ["LeftoverDatabase", "Leftovers", "Settled"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LOOK_SECONDS = 10.0
HELD_LEASES = 1.5
"""For how many leases a result waits whose task another worker holds: that one may have died a moment ago."""
HELD_PAUSE_SECONDS = 1.0


class LeftoverDatabase(Protocol):
    """The part of DatabaseManager that is needed to bring entries in."""

    async def record_signal(
        self,
        signal: Signal,
        *,
        worker_id: str | None = None,
        meant_for: tuple[str | None, bool | None] | None = None,
    ) -> int:
        """Store a signal and its task, for that endpoint and kind; repeating it changes nothing."""
        ...

    async def update_task_status(self, task_id: int, status: str, error: str | None = None) -> object:
        """End a task that nobody is going to work on."""
        ...

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        """Store signals and claim their free tasks, by signal id."""
        ...

    async def save_outcomes(self, outcomes: Sequence[tuple[LLMAnalysis, Claim | None]]) -> set[str]:
        """Store results and end their tasks; the ids that were accepted."""
        ...

    async def finished_analyses(self, signal_ids: Sequence[str]) -> list[LLMAnalysis]:
        """How those of these signals ended that have their end."""
        ...

    async def retire_worker(self, worker_id: str) -> None:
        """End the lease of a worker."""
        ...


@dataclass(slots=True)
class Settled:
    """What came out of the outboxes of dead processes.

    ``refused`` outcomes belong to tasks that were finished by somebody else meanwhile, or that a living
    worker holds; ``damaged`` counts entries and files that could not be read.
    """

    signals: int = 0
    outcomes: int = 0
    refused: int = 0
    damaged: int = 0
    waiting: int = 0

    @property
    def nothing(self) -> bool:
        """True when there was nothing to bring in."""
        return not (self.signals or self.outcomes or self.refused or self.damaged)


class Leftovers:
    """Looks for outboxes whose owners are dead.

    ``worker_id`` is who claims tasks in their place. It must be nobody else's name: a worker would take the
    tasks of its own name for its own. ``availability`` is what other parts know of the same PostgreSQL.
    """

    def __init__(
        self,
        folder: str | Path,
        database: LeftoverDatabase,
        *,
        target: str = "",
        worker_id: str,
        lease_seconds: float = 20.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        availability: Availability | None = None,
    ) -> None:
        self.folder = folder_for(Path(folder), target)
        self.total = Settled()
        self.crashes = 0
        self._database = database
        self._worker_id = worker_id
        self._lease = lease_seconds
        self._sleep = sleep
        self._availability = availability or Availability(time.monotonic)
        self._trading = False

    async def run(self) -> None:
        """Settle again and again until cancelled: a neighbour may die at any time."""
        self._trading = True
        while True:
            try:
                if self._availability.worth_asking_for("leftovers"):
                    await self.settle()
            except Exception:  # the next look may be luckier, and the answers are on disk until then
                self.crashes += 1
                logger.exception("the look for what earlier runs left crashed; it is repeated")
            await self._sleep(self._availability.retry_in("leftovers") or LOOK_SECONDS)

    async def settle(self) -> Settled:
        """Bring in what can be brought in now; what PostgreSQL does not take waits."""
        found = Settled()
        for path in await self._in_thread(find_files, self.folder):
            if not await self._settle_file(path, found):
                break
        if not found.nothing:
            self._announce(found)
        return found

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Where no thread can be started: at set-up the files are read here, in mid-trade they wait."""
        return await (in_thread_later if self._trading else in_thread)(work, *args, **kwargs)

    async def _settle_file(self, path: Path, found: Settled) -> bool:
        """Empty one file; False when PostgreSQL is away and the rest must wait."""
        try:
            file = await self._in_thread(OutboxFile.adopt, path)
            return file is None or await self._empty_and_close(file, found)
        except (OSError, sqlite3.OperationalError) as error:
            logger.warning("%s cannot be read now (%s); it is tried again", path, error)
        except sqlite3.DatabaseError as error:
            found.damaged += 1
            await self._in_thread(put_aside, path)
            logger.error("%s is damaged (%s); it is kept under the ending .damaged", path, error)
        return True

    async def _empty_and_close(self, file: OutboxFile, found: Settled) -> bool:
        emptied = False
        try:
            emptied = await self._empty(file, found)
        finally:
            await asyncio.shield(in_thread(file.close, remove=emptied))
        return emptied

    async def _empty(self, file: OutboxFile, found: Settled) -> bool:
        facts = await self._in_thread(file.facts)
        try:
            await self._bury(facts)
            while rows := await self._in_thread(file.oldest, LEFTOVERS_AT_ONCE):
                await self._bring_in(rows, found, _meant_for(facts))
                await self._in_thread(file.remove, [row.seq for row in rows])
        except DatabaseError as error:
            self._availability.failed(error, "leftovers")
            counts = await self._in_thread(file.count)
            found.waiting += sum(counts.values())
            return False
        self._availability.over("leftovers")
        return True

    async def _bury(self, facts: Mapping[str, str]) -> None:
        """The owner's lock was free, so it is dead: its tasks need not wait for its lease to run out."""
        if worker_id := facts.get("worker_id"):
            await self._database.retire_worker(worker_id)

    async def _bring_in(
        self, rows: Sequence[Row], found: Settled, meant_for: tuple[str | None, bool | None]
    ) -> None:
        entries = [entry for row in rows if (entry := _read(row, found)) is not None]
        outcomes: list[KeptOutcome] = []
        for entry in entries:
            if isinstance(entry, KeptOutcome):
                outcomes.append(entry)
            else:
                await self._store_signal(entry, found, meant_for)
        if outcomes:
            await self._store_outcomes(outcomes, found)

    async def _store_signal(
        self, entry: KeptSignal, found: Settled, meant_for: tuple[str | None, bool | None]
    ) -> None:
        try:
            task_id = await self._database.record_signal(entry.signal, meant_for=meant_for)
            if entry.off_reason is not None:
                reason = f"LLM off: {entry.off_reason}"
                await self._database.update_task_status(task_id, "expired", reason)
        except DatabaseError as error:
            if error.retryable:
                raise
            found.damaged += 1
            logger.error("signal %r from an outbox is refused by PostgreSQL: %s", entry.name[1], error)
        else:
            found.signals += 1

    async def _store_outcomes(self, outcomes: Sequence[KeptOutcome], found: Settled) -> None:
        """An outcome with a claim is fenced by it; one without gets the claim it would need now.

        Whoever brought it in before, and was killed at it, may hold the task still. The answer is paid for:
        it waits for that lease to run out rather than be thrown away.
        """
        held = outcomes
        for _ in range(1 + math.ceil(HELD_LEASES * self._lease / HELD_PAUSE_SECONDS)):
            held = await self._store_free(held, found)
            if not held:
                return
            await self._sleep(HELD_PAUSE_SECONDS)
        found.refused += len(held)

    async def _store_free(self, outcomes: Sequence[KeptOutcome], found: Settled) -> list[KeptOutcome]:
        """Store those whose tasks are free or theirs; returns those whose tasks somebody else holds."""
        unclaimed = [outcome.signal for outcome in outcomes if outcome.claim is None]
        claims: dict[str, Claim] = {}
        if unclaimed:
            claims = await self._database.claim_signals(
                unclaimed, worker_id=self._worker_id, lease_seconds=self._lease
            )
        missing = [signal.signal_id for signal in unclaimed if signal.signal_id not in claims]
        ended: set[str] = set()
        if missing:
            ended = {each.signal_id for each in await self._database.finished_analyses(missing)}
        ready: list[tuple[LLMAnalysis, Claim | None]] = []
        held: list[KeptOutcome] = []
        for outcome in outcomes:
            name = outcome.signal.signal_id
            claim = outcome.claim or claims.get(name)
            if claim is not None:
                ready.append((outcome.analysis, claim))
            elif name in ended:
                found.refused += 1
            else:
                held.append(outcome)
        if ready:
            accepted = await self._database.save_outcomes(ready)
            found.outcomes += len(accepted)
            found.refused += len(ready) - len(accepted)
        return held

    def _announce(self, found: Settled) -> None:
        for name in ("signals", "outcomes", "refused", "damaged"):
            setattr(self.total, name, getattr(self.total, name) + getattr(found, name))
        logger.warning(
            "brought in from the outbox of an earlier run: %d signal(s), %d result(s); %d result(s) came too"
            " late, %d entries unreadable or refused",
            found.signals, found.outcomes, found.refused, found.damaged,
        )  # fmt: skip


def _meant_for(facts: Mapping[str, str]) -> tuple[str | None, bool | None]:
    """Endpoint and kind of a file's signals, not those of whoever brings them in; unknown in older files."""
    simulated = facts.get("simulated")
    return facts.get("endpoint"), None if simulated is None else simulated == "true"


def _read(row: Row, found: Settled) -> Entry | None:
    try:
        return decode(row.kind, row.body)
    except ValueError as error:
        found.damaged += 1
        logger.error("entry %d of an outbox is unreadable: %s", row.seq, error)
        return None
