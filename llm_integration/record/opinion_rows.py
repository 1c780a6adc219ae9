"""Between single opinions and their rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_integration.domain import LLMAnalysis, Opinion, to_price
from llm_integration.record.reading_values import choppiness_of, cost_of, count_of, method_of, rating_of
from llm_integration.record.rows import Row
from llm_integration.record.storable import LONGEST_ANSWER, LONGEST_NAME, LONGEST_REPLY, clean_key, clean_text

__all__ = ["OPINION_COLUMNS", "opinion_from_row", "opinion_rows"]

OPINION_COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "position": "int4",
    "role": "text",
    "model_requested": "text",
    "rating": "int2",
    "choppiness": "text",
    "analysis": "text",
    "recommendations": "text",
    "parse_method": "text",
    "error": "text",
    "model_served": "text",
    "provider": "text",
    "generation_id": "text",
    "prompt_tokens": "int8",
    "completion_tokens": "int8",
    "cost_usd": "numeric",
    "api_ms": "float8",
    "attempts": "int4",
    "prompt_name": "text",
    "prompt_version": "text",
    "prompt_hash": "text",
    "raw_reply": "text",
    "cached_tokens": "int8",
    "cache_write_tokens": "int8",
    "reasoning_tokens": "int8",
    "service_tier": "text",
}
"""What ``opinion_rows`` gives, with the type that PostgreSQL reads it as."""


def opinion_rows(analysis: LLMAnalysis) -> list[dict[str, Any]]:
    """The values of OPINION_COLUMNS for each of its opinions, storable."""
    if not analysis.opinions:
        return []
    key = clean_key(analysis.signal_id)
    return [_opinion(key, position, item) for position, item in enumerate(analysis.opinions)]


def _opinion(key: str, position: int, opinion: Opinion) -> dict[str, Any]:
    return {
        "signal_id": key,
        "position": position,
        "role": "ensemble" if opinion.role == "ensemble" else "shadow",
        "model_requested": clean_text(opinion.model_requested, LONGEST_NAME),
        "rating": rating_of(opinion.rating),
        "choppiness": choppiness_of(opinion.choppiness),
        "analysis": clean_text(opinion.analysis, LONGEST_ANSWER),
        "recommendations": clean_text(opinion.recommendations, LONGEST_ANSWER),
        "parse_method": str(opinion.parse_method),
        "error": clean_text(opinion.error),
        "model_served": clean_text(opinion.model_served, LONGEST_NAME),
        "provider": clean_text(opinion.provider, LONGEST_NAME),
        "generation_id": clean_text(opinion.generation_id, LONGEST_NAME),
        "prompt_tokens": count_of(opinion.prompt_tokens),
        "completion_tokens": count_of(opinion.completion_tokens),
        "cost_usd": cost_of(opinion.cost_usd),
        "api_ms": to_price(opinion.api_ms),
        "attempts": count_of(opinion.attempts) or 0,
        "prompt_name": clean_text(opinion.prompt_name, LONGEST_NAME),
        "prompt_version": clean_text(opinion.prompt_version, LONGEST_NAME),
        "prompt_hash": clean_text(opinion.prompt_hash, LONGEST_NAME),
        "raw_reply": clean_text(opinion.raw_reply, LONGEST_REPLY),
        "cached_tokens": count_of(opinion.cached_tokens),
        "cache_write_tokens": count_of(opinion.cache_write_tokens),
        "reasoning_tokens": count_of(opinion.reasoning_tokens),
        "service_tier": clean_text(opinion.service_tier, LONGEST_NAME),
    }


def opinion_from_row(row: Row) -> Opinion:
    """The opinion of a row of ``llm_opinions``."""
    return Opinion(
        role="ensemble" if row["role"] == "ensemble" else "shadow",
        model_requested=row["model_requested"] or "",
        choppiness=choppiness_of(row["choppiness"]),
        parse_method=method_of(row["parse_method"]),
        **{name: row[name] for name in _SAME_NAMES_OF_OPINIONS},
    )


_SAME_NAMES_OF_OPINIONS = tuple(
    name
    for name in OPINION_COLUMNS
    if name not in ("signal_id", "position", "role", "model_requested", "choppiness", "parse_method")
)
