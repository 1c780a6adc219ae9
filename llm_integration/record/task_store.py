"""Tasks and results: claimed, finished and given back, each by one statement for a whole batch."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from llm_integration.domain import Claim, Signal, TaskScope
from llm_integration.fairness import MANY_STORED_BARS, in_turns
from llm_integration.record import queries
from llm_integration.record.batches import batches, json_in_slices
from llm_integration.record.connections import Connections
from llm_integration.record.errors import BadRowError, DatabaseError
from llm_integration.record.result_store import Outcome, ResultStore
from llm_integration.record.rows import Row, signal_in_pieces, signal_row
from llm_integration.record.storable import clean_key, may_be_digest

__all__ = ["TaskStore"]

logger = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000
"""Signals that are known to be stored, by their ids."""
PAGE = 250
"""Waiting tasks that are looked through before the host's loop gets its turn."""
CHARS_OF_A_BAR = 80


class TaskStore:
    """What the worker and the host do with signals, tasks and results.

    Every method raises DatabaseError's children only; ``retryable`` on them says whether to try again.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._results = ResultStore(connections)
        self._stored: OrderedDict[str, None] = OrderedDict()
        """The signals that were stored last, by their keys: to be claimed, these need not be sent again."""
        self._refused = 0
        self.simulated: bool | None = None
        """Set, ``claim_waiting`` takes simulated tasks only, or real ones only; new tasks are such."""
        self._scope = TaskScope()

    @property
    def refused_rows(self) -> int:
        """Signals and results that PostgreSQL would not take for what is in them."""
        return self._refused + self._results.refused

    def work_for(self, scope: TaskScope) -> None:
        """From now on ``claim_waiting`` takes only what ``scope`` allows, and new tasks bear its endpoint.

        The scope is looked at with each call: sessions that are added to it later count from then on.
        """
        self._scope = scope

    # The host's side

    async def record_signal(
        self,
        signal: Signal,
        *,
        worker_id: str | None = None,
        lease_seconds: float = 15.0,
        meant_for: tuple[str | None, bool | None] | None = None,
    ) -> int:
        """Store a signal and its task in one round trip; the task's id. Repeating it changes nothing.

        With ``worker_id`` the task is reserved for that worker, which is about to get the signal through
        memory: others leave it alone for ``lease_seconds``, and for as long as the worker's heart beats.
        A session that is not known yet is created. ``meant_for`` are endpoint and simulated of the task
        where they are not those of this manager.
        """
        self._meet(worker_id)
        endpoint, simulated = meant_for or (self._scope.endpoint, self.simulated)
        rows = await self._connections.fetch(
            "storing a signal", queries.RECORD_SIGNALS, await _signals_json([signal]), worker_id,
            lease_seconds, endpoint, simulated,
        )  # fmt: skip
        self._remember([signal])
        return int(rows[0]["task_id"])

    async def record_signals(
        self, signals: Sequence[Signal], *, worker_id: str | None = None, lease_seconds: float = 15.0
    ) -> int:
        """``record_signal`` for many, one round trip for up to 32 of them; how many are settled.

        A signal that PostgreSQL refuses for what is in it is logged and does not hold up the others.
        """
        self._meet(worker_id)
        for batch in batches(signals, _signal_id, _one, _text_of_signal):
            await self._record_batch(list(batch.values()), worker_id, lease_seconds)
        return len(signals)

    async def _record_batch(
        self, batch: Sequence[Signal], worker_id: str | None, lease_seconds: float
    ) -> None:
        try:
            await self._connections.fetch(
                "storing signals", queries.RECORD_SIGNALS, await _signals_json(batch), worker_id,
                lease_seconds, self._scope.endpoint, self.simulated,
            )  # fmt: skip
            self._remember(batch)
        except BadRowError as error:
            if len(batch) == 1:
                self._bad_row(batch[0], error)
                return
            for signal in batch:
                await self._record_batch([signal], worker_id, lease_seconds)

    # The worker's side

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        """Make sure that these signals and their tasks are stored, and claim the tasks that are free.

        One round trip for up to 32 of them. A signal that is missing from the answer is finished already,
        or a living worker holds it.
        """
        self._meet(worker_id)
        claims: dict[str, Claim] = {}
        for batch in batches(signals, _signal_id, _one, _text_of_signal):
            for row in await self._claim_any(batch, worker_id, lease_seconds):
                task_id, key, claim_id, attempts, age = row
                name = batch[key].signal_id
                claims[name] = Claim(task_id, name, claim_id, attempts, age)
        return claims

    async def _claim_any(
        self, batch: Mapping[str, Signal], worker_id: str, lease_seconds: float
    ) -> list[Any]:
        """By their ids those that were stored a moment ago, by all that is known of them the others."""
        rows: list[Any] = []
        if all(key in self._stored for key in batch):
            rows = await self._connections.fetch(
                "claiming signals", queries.CLAIM_STORED, list(batch), worker_id, lease_seconds,
                self._scope.endpoint, self.simulated,
            )  # fmt: skip
        claimed = {row["signal_id"] for row in rows}
        # One that was not claimed is taken or finished, unless it is gone from the tables.
        others = [signal for key, signal in batch.items() if key not in claimed]
        return rows + await self._claim_batch(others, worker_id, lease_seconds) if others else rows

    def _remember(self, signals: Iterable[Signal]) -> None:
        """These are stored; but one without bars may get them with its claim."""
        for signal in signals:
            if signal.bars:
                self._stored[clean_key(signal.signal_id)] = None
        while len(self._stored) > MOST_REMEMBERED:
            self._stored.popitem(last=False)

    async def _claim_batch(self, batch: Sequence[Signal], worker_id: str, lease_seconds: float) -> list[Any]:
        try:
            return await self._connections.fetch(
                "claiming signals", queries.CLAIM_SIGNALS, await _signals_json(batch), worker_id,
                lease_seconds, self._scope.endpoint, self.simulated,
            )  # fmt: skip
        except BadRowError as error:
            if len(batch) == 1:
                self._bad_row(batch[0], error)
                return []
        rows = []
        for signal in batch:
            rows += await self._claim_batch([signal], worker_id, lease_seconds)
        return rows

    async def claim_waiting(
        self, *, worker_id: str, limit: int, lease_seconds: float, exclude: Collection[str] = ()
    ) -> list[tuple[Claim, Signal]]:
        """Claim up to ``limit`` tasks that wait or were abandoned, oldest first, with their signals.

        Only tasks that ``work_for`` allows, and those that are reserved for this worker. ``exclude`` are
        signals that it knows of already. There may be many: they are looked up, not sent.
        """
        self._meet(worker_id)
        known, last, allowed = _Known(exclude), 0, self._allowed()
        claimed: list[Row] = []
        while len(claimed) < limit:
            page = await self._connections.fetch(
                "looking for waiting tasks", queries.WAITING_TASKS, worker_id, *allowed, last, PAGE
            )
            free = [task_id for task_id, signal_id in page if signal_id not in known]
            if free:
                claimed += await self._connections.fetch(
                    "claiming waiting tasks", queries.CLAIM_WAITING, worker_id, *allowed, lease_seconds,
                    free, limit - len(claimed), self._scope.endpoint,
                )  # fmt: skip
            if len(page) < PAGE:
                break
            last = page[-1][0]
        return [await _taken(row) for row in claimed]

    def _allowed(self) -> tuple[bool | None, list[str] | None, str | None]:
        """The parameters $2 to $4 of the statements about waiting tasks."""
        sessions, scope = self._scope.sessions, self._scope
        keys = None if sessions is None else [clean_key(name) if name else "" for name in sessions]
        return self.simulated, keys, None if scope.any_endpoint else scope.endpoint

    async def waiting_tasks(self, worker_id: str) -> int:
        """How many tasks ``claim_waiting`` could take at most, up to a few hundred."""
        page = await self._connections.fetch(
            "counting waiting tasks", queries.WAITING_TASKS, worker_id, *self._allowed(), 0, PAGE
        )
        return len(page)

    async def tasks_left_alone(self, worker_id: str) -> list[tuple[str | None, str | None, int]]:
        """Waiting tasks that ``work_for`` does not allow: session, the endpoint they are for, how many."""
        rows = await self._connections.fetch(
            "counting other tasks", queries.LEFT_ALONE, worker_id, *self._allowed()
        )
        return [(row["session"] or None, row["endpoint"], row["tasks"]) for row in rows]

    async def tasks_for_elsewhere(self, worker_id: str) -> list[tuple[str, int]]:
        """Waiting tasks that ``work_for`` allows though they were meant for other endpoints, by endpoint."""
        simulated, sessions, _ = self._allowed()
        rows = await self._connections.fetch(
            "counting tasks of other endpoints", queries.FOR_ELSEWHERE, worker_id, simulated, sessions,
            self._scope.endpoint,
        )  # fmt: skip
        return [(row["endpoint"], row["tasks"]) for row in rows] if self._scope.any_endpoint else []

    async def save_outcomes(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store results and end their tasks; the signal ids that were accepted.

        Fenced by the claims: an id is missing from the answer when its task was given to somebody else or
        ended otherwise. Saving the same outcome again is accepted and changes nothing. An outcome that
        PostgreSQL refuses for what is in it does not hold up the others: its task ends as ``failed`` with
        the reason, the error is logged, and the id counts as accepted, because the task is settled.
        """
        return await self._results.save(outcomes)

    def _bad_row(self, signal: Signal, error: DatabaseError) -> None:
        self._refused += 1
        logger.error("signal %r cannot be stored: %s", clean_key(signal.signal_id)[:100], error)

    async def release(self, claims: Sequence[Claim]) -> None:
        """Make claimed tasks ``pending`` again, free for anybody; claims that are void are passed over."""
        good = [(claim.task_id, key) for claim in claims if (key := _as_uuid(claim.claim_id)) is not None]
        if good:
            await self._connections.fetch(
                "releasing tasks", queries.RELEASE, *map(list, zip(*good, strict=True))
            )

    async def heartbeat(self, worker_id: str, *, lease_seconds: float) -> None:
        """Renew everything the worker holds: it counts as alive for ``lease_seconds`` from now."""
        self._meet(worker_id)
        await self._connections.fetch("heartbeat", queries.HEARTBEAT, worker_id, lease_seconds)

    async def retire_worker(self, worker_id: str) -> None:
        """End the worker's lease; what it still holds is ``pending`` and may be taken at once."""
        await self._connections.fetch("retiring a worker", queries.RETIRE_WORKER, worker_id)
        self._results.workers.discard(worker_id)

    def _meet(self, worker_id: str | None) -> None:
        """Remember who speaks through this manager: an outcome without a claim may end their tasks."""
        if worker_id is not None:
            self._results.workers.add(worker_id)


def _signal_id(signal: Signal) -> str:
    return signal.signal_id


def _one(_signal: Signal) -> int:
    return 1


def _text_of_signal(signal: Signal) -> int:
    return CHARS_OF_A_BAR * len(signal.bars)


async def _taken(row: Row) -> tuple[Claim, Signal]:
    """A claimed task, its context still a text: bars by the hundred are not read in one go."""
    text = row["context"] or "null"
    if len(text) > MANY_STORED_BARS * CHARS_OF_A_BAR:
        await _next_turn()
    try:
        context = orjson.loads(text)
    except orjson.JSONDecodeError:  # an outsider's number that is too large
        context = None
    signal = await in_turns(signal_in_pieces(row, context), _next_turn)
    return _claim(row, row["signal_id"], context), signal


async def _next_turn() -> None:
    await asyncio.sleep(0)


async def _signals_json(signals: Sequence[Signal]) -> bytes:
    return await json_in_slices(signals, signal_row, _text_of_signal)


class _Known:
    """Signals by their stored keys, which but for odd ones are their ids."""

    def __init__(self, signal_ids: Collection[str]) -> None:
        self._ids = frozenset(signal_ids) if isinstance(signal_ids, Sequence) else signal_ids
        self._keys: set[str] | None = None

    def __contains__(self, key: str) -> bool:
        if key in self._ids:
            return True
        if not may_be_digest(key):
            return False
        if self._keys is None:
            self._keys = {clean_key(signal_id) for signal_id in self._ids}
        return key in self._keys


def _claim(row: Row, signal_id: str, context: object) -> Claim:
    model = context.get("model") if isinstance(context, Mapping) else None
    return Claim(
        row["task_id"], signal_id, str(row["claim_id"]), row["attempts"], row["age_seconds"],
        model if isinstance(model, str) and model else None,
    )  # fmt: skip


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
