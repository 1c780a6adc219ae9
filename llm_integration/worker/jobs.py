"""A signal on its way to an answer, and how each way it can end becomes an LLMAnalysis. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import CallError
from llm_integration.llm_processor import Completion
from llm_integration.response_parser import ParsedResponse

__all__ = ["Job", "Prompt", "answered", "expired", "failed", "log_line"]


@dataclass(slots=True)
class Job:
    """One accepted signal. Times are seconds on the worker's monotonic clock."""

    signal: Signal
    accepted_at: float
    deadline: float
    claim: Claim | None = None
    from_memory: bool = True
    crashes: int = 0

    @property
    def signal_id(self) -> str:
        """The signal's id."""
        return self.signal.signal_id


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked, and by which version of the formatter."""

    text: str
    version: str


def answered(
    job: Job,
    prompt: Prompt,
    completion: Completion,
    reading: ParsedResponse,
    *,
    started: float,
    now: float,
    processed_at: datetime,
) -> LLMAnalysis:
    """The analysis of a reply that came; unrated, with the reason, if it could not be read."""
    queued = (started - job.accepted_at) * 1000 + completion.wait_ms
    return LLMAnalysis(
        signal_id=job.signal_id,
        status=TaskStatus.COMPLETED,
        task_id=job.claim.task_id if job.claim else None,
        rating=reading.rating,
        choppiness=reading.choppiness,
        analysis=reading.analysis,
        recommendations=reading.recommendations,
        parse_method=reading.method,
        warnings=reading.warnings,
        error=None if reading.rating is not None else unrated_reason(completion, reading),
        model_requested=completion.model_requested,
        model_served=completion.model_served,
        provider=completion.provider,
        generation_id=completion.generation_id,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cost_usd=completion.cost_usd,
        queue_ms=queued,
        api_ms=completion.api_ms,
        total_ms=(now - job.accepted_at) * 1000,
        attempts=completion.attempts,
        prompt_text=prompt.text,
        prompt_version=prompt.version,
        raw_reply=completion.text,
        processed_at=processed_at,
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
) -> LLMAnalysis:
    """The analysis of a signal that got no answer, with the reason."""
    return LLMAnalysis(
        signal_id=job.signal_id,
        status=status,
        task_id=job.claim.task_id if job.claim else None,
        error=reason,
        model_requested=model,
        cost_usd=error.cost_usd if error else None,
        attempts=error.attempts if error else 0,
        total_ms=(now - job.accepted_at) * 1000,
        prompt_text=prompt.text if prompt else None,
        prompt_version=prompt.version if prompt else None,
        processed_at=processed_at,
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
    shown = "".join(char if char.isprintable() else "?" for char in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
