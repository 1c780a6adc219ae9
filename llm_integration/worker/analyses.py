"""How each way in which a task can end becomes an LLMAnalysis. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from llm_integration.domain import LLMAnalysis, TaskStatus
from llm_integration.errors import CallError
from llm_integration.llm_processor import Completion
from llm_integration.response_parser import ParsedResponse
from llm_integration.worker.tasks import Task, added

__all__ = ["Prompt", "Share", "answered", "expired", "failed", "shares", "unrated_reason"]

SMALLEST_SHARE = Decimal("1e-12")
"""Cost shares are rounded down to this many dollars; the first signal of a batch bears the rest."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked, by which prompt file, and about how many signals at once."""

    text: str
    version: str
    name: str | None = None
    hash: str | None = None
    system: str | None = None
    signals: int = 1
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """One signal's part of what a request cost; None where the server named no number."""

    cost_usd: Decimal | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


def shares(completion: Completion, count: int) -> list[Share]:
    """A request's cost and tokens in ``count`` parts that add up to the whole."""
    costs = _cost_parts(completion.cost_usd, count)
    counts = [
        _count_parts(total, count)
        for total in (
            completion.prompt_tokens,
            completion.completion_tokens,
            completion.cached_tokens,
            completion.cache_write_tokens,
            completion.reasoning_tokens,
        )
    ]
    return [Share(*parts) for parts in zip(costs, *counts, strict=True)]


def _cost_parts(cost: Decimal | None, count: int) -> list[Decimal | None]:
    if cost is None or count == 1:
        return [cost] * count
    part = (cost / count).quantize(SMALLEST_SHARE, rounding=ROUND_DOWN)
    return [cost - part * (count - 1), *[part] * (count - 1)]


def _count_parts(total: int | None, count: int) -> list[int | None]:
    if total is None:
        return [None] * count
    part, rest = divmod(total, count)
    return [part + (index < rest) for index in range(count)]


def answered(
    task: Task,
    prompt: Prompt,
    completion: Completion,
    reading: ParsedResponse,
    *,
    started: float,
    now: float,
    processed_at: datetime,
    share: Share | None = None,
    route: str | None = None,
) -> LLMAnalysis:
    """The analysis of a reply that came; unrated, with the reason, if it could not be read."""
    queued = (started - task.accepted_at) * 1000 + completion.wait_ms
    part = share or shares(completion, 1)[0]
    return LLMAnalysis(
        signal_id=task.signal_id,
        status=TaskStatus.COMPLETED,
        task_id=task.claim.task_id if task.claim else None,
        rating=reading.rating,
        choppiness=reading.choppiness,
        analysis=reading.analysis,
        recommendations=reading.recommendations,
        parse_method=reading.method,
        warnings=(*reading.warnings, *prompt.warnings, *completion.warnings, *task.signal.warnings),
        error=None if reading.rating is not None else unrated_reason(completion, reading),
        model_requested=completion.model_requested,
        model_served=completion.model_served,
        provider=completion.provider,
        generation_id=completion.generation_id,
        finish_reason=completion.finish_reason,
        prompt_tokens=part.prompt_tokens,
        completion_tokens=part.completion_tokens,
        cost_usd=added(part.cost_usd, task.spent),
        queue_ms=queued,
        api_ms=completion.api_ms,
        total_ms=(now - task.accepted_at) * 1000,
        attempts=completion.attempts + task.sent,
        prompt_text=prompt.text,
        prompt_version=prompt.version,
        raw_reply=completion.text,
        processed_at=processed_at,
        prompt_name=prompt.name,
        prompt_hash=prompt.hash,
        system_text=prompt.system,
        batch_size=prompt.signals,
        route=route,
        cached_tokens=part.cached_tokens,
        cache_write_tokens=part.cache_write_tokens,
        reasoning_tokens=part.reasoning_tokens,
        service_tier=completion.service_tier,
    )


def unrated_reason(completion: Completion, reading: ParsedResponse) -> str:
    """Why an answered signal has no rating."""
    if reading.warnings:
        return "; ".join(reading.warnings)
    if completion.finish_reason == "length":
        return "the reply was cut at the token limit before a rating"
    return "no rating found in the reply"


def failed(
    task: Task,
    reason: str,
    *,
    now: float,
    processed_at: datetime,
    prompt: Prompt | None = None,
    error: CallError | None = None,
    status: TaskStatus = TaskStatus.FAILED,
    model: str | None = None,
    route: str | None = None,
) -> LLMAnalysis:
    """The analysis of a signal that got no answer, with the reason."""
    return LLMAnalysis(
        signal_id=task.signal_id,
        status=status,
        task_id=task.claim.task_id if task.claim else None,
        warnings=task.signal.warnings,
        error=reason,
        model_requested=model,
        cost_usd=added(error.cost_usd if error else None, task.spent),
        attempts=(error.attempts if error else 0) + task.sent,
        total_ms=(now - task.accepted_at) * 1000,
        prompt_text=prompt.text if prompt else None,
        prompt_version=prompt.version if prompt else None,
        processed_at=processed_at,
        prompt_name=prompt.name if prompt else None,
        prompt_hash=prompt.hash if prompt else None,
        system_text=prompt.system if prompt else None,
        route=route,
    )


def expired(
    task: Task, reason: str, *, now: float, processed_at: datetime, error: CallError | None = None
) -> LLMAnalysis:
    """The analysis of a signal that grew too old."""
    return failed(task, reason, now=now, processed_at=processed_at, error=error, status=TaskStatus.EXPIRED)
