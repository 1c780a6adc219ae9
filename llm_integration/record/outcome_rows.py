"""Between analyses and the rows of tasks and results. Pure."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from llm_integration.domain import (
    Claim,
    LLMAnalysis,
    TaskStatus,
    parse_time,
    to_price,
)
from llm_integration.record.opinion_rows import OPINION_COLUMNS, opinion_from_row, opinion_rows
from llm_integration.record.reading_values import choppiness_of, cost_of, count_of, method_of, rating_of
from llm_integration.record.rows import Row
from llm_integration.record.storable import (
    LONGEST_ANSWER,
    LONGEST_NAME,
    LONGEST_REPLY,
    clean_key,
    clean_text,
    shown,
)

__all__ = [
    "OPINION_COLUMNS",
    "OUTCOME_COLUMNS",
    "analysis_from_mapping",
    "analysis_from_row",
    "opinion_from_row",
    "opinion_rows",
    "outcome_row",
]

UNCLAIMED = uuid.UUID("6f0f2c4e-3b1d-4d7c-9a53-0c9d6f1f7a11")
"""Name space of the stand-in claim ids of outcomes that were reached without a claim."""

OUTCOME_COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "claim_id": "uuid",
    "claimed": "bool",
    "status": "text",
    "error": "text",
    "spent_usd": "numeric",
    "rating": "int2",
    "choppiness": "text",
    "analysis": "text",
    "recommendations": "text",
    "parse_method": "text",
    "warnings": "jsonb",
    "unrated_reason": "text",
    "model_requested": "text",
    "model_served": "text",
    "provider": "text",
    "generation_id": "text",
    "finish_reason": "text",
    "prompt_tokens": "int8",
    "completion_tokens": "int8",
    "cost_usd": "numeric",
    "queue_ms": "float8",
    "api_ms": "float8",
    "total_ms": "float8",
    "attempts": "int4",
    "prompt_text": "text",
    "prompt_version": "text",
    "raw_reply": "text",
    "processed_at": "timestamptz",
    "prompt_name": "text",
    "prompt_hash": "text",
    "batch_size": "int4",
    "route": "text",
    "rating_spread": "int2",
    "system_text_id": "bytea",
    "prompt_text_id": "bytea",
    "cached_tokens": "int8",
    "cache_write_tokens": "int8",
    "reasoning_tokens": "int8",
    "service_tier": "text",
}
"""What ``outcome_row`` gives, with the type that PostgreSQL reads it as."""


def outcome_row(analysis: LLMAnalysis, claim: Claim | None, texts: dict[str, str]) -> dict[str, Any]:
    """The values of OUTCOME_COLUMNS, storable. What they refer to by a text id is put into ``texts``."""
    status = analysis.status if type(analysis.status) is TaskStatus else TaskStatus(analysis.status)
    completed = status is TaskStatus.COMPLETED
    batch_size = max(1, count_of(analysis.batch_size) or 1)
    prompt = clean_text(analysis.prompt_text, LONGEST_REPLY)
    shared = texts if completed else {}  # without a result nothing refers to them
    reason = clean_text(analysis.error)
    cost = _amount(analysis.cost_usd)
    return {
        "signal_id": clean_key(analysis.signal_id),
        "claim_id": _stand_in(analysis) if claim is None else _claim_id(claim.claim_id),
        "claimed": claim is not None,
        "status": status.value,
        "error": None if completed else reason or "no reason given",
        "spent_usd": cost,
        "rating": rating_of(analysis.rating),
        "choppiness": choppiness_of(analysis.choppiness),
        "analysis": clean_text(analysis.analysis, LONGEST_ANSWER),
        "recommendations": clean_text(analysis.recommendations, LONGEST_ANSWER),
        "parse_method": str(analysis.parse_method),
        "warnings": [clean_text(warning) for warning in analysis.warnings],
        "unrated_reason": reason if completed and analysis.rating is None else None,
        "model_requested": clean_text(analysis.model_requested, LONGEST_NAME),
        "model_served": clean_text(analysis.model_served, LONGEST_NAME),
        "provider": clean_text(analysis.provider, LONGEST_NAME),
        "generation_id": clean_text(analysis.generation_id, LONGEST_NAME),
        "finish_reason": clean_text(analysis.finish_reason, LONGEST_NAME),
        "prompt_tokens": count_of(analysis.prompt_tokens),
        "completion_tokens": count_of(analysis.completion_tokens),
        "cost_usd": cost,
        "queue_ms": to_price(analysis.queue_ms),
        "api_ms": to_price(analysis.api_ms),
        "total_ms": to_price(analysis.total_ms),
        "attempts": count_of(analysis.attempts) or 0,
        "prompt_text": prompt if batch_size == 1 else None,
        "prompt_version": clean_text(analysis.prompt_version, LONGEST_NAME),
        "raw_reply": clean_text(analysis.raw_reply, LONGEST_REPLY),
        "processed_at": parse_time(analysis.processed_at),
        "prompt_name": clean_text(analysis.prompt_name, LONGEST_NAME),
        "prompt_hash": clean_text(analysis.prompt_hash, LONGEST_NAME),
        "batch_size": batch_size,
        "route": clean_text(analysis.route, LONGEST_NAME),
        "rating_spread": _spread(analysis.rating_spread),
        "system_text_id": _text_id(clean_text(analysis.system_text, LONGEST_REPLY), shared),
        "prompt_text_id": None if batch_size == 1 else _text_id(prompt, shared),
        "cached_tokens": count_of(analysis.cached_tokens),
        "cache_write_tokens": count_of(analysis.cache_write_tokens),
        "reasoning_tokens": count_of(analysis.reasoning_tokens),
        "service_tier": clean_text(analysis.service_tier, LONGEST_NAME),
    }


def _amount(cost: object) -> str | None:
    """What ``cost_of`` says, in digits. Plain ones need only be looked at."""
    if type(cost) is Decimal and _PLAIN_AMOUNT(text := str(cost)):
        return text
    amount = cost_of(cost)
    return None if amount is None else str(amount)


_PLAIN_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,15})?").fullmatch


def _text_id(text: str | None, texts: dict[str, str]) -> str | None:
    if text is None:
        return None
    key = _digest(text)
    texts[key] = text
    return key


@lru_cache(maxsize=8)  # the results of a batch share their texts
def _digest(text: str) -> str:
    return f"\\x{hashlib.sha256(text.encode()).hexdigest()}"


def _spread(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= 4 else None


def _stand_in(analysis: LLMAnalysis) -> str:
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
    """The analysis of a task's row joined with its result, as QUERY's OUTCOME_FIELDS select them."""
    status = TaskStatus(row["status"])
    if status is not TaskStatus.COMPLETED:
        return LLMAnalysis(
            signal_id=row["signal_id"], status=status, task_id=row["task_id"], error=row["error"],
            cost_usd=row["spent_usd"], processed_at=row["completed_at"],
        )  # fmt: skip
    return LLMAnalysis(
        signal_id=row["signal_id"],
        status=status,
        task_id=row["task_id"],
        rating=row["rating"],
        choppiness=choppiness_of(row["choppiness"]),
        parse_method=method_of(row["parse_method"]),
        warnings=tuple(str(warning) for warning in row["warnings"] or ()),
        error=row["unrated_reason"],
        attempts=row["attempts"] or 0,
        batch_size=row["batch_size"] or 1,
        processed_at=row["processed_at"] or row["completed_at"],
        **{name: row[name] for name in _SAME_NAMES},
    )


_SAME_NAMES = (
    "analysis", "recommendations", "model_requested", "model_served", "provider", "generation_id",
    "finish_reason", "prompt_tokens", "completion_tokens", "cost_usd", "queue_ms", "api_ms", "total_ms",
    "prompt_text", "prompt_version", "raw_reply", "prompt_name", "prompt_hash", "system_text", "route",
    "rating_spread", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "service_tier",
)  # fmt: skip


def analysis_from_mapping(signal_id: str, values: Mapping[str, Any]) -> LLMAnalysis:
    """A completed analysis from a caller's mapping with the names of LLMAnalysis.

    A rating that is not an integer from 1 to 5 and a choppiness that is not yes or no become None, with
    the reason in ``error``; they are never replaced by a default.
    """
    given = values.get("rating")
    rating = rating_of(int(given) if isinstance(given, float) and given.is_integer() else given)
    reason = values.get("error") or values.get("unrated_reason")
    if rating is None and given is not None:
        reason = reason or f"not a rating: {shown(given)[:50]!r}"
    choppiness = values.get("choppiness")
    cost = values.get("cost_usd")
    warnings = values.get("warnings") or ()
    texts = {name: None if values.get(name) is None else shown(values[name]) for name in _TEXTS}
    return LLMAnalysis(
        signal_id=signal_id,
        status=TaskStatus.COMPLETED,
        rating=rating,
        choppiness=choppiness_of(choppiness),
        parse_method=method_of(values.get("parse_method", values.get("method"))),
        warnings=(warnings,) if isinstance(warnings, str) else tuple(map(shown, warnings)),
        error=None if reason is None else shown(reason),
        prompt_tokens=count_of(values.get("prompt_tokens")),
        completion_tokens=count_of(values.get("completion_tokens")),
        cached_tokens=count_of(values.get("cached_tokens")),
        cache_write_tokens=count_of(values.get("cache_write_tokens")),
        reasoning_tokens=count_of(values.get("reasoning_tokens")),
        cost_usd=None if cost is None or isinstance(cost, bool) else _decimal(cost),
        queue_ms=to_price(values.get("queue_ms")),
        api_ms=to_price(values.get("api_ms")),
        total_ms=to_price(values.get("total_ms")),
        attempts=count_of(values.get("attempts")) or 0,
        batch_size=count_of(values.get("batch_size")) or 1,
        rating_spread=_spread(values.get("rating_spread")),
        processed_at=parse_time(values.get("processed_at")) or datetime.now(UTC),
        **cast("dict[str, Any]", texts),
    )


_TEXTS = (
    "analysis", "recommendations", "model_requested", "model_served", "provider", "generation_id",
    "finish_reason", "prompt_text", "prompt_version", "raw_reply", "prompt_name", "prompt_hash",
    "system_text", "route", "service_tier",
)  # fmt: skip


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(shown(value))
    except ArithmeticError:
        return None
