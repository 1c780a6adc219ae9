"""Between analyses and the rows of tasks, results and opinions. Pure.

Which columns there are is said by ``columns``; here is what is not a field as it is: the task's own part, and
texts that many results share.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from llm_integration.domain import Claim, LLMAnalysis, Opinion, TaskStatus
from llm_integration.record.columns import OPINION, RESULT, Table, method_of, rating_of
from llm_integration.record.rows import Row
from llm_integration.record.storable import clean_key, shown

__all__ = [
    "OPINION_COLUMNS",
    "OUTCOME_COLUMNS",
    "TASK_COLUMNS",
    "analysis_from_mapping",
    "analysis_from_row",
    "opinion_from_row",
    "opinion_rows",
    "outcome_columns",
    "outcome_row",
    "stand_in_claim",
]

UNCLAIMED = uuid.UUID("6f0f2c4e-3b1d-4d7c-9a53-0c9d6f1f7a11")
"""Name space of the stand-in claim ids of outcomes that were reached without a claim."""

TASK_COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "claim_id": "uuid",
    "claimed": "bool",
    "status": "text",
    "error": "text",
    "spent_usd": "numeric",
}
"""What an outcome says to its task."""
SHARED_TEXTS: Mapping[str, str] = {"system_text_id": "bytea", "prompt_text_id": "bytea"}
"""Texts that stand in ``llm_texts``, once for all results that share them."""


def outcome_columns(table: Table = RESULT) -> dict[str, str]:
    """What ``outcome_row`` gives, with the type that PostgreSQL reads it as; those of the result last.

    ``error`` of an answer is stored as ``unrated_reason``, the system text by its id alone.
    """
    result = table.kinds
    del result["error"], result["system_text"]
    return {**TASK_COLUMNS, **result, "unrated_reason": "text", **SHARED_TEXTS}


OUTCOME_COLUMNS: Mapping[str, str] = outcome_columns()
OPINION_COLUMNS: Mapping[str, str] = {"signal_id": "text", "position": "int4", **OPINION.kinds}
"""What ``opinion_rows`` gives, with the type that PostgreSQL reads it as."""


def outcome_row(
    analysis: LLMAnalysis, claim: Claim | None, texts: dict[str, str], table: Table = RESULT
) -> dict[str, Any]:
    """The values of ``outcome_columns``, storable. What they refer to by a text id is put into ``texts``."""
    row = table.stored(analysis)
    status = analysis.status if type(analysis.status) is TaskStatus else TaskStatus(analysis.status)
    completed = status is TaskStatus.COMPLETED
    shared = texts if completed else {}  # without a result nothing refers to them
    prompt, alone, reason = row["prompt_text"], row["batch_size"] == 1, row["error"]
    row["system_text_id"] = _text_id(row.pop("system_text"), shared)
    row["prompt_text_id"] = None if alone else _text_id(prompt, shared)
    row["prompt_text"] = prompt if alone else None
    row["unrated_reason"] = reason if completed and analysis.rating is None else None
    row["signal_id"] = clean_key(analysis.signal_id)
    row["claim_id"] = stand_in_claim(analysis) if claim is None else _claim_id(claim.claim_id)
    row["claimed"] = claim is not None
    row["status"] = status.value
    row["error"] = None if completed else reason or "no reason given"
    row["spent_usd"] = row["cost_usd"]
    return row


def _text_id(text: str | None, texts: dict[str, str]) -> str | None:
    if text is None:
        return None
    key = _digest(text)
    texts[key] = text
    return key


@lru_cache(maxsize=8)  # the results of a batch share their texts
def _digest(text: str) -> str:
    return f"\\x{hashlib.sha256(text.encode()).hexdigest()}"


def stand_in_claim(analysis: LLMAnalysis) -> str:
    """The same for the same outcome, so that sending it twice is recognised."""
    name = f"{analysis.signal_id}|{analysis.status}|{analysis.processed_at}|{analysis.generation_id}"
    digest = hashlib.sha256(UNCLAIMED.bytes + name.encode("utf-8", "replace")).digest()
    return str(uuid.UUID(bytes=digest[:16]))


def _claim_id(text: str) -> str:
    if type(text) is str and _PLAIN_UUID(text):
        return text
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError):
        return str(uuid.UUID(int=0))  # nobody's claim


_PLAIN_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def analysis_from_row(row: Row) -> LLMAnalysis:
    """The analysis of a task's row joined with its result, as the statements select them."""
    status = TaskStatus(row["status"])
    if status is not TaskStatus.COMPLETED:
        return LLMAnalysis(
            signal_id=row["signal_id"], status=status, task_id=row["task_id"], error=row["error"],
            cost_usd=row["spent_usd"], processed_at=row["completed_at"],
        )  # fmt: skip
    values = RESULT.loaded(row)
    values["error"] = row["unrated_reason"]
    values["processed_at"] = values["processed_at"] or row["completed_at"]
    return LLMAnalysis(signal_id=row["signal_id"], status=status, task_id=row["task_id"], **values)


def analysis_from_mapping(signal_id: str, values: Mapping[str, Any]) -> LLMAnalysis:
    """A completed analysis from a caller's mapping with the names of LLMAnalysis.

    A rating that is not an integer from 1 to 5 and a choppiness that is not yes or no become None, with
    the reason in ``error``; they are never replaced by a default.
    """
    read = RESULT.given(values)
    read["parse_method"] = method_of(values.get("parse_method", values.get("method")))
    read["error"] = _reason(values)
    read["processed_at"] = read["processed_at"] or datetime.now(UTC)
    return LLMAnalysis(signal_id=signal_id, status=TaskStatus.COMPLETED, **read)


def _reason(values: Mapping[str, Any]) -> str | None:
    reason, given = values.get("error") or values.get("unrated_reason"), values.get("rating")
    whole = isinstance(given, float) and given.is_integer()
    if not reason and given is not None and rating_of(int(given) if whole else given) is None:
        return f"not a rating: {shown(given)[:50]!r}"
    return None if reason is None else shown(reason)


def opinion_rows(analysis: LLMAnalysis) -> list[dict[str, Any]]:
    """The values of OPINION_COLUMNS for each of its opinions, storable."""
    if not analysis.opinions:
        return []
    key = clean_key(analysis.signal_id)
    return [_opinion(key, position, item) for position, item in enumerate(analysis.opinions)]


def _opinion(key: str, position: int, opinion: Opinion) -> dict[str, Any]:
    return {"signal_id": key, "position": position, **OPINION.stored(opinion)}


def opinion_from_row(row: Row) -> Opinion:
    """The opinion of a row of ``llm_opinions``."""
    values = OPINION.loaded(row)
    values["model_requested"] = values["model_requested"] or ""
    return Opinion(**values)
