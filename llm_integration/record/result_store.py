"""Results on their way into the tables: fenced by their claims, each batch in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from llm_integration.domain import Claim, LLMAnalysis, TaskStatus
from llm_integration.record import queries
from llm_integration.record.batches import batches, json_in_slices
from llm_integration.record.connections import Connections
from llm_integration.record.errors import BadRowError
from llm_integration.record.outcome_rows import opinion_rows, outcome_row
from llm_integration.record.storable import clean_key, json_rows

__all__ = ["Outcome", "ResultStore"]

logger = logging.getLogger(__name__)

Outcome = tuple[LLMAnalysis, Claim | None]


class ResultStore:
    """Ends tasks with their results.

    ``workers`` are those that speak through this process: an outcome without a claim may end their tasks, and
    those of nobody else who is alive. ``refused`` counts what PostgreSQL would not take for what is in it.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.workers: set[str] = set()
        self.refused = 0

    async def save(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Store results and end their tasks; the signal ids that were accepted."""
        accepted: set[str] = set()
        for batch in batches(outcomes, _signal_id, _rows, _text):
            accepted |= {batch[key][0].signal_id for key in await self._save(list(batch.values()))}
        return accepted

    async def _save(self, batch: Sequence[Outcome]) -> set[str]:
        """The keys of the signals that were accepted. One that is refused does not hold up the others."""
        try:
            return await self._store("storing results", batch)
        except BadRowError as error:
            if len(batch) == 1:
                return await self._settle(*batch[0], error)
        found: set[str] = set()
        for outcome in batch:
            found |= await self._save([outcome])
        return found

    async def _settle(self, analysis: LLMAnalysis, claim: Claim | None, error: BadRowError) -> set[str]:
        """End the task of an outcome that cannot be stored, with the reason in place of the result."""
        self.refused += 1
        logger.error("result of signal %r cannot be stored: %s", clean_key(analysis.signal_id)[:100], error)
        bare = LLMAnalysis(
            analysis.signal_id, TaskStatus.FAILED, error=f"PostgreSQL refused the result: {error}",
            cost_usd=analysis.cost_usd, processed_at=analysis.processed_at,
        )  # fmt: skip
        try:
            return await self._store("storing a failure", [(bare, claim)])
        except BadRowError:
            return set()  # nothing about this signal can be stored; its neighbours must not suffer

    async def _store(self, doing: str, batch: Sequence[Outcome]) -> set[str]:
        texts: dict[str, str] = {}
        rows = await json_in_slices(batch, lambda outcome: outcome_row(*outcome, texts), _text)
        opinions = json_rows([row for analysis, _ in batch for row in opinion_rows(analysis)])
        shared = json_rows([{"text_id": key, "content": text} for key, text in texts.items()])
        stored = await self._connections.fetch(
            doing, queries.SAVE_OUTCOMES, rows, sorted(self.workers), shared, opinions
        )
        return {row["signal_id"] for row in stored}


def _signal_id(outcome: Outcome) -> str:
    return outcome[0].signal_id


def _rows(outcome: Outcome) -> int:
    return 1 + len(outcome[0].opinions)


def _text(outcome: Outcome) -> int:
    analysis = outcome[0]
    length = len(analysis.prompt_text or "") + len(analysis.raw_reply or "")
    for opinion in analysis.opinions:
        length += len(opinion.raw_reply or "")
    return length
