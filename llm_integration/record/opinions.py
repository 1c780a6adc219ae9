"""What shadows said about a signal: stored beside its result, whenever it comes."""

from __future__ import annotations

from collections.abc import Sequence

from llm_integration.domain import LLMAnalysis, Opinion, TaskStatus
from llm_integration.record.connections import Connections
from llm_integration.record.errors import UnknownSignalError
from llm_integration.record.outcome_rows import OPINION_COLUMNS, opinion_rows
from llm_integration.record.queries import rows_of
from llm_integration.record.storable import clean_key, json_rows

__all__ = ["OpinionStore"]

_OTHERS = [name for name in OPINION_COLUMNS if name not in ("signal_id", "position")]
_REST, _GIVEN = ", ".join(_OTHERS), ", ".join(f"p.{name}" for name in _OTHERS)

# Positions go on after what is stored, so that opinions of one signal keep the order in which they came.
SAVE_OPINIONS = f"""
INSERT INTO llm_opinions (task_id, position, {_REST})
SELECT t.task_id, p.position + COALESCE((SELECT max(o.position) + 1 FROM llm_opinions o
                                         WHERE o.task_id = t.task_id), 0), {_GIVEN}
FROM ({rows_of(OPINION_COLUMNS, "x")}) AS p
JOIN llm_enhancement_tasks t ON t.signal_id = p.signal_id
RETURNING task_id
"""  # noqa: S608  constants of this package


class OpinionStore:
    """Opinions that come after the result they belong to."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def save_opinions(self, signal_id: str, opinions: Sequence[Opinion]) -> None:
        """Store ``opinions`` with the signal's task. Raises UnknownSignalError when it has none."""
        if not opinions:
            return
        carrier = LLMAnalysis(signal_id, TaskStatus.COMPLETED, opinions=tuple(opinions))
        rows = await self._connections.fetch(
            "storing opinions", SAVE_OPINIONS, json_rows(opinion_rows(carrier))
        )
        if not rows:
            raise UnknownSignalError(f"there is no task of signal {clean_key(signal_id)!r}")
