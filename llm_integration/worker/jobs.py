"""A signal on its way to an answer, and how each way it can end becomes an LLMAnalysis. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import CallError
from llm_integration.llm_processor import Completion
from llm_integration.response_parser import ParsedResponse

__all__ = [
    "Job",
    "Prompt",
    "Share",
    "added",
    "answered",
    "expired",
    "failed",
    "log_line",
    "one_line",
    "shares",
]

SMALLEST_SHARE = Decimal("1e-12")
"""Cost shares are rounded down to this many dollars; the first signal of a batch bears the rest."""


@dataclass(slots=True)
class Job:
    """One accepted signal. Times are seconds on the worker's monotonic clock.

    ``alone``: a request for several signals brought nothing for this one, so it is asked about by itself.
    ``spent`` and ``sent`` are what such requests are known to have cost it, and how many there were.
    ``held_up`` says why it was not asked about so far, if it was its turn. ``model`` is to be asked whatever
    the routes say, because somebody wants the signal rated again by it. ``adopted``: the task of another
    host's session, whose result is stored and not delivered here. ``failed_calls`` counts its calls that
    failed for a passing reason while others were answered, ``stops`` those that failed with everybody's.
    """

    signal: Signal
    accepted_at: float
    deadline: float
    claim: Claim | None = None
    from_memory: bool = True
    crashes: int = 0
    alone: bool = False
    spent: Decimal | None = None
    sent: int = 0
    held_up: str | None = None
    model: str | None = None
    adopted: bool = False
    failed_calls: int = 0
    stops: int = 0
    signal_id: str = field(init=False)
    """The signal's id."""

    def __post_init__(self) -> None:
        self.signal_id = self.signal.signal_id

    def take(self, claim: Claim) -> None:
        """Two statements may have claimed the task for us at once: the later claim is the one that counts."""
        if self.claim is None or claim.attempts >= self.claim.attempts:
            self.claim = claim

    def charge(self, cost: Decimal | None, requests: int) -> None:
        """Remember what a request without an answer for this signal cost."""
        self.spent = added(self.spent, cost)
        self.sent += requests


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


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """What is known of two amounts together; None when neither is."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


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
    job: Job,
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
    queued = (started - job.accepted_at) * 1000 + completion.wait_ms
    part = share or shares(completion, 1)[0]
    return LLMAnalysis(
        signal_id=job.signal_id,
        status=TaskStatus.COMPLETED,
        task_id=job.claim.task_id if job.claim else None,
        rating=reading.rating,
        choppiness=reading.choppiness,
        analysis=reading.analysis,
        recommendations=reading.recommendations,
        parse_method=reading.method,
        warnings=(*reading.warnings, *prompt.warnings, *completion.warnings, *job.signal.warnings),
        error=None if reading.rating is not None else unrated_reason(completion, reading),
        model_requested=completion.model_requested,
        model_served=completion.model_served,
        provider=completion.provider,
        generation_id=completion.generation_id,
        finish_reason=completion.finish_reason,
        prompt_tokens=part.prompt_tokens,
        completion_tokens=part.completion_tokens,
        cost_usd=added(part.cost_usd, job.spent),
        queue_ms=queued,
        api_ms=completion.api_ms,
        total_ms=(now - job.accepted_at) * 1000,
        attempts=completion.attempts + job.sent,
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
    job: Job,
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
        signal_id=job.signal_id,
        status=status,
        task_id=job.claim.task_id if job.claim else None,
        warnings=job.signal.warnings,
        error=reason,
        model_requested=model,
        cost_usd=added(error.cost_usd if error else None, job.spent),
        attempts=(error.attempts if error else 0) + job.sent,
        total_ms=(now - job.accepted_at) * 1000,
        prompt_text=prompt.text if prompt else None,
        prompt_version=prompt.version if prompt else None,
        processed_at=processed_at,
        prompt_name=prompt.name if prompt else None,
        prompt_hash=prompt.hash if prompt else None,
        system_text=prompt.system if prompt else None,
        route=route,
    )


def expired(
    job: Job, reason: str, *, now: float, processed_at: datetime, error: CallError | None = None
) -> LLMAnalysis:
    """The analysis of a signal that grew too old."""
    return failed(job, reason, now=now, processed_at=processed_at, error=error, status=TaskStatus.EXPIRED)


def log_line(analysis: LLMAnalysis) -> str:
    """One line for the log: id, rating or status, method, model, milliseconds, cost."""
    rating = "unrated" if analysis.rating is None else str(analysis.rating)
    return (
        f"signal {one_line(analysis.signal_id)}: "
        f"{rating if analysis.answered else analysis.status.value} "
        f"method={analysis.parse_method.value} "
        f"model={one_line(analysis.model_served or analysis.model_requested or '-')} "
        f"ms={analysis.total_ms or 0:.0f} "
        f"cost={'unknown' if analysis.cost_usd is None else f'{analysis.cost_usd:f}'}"
        + (f" reason: {one_line(analysis.error, 300)}" if analysis.error else "")
    )


def one_line(text: str, limit: int = 100) -> str:
    """``text`` without line breaks or control characters, so that it can forge no log line."""
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else "?" for char in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
