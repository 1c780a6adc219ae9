"""What several models said about one signal, and what they come to together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from llm_integration.domain import LLMAnalysis, Opinion
from llm_integration.errors import (
    BudgetExceededError,
    CallError,
    ConfigError,
    DeadlineError,
    LineStoppedError,
    OversizeRequestError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.one_line import one_line
from llm_integration.response_parser import ParsedResponse
from llm_integration.second_opinion import agree
from llm_integration.worker.analyses import unrated_reason
from llm_integration.worker.replies import ReadReply
from llm_integration.worker.tasks import Task, added

__all__ = ["agreement", "opinion_of", "why_nobody_answered", "why_nobody_was_asked", "with_opinions"]


def opinion_of(
    role: Literal["ensemble", "shadow"], model: str, signal_id: str, reply: ReadReply | BaseException
) -> Opinion:
    """One model's part in an ensemble, or what a shadow said."""
    if not isinstance(reply, ReadReply):
        return Opinion(
            role, model, error=one_line(str(reply) or type(reply).__name__, 300),
            cost_usd=reply.cost_usd if isinstance(reply, CallError) else None,
            attempts=reply.attempts if isinstance(reply, CallError) else 0,
        )  # fmt: skip
    reading, completion = reply.readings[signal_id], reply.completion
    return Opinion(
        role,
        model,
        rating=reading.rating,
        choppiness=reading.choppiness,
        analysis=reading.analysis,
        recommendations=reading.recommendations,
        parse_method=reading.method,
        error=None if reading.rating is not None else unrated_reason(completion, reading),
        model_served=completion.model_served,
        provider=completion.provider,
        generation_id=completion.generation_id,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cost_usd=completion.cost_usd,
        api_ms=completion.api_ms,
        attempts=completion.attempts,
        prompt_name=reply.prompt.name,
        prompt_version=reply.prompt.version,
        prompt_hash=reply.prompt.hash,
        raw_reply=completion.text,
        cached_tokens=completion.cached_tokens,
        cache_write_tokens=completion.cache_write_tokens,
        reasoning_tokens=completion.reasoning_tokens,
        service_tier=completion.service_tier,
    )


def agreement(
    signal_id: str, opinions: Sequence[Opinion], replies: Sequence[ReadReply], quorum: int | None
) -> tuple[ReadReply, ParsedResponse, int | None, str | None]:
    """In whose words an ensemble agrees, the reading, the spread of the ratings, and what is amiss.

    The words are those of the first model that rated as all of them together do.
    """
    agreed = agree(opinions, quorum=quorum)
    words = next((one for one in replies if one.readings[signal_id].rating == agreed.rating), replies[0])
    reading = replace(words.readings[signal_id], rating=agreed.rating, choppiness=agreed.choppiness)
    return words, reading, agreed.spread, agreed.error


def with_opinions(
    analysis: LLMAnalysis, task: Task, opinions: tuple[Opinion, ...], spread: int | None, error: str | None
) -> LLMAnalysis:
    """The analysis of an ensemble: it cost what all of its models cost."""
    return replace(
        analysis,
        error=error,
        cost_usd=_cost(opinions, task.spent),
        prompt_tokens=_sum(opinion.prompt_tokens for opinion in opinions),
        completion_tokens=_sum(opinion.completion_tokens for opinion in opinions),
        cached_tokens=_sum(opinion.cached_tokens for opinion in opinions),
        cache_write_tokens=_sum(opinion.cache_write_tokens for opinion in opinions),
        reasoning_tokens=_sum(opinion.reasoning_tokens for opinion in opinions),
        attempts=task.sent + sum(opinion.attempts for opinion in opinions),
        rating_spread=spread,
        opinions=opinions,
    )


def why_nobody_was_asked(replies: Sequence[ReadReply | BaseException]) -> BaseException | None:
    """What makes the whole ensemble wait: a fault of ours, or nobody was allowed to be asked."""
    faults = [reply for reply in replies if isinstance(reply, BaseException)]
    ours = [
        fault for fault in faults if not isinstance(fault, (CallError, OversizeRequestError, ConfigError))
    ]
    if ours:
        return ours[0]
    waits = [fault for fault in faults if isinstance(fault, (LineStoppedError, BudgetExceededError))]
    return waits[0] if waits and len(waits) == len(replies) else None


def why_nobody_answered(
    replies: Sequence[ReadReply | BaseException], opinions: Sequence[Opinion]
) -> CallError:
    """One error that names every reason and what all of them cost."""
    if all(isinstance(reply, DeadlineError) for reply in replies):
        kind: type[CallError] = DeadlineError
    elif all(_passing(reply) for reply in replies):
        kind = ServerError
    else:
        kind = RequestRejectedError
    reasons = "; ".join(f"{opinion.model_requested}: {opinion.error}" for opinion in opinions)
    return kind(
        f"no model of the ensemble answered: {reasons}",
        attempts=sum(opinion.attempts for opinion in opinions),
        cost_usd=_cost(opinions, None),
    )


def _passing(reply: ReadReply | BaseException) -> bool:
    return isinstance(reply, (LineStoppedError, BudgetExceededError)) or (
        isinstance(reply, CallError) and reply.retryable
    )


def _cost(opinions: Iterable[Opinion], spent: Decimal | None) -> Decimal | None:
    for opinion in opinions:
        spent = added(spent, opinion.cost_usd)
    return spent


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
