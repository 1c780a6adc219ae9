"""Tasks one at a time, for a host that does without the worker's batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llm_integration.domain import Claim, LLMAnalysis, TaskStatus
from llm_integration.record import queries
from llm_integration.record.connections import Connections
from llm_integration.record.errors import BadRowError, UnknownSignalError, UnknownTaskError
from llm_integration.record.outcome_rows import analysis_from_mapping
from llm_integration.record.result_store import ResultStore
from llm_integration.record.storable import clean_key, clean_text

__all__ = ["TasksByHand"]


class TasksByHand:
    """Create a task, look at those that wait, end one. Errors are DatabaseError's children."""

    def __init__(self, connections: Connections, results: ResultStore | None = None) -> None:
        self._connections = connections
        self._results = results or ResultStore(connections)

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
        return signal_id in await self._results.save([(analysis, claim)])
