"""What ``llm_processing_summary.json`` counts: the outcomes that one exporter has seen since it began.

Nothing is read back from the files: a resumed run that is given the finished outcomes of its session
again counts them again, so its summary covers the session; any other run's covers that run.
Memory does not grow with the number of signals, except 8 bytes each to count none twice.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from llm_integration.csv_exporter.escape import plain_text
from llm_integration.csv_exporter.index import IdSet
from llm_integration.domain import LLMAnalysis, TaskStatus

__all__ = [
    "SUMMARY_FILE",
    "Latency",
    "Summary",
    "draft_of",
    "plain_json",
    "remove_stale_drafts",
    "replace_file",
]

SUMMARY_FILE = "llm_processing_summary.json"
MAX_REASONS = 50
STALE_DRAFT_SECONDS = 3_600
MAX_REASON_CHARS = 200
OTHER = "other"
_STEPS_PER_E = 100


class Latency:
    """Mean and percentiles of durations in ms; percentiles within 0.5 %, in constant memory."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._number = 0
        self._sum = 0.0

    def add(self, milliseconds: float | None) -> None:
        """Count one duration; a missing one is not counted."""
        if milliseconds is None or not math.isfinite(milliseconds):
            return
        step = round(math.log(max(milliseconds, 0.01)) * _STEPS_PER_E)
        self._counts[step] = self._counts.get(step, 0) + 1
        self._number += 1
        self._sum += milliseconds

    def percentile(self, share: float) -> float | None:
        """The duration that ``share`` (0..1) of them do not exceed; None without any."""
        rank = max(1, math.ceil(share * self._number))
        for step in sorted(self._counts):
            rank -= self._counts[step]
            if rank <= 0:
                return round(math.exp(step / _STEPS_PER_E), 1)
        return None

    def as_dict(self) -> dict[str, Any]:
        """``mean``, ``p50``, ``p95`` and ``count``."""
        mean = round(self._sum / self._number, 1) if self._number else None
        return {
            "count": self._number,
            "mean": mean,
            "p50": self.percentile(0.5),
            "p95": self.percentile(0.95),
        }


class Summary:
    """Counts outcomes. Used by the writer thread; ``as_dict`` by any thread."""

    def __init__(self) -> None:
        self._seen = IdSet()
        self._answered = self._rated = self._failed = self._expired = 0
        self._unrated_reasons: dict[str, int] = {}
        self._failed_reasons: dict[str, int] = {}
        self._expired_reasons: dict[str, int] = {}
        self._ratings: dict[str, int] = {str(rating): 0 for rating in range(1, 6)}
        self._methods: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._cost = Decimal(0)
        self._unknown_costs = self._prompt_tokens = self._completion_tokens = 0
        self._latency = Latency()

    def add(self, analysis: LLMAnalysis) -> None:
        """Count one outcome; a signal that was counted already is not counted again."""
        if not self._seen.add(analysis.signal_id):
            return
        if analysis.cost_usd is not None:
            self._cost += analysis.cost_usd
        self._prompt_tokens += analysis.prompt_tokens or 0
        self._completion_tokens += analysis.completion_tokens or 0
        if analysis.answered:
            self._add_answer(analysis)
        elif analysis.status is TaskStatus.EXPIRED:
            self._expired += 1
            _count(self._expired_reasons, analysis.error)
        else:
            self._failed += 1
            _count(self._failed_reasons, analysis.error)

    def _add_answer(self, analysis: LLMAnalysis) -> None:
        self._answered += 1
        self._unknown_costs += analysis.cost_usd is None
        self._latency.add(analysis.total_ms)
        _count(self._methods, str(analysis.parse_method))
        _count(self._models, analysis.model_served or analysis.model_requested)
        if analysis.rated:
            self._rated += 1
            _count(self._ratings, str(analysis.rating))
        else:
            _count(self._unrated_reasons, analysis.error)

    def as_dict(self) -> dict[str, Any]:
        """The counts, ready for JSON; the cost is text, so that no cent fraction is rounded."""
        return {
            "signals": {
                "outcomes": self._answered + self._failed + self._expired,
                "answered": self._answered,
                "rated": self._rated,
                "unrated": self._answered - self._rated,
                "failed": self._failed,
                "expired": self._expired,
            },
            "unrated_reasons": dict(self._unrated_reasons),
            "failed_reasons": dict(self._failed_reasons),
            "expired_reasons": dict(self._expired_reasons),
            "ratings": dict(self._ratings),
            "parse_methods": dict(self._methods),
            "models": dict(self._models),
            "cost_usd": f"{self._cost:f}",
            "answers_of_unknown_cost": self._unknown_costs,
            "tokens": {"prompt": self._prompt_tokens, "completion": self._completion_tokens},
            "processing_time_ms": self._latency.as_dict(),
        }


def _count(counts: dict[str, int], name: str | None) -> None:
    # Names come from outside: a server that words each error differently must not fill the memory.
    key = plain_text((name or "unknown")[:MAX_REASON_CHARS])
    if key not in counts and len(counts) >= MAX_REASONS:
        key = OTHER
    counts[key] = counts.get(key, 0) + 1


def plain_json(value: object, depth: int = 6) -> Any:
    """``value`` as JSON can hold it: odd types as text, NaN and infinity as null, text cleaned."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping) and depth:
        return {plain_text(str(key)): plain_json(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and depth:
        return [plain_json(item, depth - 1) for item in value]
    return plain_text(str(value))


def draft_of(path: Path) -> Path:
    """Where a new version of ``path`` is written before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_stale_drafts(directory: Path) -> None:
    """Delete what killed processes left behind: drafts that nobody has touched for an hour."""
    latest = time.time() - STALE_DRAFT_SECONDS
    with suppress(OSError):
        for draft in directory.glob(".llm_*.tmp"):
            if draft.stat().st_mtime < latest:
                draft.unlink(missing_ok=True)


def replace_file(path: Path, data: Mapping[str, object]) -> None:
    """Write ``data`` as JSON over ``path``; a reader sees the old or the new file. May raise OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    try:
        with draft.open("w", encoding="utf-8") as out:
            json.dump(plain_json(data), out, indent=2, ensure_ascii=False)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
