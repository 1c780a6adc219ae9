"""What shadows said about a signal: stored beside its result, whenever it comes."""

from __future__ import annotations

from collections.abc import Sequence

from llm_integration.domain import LLMAnalysis, Opinion, TaskStatus
from llm_integration.record.connections import Connections
from llm_integration.record.errors import UnknownSignalError
from llm_integration.record.outcome_rows import opinion_rows
from llm_integration.record.queries import SAVE_OPINIONS
from llm_integration.record.storable import clean_key, json_rows

__all__ = ["OpinionStore"]


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
