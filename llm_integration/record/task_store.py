"""Tasks and results: claimed, finished and given back, each by one statement for a whole batch."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import orjson

from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskScope, TaskStatus
from llm_integration.pieces import in_turns
from llm_integration.record import queries
from llm_integration.record.connections import Connections
from llm_integration.record.errors import BadRowError, DatabaseError, UnknownSignalError, UnknownTaskError
from llm_integration.record.opinion_rows import opinion_rows
from llm_integration.record.outcome_rows import analysis_from_mapping, outcome_row
from llm_integration.record.rows import Row, signal_in_pieces, signal_row
from llm_integration.record.storable import clean_key, clean_text, json_rows, may_be_digest, one_array

__all__ = ["TaskStore"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

LARGEST_BATCH = 32
LARGEST_TEXT = 100_000
"""Rows, and characters of prompts and replies, per statement: more would hold up the host's loop."""
AT_ONCE = 8
TEXT_AT_ONCE = 32_000
"""Rows, or characters of them, that are made ready before the host's loop gets its turn."""
MANY_BARS = 10
"""A signal with more bars than this is read in a turn of the host's loop of its own."""
MOST_REMEMBERED = 10_000
"""Signals that are known to be stored, by their ids."""
PAGE = 250
"""Waiting tasks that are looked through before the host's loop gets its turn."""
CHARS_OF_A_BAR = 80

Outcome = tuple[LLMAnalysis, Claim | None]


class TaskStore:
    """What the worker and the host do with signals, tasks and results.

    Every method raises DatabaseError's children only; ``retryable`` on them says whether to try again.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._workers: set[str] = set()
        self._stored: OrderedDict[str, None] = OrderedDict()
        """The signals that were stored last, by their keys: to be claimed, these need not be sent again."""
        self.refused_rows = 0
        self.simulated: bool | None = None
        """Set, ``claim_waiting`` takes simulated tasks only, or real ones only; new tasks are such."""
        self._scope = TaskScope()

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
        for batch in _rounds(signals, _signal_id, _one, _text_of_signal):
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
                self._bad_row("signal", batch[0].signal_id, error)
                return
            for signal in batch:
                await self._record_batch([signal], worker_id, lease_seconds)

    async def create_llm_enhancement_task(self, signal_id: str) -> int:
        """The id of the signal's task, which is created if it has none. Raises UnknownSignalError."""
        rows = await self._connections.fetch("creating a task", queries.CREATE_TASK, clean_key(signal_id))
        if not rows:
            raise UnknownSignalError(f"there is no signal {clean_key(signal_id)!r}; store it before its task")
        return int(rows[0]["task_id"])

    async def get_pending_llm_tasks(self, limit: int = 10) -> list[dict[str, Any]]:
        """The oldest ``pending`` tasks with their signals, without claiming them."""
        rows = await self._connections.fetch("reading tasks", queries.PENDING_TASKS, max(0, limit))
        return [dict(row) for row in rows]

    async def update_task_status(
        self, task_id: int, status: TaskStatus | str, error: str | None = None
    ) -> None:
        """Set a task's status by hand. A claim on it becomes void. Raises UnknownTaskError, ValueError."""
        wanted = TaskStatus(status).value
        rows = await self._connections.fetch(
            "setting a status", queries.SET_STATUS, task_id, wanted, clean_text(error)
        )
        if not rows:
            raise UnknownTaskError(f"there is no task {task_id}")

    async def save_llm_analysis_result(
        self,
        task_id: int,
        signal_id: str,
        llm_result: LLMAnalysis | Mapping[str, Any],
        *,
        claim_id: str | None = None,
    ) -> bool:
        """Store one outcome and end its task, in one transaction; True if it was accepted.

        ``llm_result`` is an LLMAnalysis or a mapping with its field names. False when another worker holds
        the task or it was finished before; nothing is changed then. Raises UnknownTaskError when there is
        no such task, BadRowError when it belongs to another signal.
        """
        rows = await self._connections.fetch("reading a task", queries.TASK_SIGNAL, task_id)
        if not rows:
            raise UnknownTaskError(f"there is no task {task_id}")
        key = clean_key(signal_id)
        if rows[0]["signal_id"] != key:
            raise BadRowError(f"task {task_id} belongs to signal {rows[0]['signal_id']!r}, not {key!r}")
        if isinstance(llm_result, LLMAnalysis):
            analysis = replace(llm_result, signal_id=signal_id, task_id=task_id)
        else:
            analysis = analysis_from_mapping(signal_id, llm_result)
        claim = None if claim_id is None else Claim(task_id, key, claim_id)
        return key in await self._save([(analysis, claim)])

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
        for batch in _rounds(signals, _signal_id, _one, _text_of_signal):
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
                self._bad_row("signal", batch[0].signal_id, error)
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
        accepted: set[str] = set()
        for batch in _rounds(outcomes, _outcome_id, _rows_of, _text_of):
            accepted |= {batch[key][0].signal_id for key in await self._save(list(batch.values()))}
        return accepted

    async def _save(self, batch: Sequence[Outcome]) -> set[str]:
        try:
            rows = await self._connections.fetch(
                "storing results", queries.SAVE_OUTCOMES, *await _outcome_arguments(batch, self._workers)
            )
        except BadRowError as error:
            if len(batch) == 1:
                return await self._settle(*batch[0], error)
            found: set[str] = set()
            for outcome in batch:
                found |= await self._save([outcome])
            return found
        return {row["signal_id"] for row in rows}

    async def _settle(self, analysis: LLMAnalysis, claim: Claim | None, error: BadRowError) -> set[str]:
        """End the task of an outcome that cannot be stored, with the reason in place of the result."""
        self._bad_row("result of signal", analysis.signal_id, error)
        bare = LLMAnalysis(
            analysis.signal_id, TaskStatus.FAILED, error=f"PostgreSQL refused the result: {error}",
            cost_usd=analysis.cost_usd, processed_at=analysis.processed_at,
        )  # fmt: skip
        try:
            rows = await self._connections.fetch(
                "storing a failure",
                queries.SAVE_OUTCOMES,
                *await _outcome_arguments([(bare, claim)], self._workers),
            )
        except BadRowError:
            return set()  # nothing about this signal can be stored; its neighbours must not suffer
        return {row["signal_id"] for row in rows}

    def _bad_row(self, what: str, signal_id: str, error: DatabaseError) -> None:
        self.refused_rows += 1
        logger.error("%s %r cannot be stored: %s", what, clean_key(signal_id)[:100], error)

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
        self._workers.discard(worker_id)

    def _meet(self, worker_id: str | None) -> None:
        """Remember who speaks through this manager: an outcome without a claim may end their tasks."""
        if worker_id is not None:
            self._workers.add(worker_id)


def _rounds(
    items: Sequence[T], key: Callable[[T], str], rows: Callable[[T], int], text: Callable[[T], int]
) -> Iterator[dict[str, T]]:
    """``items`` in batches for one statement each: bounded in rows and text, by their storable keys."""
    batch: dict[str, T] = {}
    size = length = 0
    for item in items:
        name, count, more = clean_key(key(item)), rows(item), text(item)
        full = size + count > LARGEST_BATCH or length + more > LARGEST_TEXT
        if batch and (full or name in batch):
            yield batch
            batch, size, length = {}, 0, 0
        batch[name] = item
        size += count
        length += more
    if batch:
        yield batch


def _signal_id(signal: Signal) -> str:
    return signal.signal_id


def _one(_signal: Signal) -> int:
    return 1


def _text_of_signal(signal: Signal) -> int:
    return CHARS_OF_A_BAR * len(signal.bars)


def _outcome_id(outcome: Outcome) -> str:
    return outcome[0].signal_id


def _rows_of(outcome: Outcome) -> int:
    return 1 + len(outcome[0].opinions)


def _text_of(outcome: Outcome) -> int:
    analysis = outcome[0]
    length = len(analysis.prompt_text or "") + len(analysis.raw_reply or "")
    for opinion in analysis.opinions:
        length += len(opinion.raw_reply or "")
    return length


async def _outcome_arguments(batch: Sequence[Outcome], workers: Iterable[str]) -> list[object]:
    """The parameters of SAVE_OUTCOMES."""
    texts: dict[str, str] = {}
    rows = await _json(batch, lambda outcome: outcome_row(*outcome, texts), _text_of)
    opinions = [row for analysis, _ in batch for row in opinion_rows(analysis)]
    shared = [{"text_id": key, "content": text} for key, text in texts.items()]
    return [rows, sorted(workers), json_rows(shared), json_rows(opinions)]


async def _taken(row: Row) -> tuple[Claim, Signal]:
    """A claimed task, its context still a text: bars by the hundred are not read in one go."""
    text = row["context"] or "null"
    if len(text) > MANY_BARS * CHARS_OF_A_BAR:
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
    return await _json(signals, signal_row, _text_of_signal)


async def _json(items: Sequence[T], row: Callable[[T], Mapping[str, Any]], text: Callable[[T], int]) -> bytes:
    """The rows of all items for one parameter, made in slices that the host's loop does not feel."""
    arrays: list[bytes] = []
    part: list[Mapping[str, Any]] = []
    length = 0
    for number, item in enumerate(items, 1):
        part.append(row(item))
        length += text(item)
        full = len(part) == AT_ONCE or length > TEXT_AT_ONCE
        if full or number == len(items):
            arrays.append(json_rows(part))
            part, length = [], 0
        if full:
            await asyncio.sleep(0)
    return one_array(arrays)


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
