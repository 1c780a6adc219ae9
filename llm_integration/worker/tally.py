"""What became of the signals, in numbers. Pure."""

from __future__ import annotations

import logging
from collections import Counter, deque
from decimal import Decimal
from typing import Any

from llm_integration.domain import LLMAnalysis
from llm_integration.rating_health import RatingHealth, version_names
from llm_integration.worker.ownership import Ownership
from llm_integration.worker.tasks import Task

__all__ = ["Tally"]

logger = logging.getLogger(__name__)


class Tally:
    """Counts answers, the host's own and, apart from them, those to the tasks of others."""

    def __init__(self, ownership: Ownership, *, health_window: int) -> None:
        self._ownership = ownership
        self._health = RatingHealth(window=health_window)
        self._counts: Counter[str] = Counter()
        self._cost = Decimal(0)
        self._recent: deque[LLMAnalysis] = deque(maxlen=5)

    def add(self, task: Task, analysis: LLMAnalysis) -> None:
        """A task has its end."""
        if analysis.answered:
            self._watch_health(analysis)
        if task.adopted:
            self._ownership.count(analysis)
            return
        self._counts[analysis.status.value] += 1
        if analysis.answered:
            self._counts["rated" if analysis.rated else "unrated"] += 1
            if analysis.cost_usd is None:
                self._counts["cost_unknown"] += 1
        self.charge(analysis.cost_usd)
        self.show(analysis)

    def charge(self, cost: Decimal | None) -> None:
        """Money was spent."""
        self._cost += cost or 0

    def show(self, analysis: LLMAnalysis) -> None:
        """It is the last one there is to see."""
        self._recent.append(analysis)

    def _watch_health(self, analysis: LLMAnalysis) -> None:
        model, prompt = version_names(
            analysis.model_served, analysis.model_requested, analysis.prompt_name, analysis.prompt_version
        )
        alarm = self._health.add(analysis.rating, model=model, prompt=prompt)
        if alarm is not None:
            logger.warning("rating health: %s", alarm.message)

    def statistics(self) -> dict[str, Any]:
        """The numbers, under the names of ``LLMWorker.get_statistics``."""
        names = ("completed", "rated", "unrated", "failed", "expired", "cost_unknown")
        return {
            **{name: self._counts[name] for name in names},
            "adopted": self._ownership.statistics(),
            "cost_usd": self._cost,
            "recent": tuple(self._recent),
            "rating_health": self._health.report(),
        }
