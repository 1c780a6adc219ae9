"""What one call carries from attempt to attempt, and what all calls add up to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import backoff

from llm_integration.calls import UNKNOWN, Failed, Reply, Usage, WireRequest
from llm_integration.errors import CallError, DeadlineError
from llm_integration.llm_processor.believed import Most, bounded
from llm_integration.llm_processor.models import ModelEntry
from llm_integration.llm_processor.wire import Completion, prompt_tokens
from llm_integration.rate_limiter import AsyncRateLimiter, Permit
from llm_integration.routing import CallPlan

__all__ = ["Attempt", "Call", "Counters", "FailedAttempt", "believed"]

LARGEST_REPLY_TOKENS = 65_536
NOTHING_SENT: Final = WireRequest("", "", b"", "text")
LONGEST_PAUSE_SECONDS = 30.0
"""Upper end of the pauses between attempts, which double from one second and are drawn at random below."""


def _pauses() -> Iterator[float]:
    pauses = backoff.expo(base=2, factor=1, max_value=LONGEST_PAUSE_SECONDS)
    next(pauses)  # backoff's generators start with an empty step
    return pauses


@dataclass(slots=True)
class Call:
    """The state of one ``complete`` while it runs. Times are in seconds on the processor's clock.

    ``prompt_tokens`` is what the prompt takes at most: one count for rate limit and budget.
    """

    prompt: str
    system: str | None
    deadline: float | None
    started: float
    plan: CallPlan
    max_tokens: int
    temperature: float
    symbols: Mapping[str, int]
    models: tuple[str, ...]
    prompt_tokens: int = field(init=False)
    failed: set[str] = field(default_factory=set)
    attempts: int = 0
    retries: int = 0
    grown: bool = False
    cost: Decimal | None = None
    warnings: tuple[str, ...] = ()
    api_seconds: float = 0.0
    pauses: Iterator[float] | None = None
    relearned: int = 0

    def __post_init__(self) -> None:
        self.prompt_tokens = prompt_tokens(self.prompt, self.system)

    @property
    def untried(self) -> tuple[str, ...]:
        """The plan's models that have not failed this call since its last pause."""
        if not self.failed:
            return self.models
        return tuple(model for model in self.models if model not in self.failed)

    @property
    def about_one(self) -> bool:
        """Whether the prompt is about one signal; one about several is taken apart when it is rejected."""
        return sum(self.symbols.values()) <= 1

    @property
    def tokens(self) -> int:
        """What to reserve for the next attempt."""
        return self.prompt_tokens + self.max_tokens

    def remaining(self, now: float) -> float | None:
        """Seconds to the deadline, None without one; raises DeadlineError once it has passed."""
        if self.deadline is None:
            return None
        if now >= self.deadline:
            raise DeadlineError("the deadline has passed")
        return self.deadline - now

    def next_pause(self, error: CallError, now: float, jitter: Callable[[float], float]) -> float:
        """Seconds to pause before the next attempt; DeadlineError if that would come too late."""
        if self.pauses is None:
            self.pauses = _pauses()
        pause = jitter(next(self.pauses))
        remaining = self.remaining(now)
        if remaining is not None and max(pause, error.retry_after or 0.0) >= remaining:
            raise DeadlineError(f"the next attempt would come after the deadline; the last: {error}")
        self.retries += 1
        self.failed.clear()
        return pause

    def grow(self, token_limit: int) -> bool:
        """Twice the room for the reply, once, if the limits have it."""
        larger = min(2 * self.max_tokens, LARGEST_REPLY_TOKENS)
        if self.grown or larger <= self.max_tokens:
            return False
        if self.prompt_tokens + larger > token_limit:
            return False
        self.grown, self.max_tokens = True, larger
        return True

    def add(self, usage: Usage) -> None:
        """Count what an attempt is known to have cost, and keep what was odd about it."""
        if usage.cost is not None:
            self.cost = usage.cost if self.cost is None else self.cost + usage.cost
        if usage.warnings:
            self.warnings = tuple(dict.fromkeys((*self.warnings, *usage.warnings)))

    def completion(self, reply: Reply, attempt: Attempt, now: float) -> Completion:
        """The call, answered by ``attempt``."""
        text, finish_reason, model, provider, generation_id, usage, odd = reply
        wire = attempt.wire
        return Completion(
            text, finish_reason, self.plan.model, model, provider, generation_id,
            usage.prompt_tokens, usage.completion_tokens, None if usage.cost is None else self.cost,
            self.attempts, self.api_seconds * 1000, max(0.0, now - self.started - self.api_seconds) * 1000,
            attempt.model, attempt.downgraded, wire.response_format,
            usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens, usage.service_tier,
            (*self.warnings, *wire.warnings, *odd),
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class Attempt:
    """One request: to whom and how worded, whether it left, and what it is known to have taken.

    ``model`` is asked; ``asked`` is the model of the plan, which a budget may replace, and ``reserved_usd``
    what it put aside, None when nobody knows a price. ``refused``: the server turned the request away
    unread, so it cost nothing. ``heard``: the head of a response came. ``wire`` is what was sent.
    """

    model_entry: ModelEntry
    model: str
    asked: str
    permit: Permit
    limiter: AsyncRateLimiter
    downgraded: bool = False
    sent: bool = False
    refused: bool = False
    heard: bool = False
    usage: Usage = UNKNOWN
    reserved_usd: Decimal | None = None
    wire: WireRequest = NOTHING_SENT

    def on_send(self) -> None:
        """The request leaves now, which is when its permit starts to count."""
        self.sent = True
        self.limiter.sent(self.permit)


def believed(outcome: Reply | Failed, most: Most) -> Reply | Failed:
    """``outcome`` with a usage that the request can have had."""
    usage = bounded(outcome.usage, most, answered=isinstance(outcome, Reply))
    if usage is outcome.usage:
        return outcome
    return outcome._replace(usage=usage) if isinstance(outcome, Reply) else replace(outcome, usage=usage)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt failed with ``error``. ``at_once``: another model or another form may help right now."""

    error: CallError
    at_once: bool = False


@dataclass(slots=True)
class Counters:
    """Counters over all calls since the start."""

    requests: int = 0
    retries: int = 0
    fallbacks: int = 0
    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    cost_unknown: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def attempt(self, usage: Usage) -> None:
        """An attempt was answered, with or without a completion."""
        self.prompt_tokens += usage.prompt_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0
        if usage.cost is not None:
            self.cost += usage.cost

    def complete(self, reply: Reply, *, by_fallback: bool) -> None:
        """A call ended with a reply, from another model than the first of its plan if ``by_fallback``."""
        self.completed += 1
        self.fallbacks += by_fallback
        self.cost_unknown += reply.usage.cost is None

    def as_dict(self) -> dict[str, Any]:
        """For the statistics: ``failures`` by error class and attempt, ``cost_usd`` as far as reported.

        ``fallbacks`` counts completed calls that another model than their first one answered.
        """
        return {
            "requests": self.requests,
            "retries": self.retries,
            "fallbacks": self.fallbacks,
            "completed": self.completed,
            "failed": self.failed,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_usd": self.cost,
            "cost_unknown": self.cost_unknown,
            "failures": dict(self.failures),
        }
