"""LLMProcessor: the policy of one answered call. Limits, retries, stops, models, cost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import backoff
from pydantic import SecretStr

from llm_integration.circuit_breaker import Change, CircuitBreaker, Entry
from llm_integration.config import LLMConfig
from llm_integration.errors import (
    CallError,
    CallTimeoutError,
    CircuitOpenError,
    DeadlineError,
    LineStoppedError,
    ModelUnavailableError,
    OversizeRequestError,
    TruncatedError,
)
from llm_integration.llm_processor.failures import Reader
from llm_integration.llm_processor.models import ModelLadder
from llm_integration.llm_processor.scrub import Scrubber
from llm_integration.llm_processor.transport import Transport
from llm_integration.llm_processor.wire import (
    Completion,
    Failed,
    Reply,
    Usage,
    estimate_tokens,
    read_reply,
    request_body,
)
from llm_integration.rate_limiter import AsyncRateLimiter, Permit, RateLimiter

__all__ = ["LLMProcessor"]

logger = logging.getLogger(__name__)

LARGEST_REPLY_TOKENS = 65_536
LONGEST_PAUSE_SECONDS = 30.0
"""Upper end of the pauses between attempts, which double from one second and are drawn at random below."""


@dataclass(slots=True)
class _Call:
    """The state of one ``complete`` while it runs."""

    prompt: str
    system: str | None
    deadline: float | None
    started: float
    max_tokens: int
    attempts: int = 0
    retries: int = 0
    grown: bool = False
    cost: Decimal | None = None
    model: str = ""
    api_seconds: float = 0.0
    pauses: Iterator[float] | None = None

    def add_cost(self, cost: Decimal | None) -> None:
        if cost is not None:
            self.cost = cost if self.cost is None else self.cost + cost


class LLMProcessor:
    """Asks the configured model and answers with its reply or with one leaf of CallError.

    ``config`` says where and how; the key comes from it unless ``api_key`` is given. Processors that use
    one key share a ``limiter``. A ``session`` passed in stays open on ``close``. ``clock`` is in seconds
    and also that of ``deadline``; ``wall_clock`` (epoch seconds) serves only to read dates that a server
    sends. For one event loop.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        *,
        api_key: SecretStr | None = None,
        limiter: AsyncRateLimiter | None = None,
        session: aiohttp.ClientSession | None = None,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config or LLMConfig()
        key = api_key or self.config.api_key
        self._clock = clock
        self._sleep = sleep
        self._jitter = backoff.full_jitter if rng is None else lambda value: rng.uniform(0, value)
        self._limiter = limiter or AsyncRateLimiter(
            RateLimiter(self.config.requests_per_minute, self.config.tokens_per_minute, clock=clock)
        )
        self._line = breaker or CircuitBreaker(clock=clock)
        self._models = ModelLadder([self.config.model, *self.config.fallback_models])
        self._reader = Reader(Scrubber(key), wall_clock)
        self._transport = Transport(
            self.config.base_url, key, connections=self.config.max_concurrency, session=session
        )
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._cost = Decimal(0)

    async def complete(
        self, prompt: str, *, system: str | None = None, deadline: float | None = None
    ) -> Completion:
        """The model's reply to ``prompt``.

        Raises a leaf of CallError that knows the attempts made and what they are known to have cost:
        LineStoppedError when no request can succeed at present, DeadlineError when the answer would
        come after ``deadline``; OversizeRequestError when the prompt exceeds a minute's tokens.
        """
        call = _Call(prompt, system, deadline, self._clock(), self.config.max_tokens)
        try:
            while True:
                outcome = await self._attempt(call)
                if isinstance(outcome, Reply):
                    return self._completion(call, outcome)
                await self._prepare_next(call, outcome)
        except CallError as error:
            error.attempts, error.cost_usd = call.attempts, call.cost
            self._counts["failed"] += 1
            raise

    def ready_in(self) -> float:
        """Seconds until a request may be sent again; 0 when one may be sent now."""
        return self._line.ready_in()

    def stopped_reason(self) -> str | None:
        """Why no request is sent at present, in one line; None when requests are sent."""
        return self._line.reason

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and the state of line, limiter and model."""
        return {
            "requests": self._counts["requests"],
            "retries": self._counts["retries"],
            "completed": self._counts["completed"],
            "failed": self._counts["failed"],
            "prompt_tokens": self._counts["prompt_tokens"],
            "completion_tokens": self._counts["completion_tokens"],
            "cost_usd": self._cost,
            "cost_unknown": self._counts["cost_unknown"],
            "failures": dict(self._failures),
            "state": self._line.state,
            "stopped_reason": self._line.reason,
            "model": self._models.current,
            "limiter": self._limiter.usage(),
        }

    async def close(self) -> None:
        """Close the connections; calls still running end with an error. Returns within a second."""
        await self._transport.close()

    # One attempt: permit, line, request, verdict

    async def _attempt(self, call: _Call) -> Reply | CallError:
        """One request, or the error that says what to do next; raises when the line is closed to it."""
        permit = await self._permit(call)
        try:
            entry = self._line.enter()
            if entry is None:
                raise self._line.refusal()
            try:
                outcome = await self._request(call, permit)
                return self._judge(call, entry, outcome)
            finally:
                self._line.leave(entry)  # changes nothing once there was a verdict
        finally:
            self._limiter.release(permit)

    async def _permit(self, call: _Call) -> Permit:
        if self._line.ready_in() > 0:
            raise self._line.refusal()
        tokens = estimate_tokens(call.prompt, call.system, call.max_tokens)
        try:
            return await self._limiter.acquire(tokens, timeout=self._remaining(call))
        except TimeoutError:
            raise DeadlineError("the rate limit leaves no room before the deadline") from None

    async def _request(self, call: _Call, permit: Permit) -> Reply | Failed:
        limit = self.config.request_timeout_seconds
        remaining = self._remaining(call)
        timeout = limit if remaining is None else min(limit, remaining)
        call.model = self._models.current
        body = request_body(
            self.config, call.prompt, system=call.system, model=call.model, max_tokens=call.max_tokens
        )
        call.attempts += 1
        self._counts["requests"] += 1
        started = self._clock()
        try:
            raw = await self._transport.post(
                body, timeout=timeout, on_send=lambda: self._limiter.sent(permit)
            )
        except CallError as error:
            if timeout < limit and isinstance(error, CallTimeoutError):
                error = DeadlineError("the deadline came before the reply")
            return Failed(error)
        finally:
            call.api_seconds = self._clock() - started
        outcome = read_reply(raw, model=call.model, reader=self._reader)
        self._account(call, permit, outcome.usage, refused=400 <= raw.status < 500)
        return outcome

    def _account(self, call: _Call, permit: Permit, usage: Usage, *, refused: bool) -> None:
        """Tokens to the limiter, cost and tokens to the books. A request refused with 4xx took no tokens."""
        if usage.total_tokens is not None or refused:
            self._limiter.settle(permit, usage.total_tokens or 0)
        call.add_cost(usage.cost)
        self._cost += usage.cost or 0
        self._counts["prompt_tokens"] += usage.prompt_tokens or 0
        self._counts["completion_tokens"] += usage.completion_tokens or 0

    def _judge(self, call: _Call, entry: Entry, outcome: Reply | Failed) -> Reply | CallError:
        """What the outcome means for the line and for everybody else in it."""
        if isinstance(outcome, Reply):
            self._announce(self._line.succeeded(entry))
            return outcome
        error = outcome.error
        self._failures[type(error).__name__] += 1
        logger.debug("attempt %d with %s: %s: %s", call.attempts, call.model, type(error).__name__, error)
        if isinstance(error, ModelUnavailableError):
            if self._fall_back(call.model, error):
                return error
            error = self._no_model_left(error)
        elif error.retry_after is not None:
            error = self._obey(error, error.retry_after)
        self._tell_line(entry, error)
        return error

    def _tell_line(self, entry: Entry, error: CallError) -> None:
        if isinstance(error, LineStoppedError):
            self._announce(self._line.stop(entry, type(error), str(error), error.retry_after))
        elif isinstance(error, DeadlineError):
            self._line.leave(entry)
        elif error.retryable:
            self._announce(self._line.failed(entry, str(error)))
        else:  # the server is well and said no to this prompt
            self._announce(self._line.succeeded(entry))

    def _obey(self, error: CallError, wait: float) -> CallError:
        """A wait the server asked for holds everybody back; a long one stops the line instead."""
        if wait <= self.config.retry_after_cap_seconds:
            self._limiter.freeze(self._clock() + wait)
            return error
        return CircuitOpenError(
            f"the server asks to wait {wait:.0f} s, longer than retry_after_cap_seconds="
            f"{self.config.retry_after_cap_seconds:g}: {error}",
            status=error.status,
            retry_after=wait,
        )

    # Between attempts

    async def _prepare_next(self, call: _Call, error: CallError) -> None:
        """Make ready for another attempt, or raise if there is none."""
        if isinstance(error, LineStoppedError) and not isinstance(error, ModelUnavailableError):
            raise error
        if isinstance(error, ModelUnavailableError):
            if error.retry_after is None and self._line.reason is None:
                return
            raise error
        if isinstance(error, TruncatedError) and self._grow(call):
            return
        if not error.retryable:
            raise error
        if self._line.ready_in() > 0:
            raise self._line.refusal()
        if call.retries >= self.config.max_retries:
            raise error
        await self._pause(call, error)

    async def _pause(self, call: _Call, error: CallError) -> None:
        if call.pauses is None:
            call.pauses = backoff.expo(base=2, factor=1, max_value=LONGEST_PAUSE_SECONDS)
            next(call.pauses)  # backoff's generators start with an empty step
        pause = self._jitter(next(call.pauses))
        remaining = self._remaining(call)
        if remaining is not None and max(pause, error.retry_after or 0) >= remaining:
            raise DeadlineError(f"the next attempt would come after the deadline; the last: {error}")
        call.retries += 1
        self._counts["retries"] += 1
        await self._sleep(pause)

    def _grow(self, call: _Call) -> bool:
        """Twice the room for one more attempt, if there was none yet and the limits have it."""
        larger = min(2 * call.max_tokens, LARGEST_REPLY_TOKENS)
        if call.grown or larger <= call.max_tokens:
            return False
        if estimate_tokens(call.prompt, call.system, larger) > self._limiter.usage().token_limit:
            return False
        call.grown, call.max_tokens = True, larger
        return True

    def _remaining(self, call: _Call) -> float | None:
        """Seconds to the deadline; raises DeadlineError once it has passed."""
        if call.deadline is None:
            return None
        remaining = call.deadline - self._clock()
        if remaining <= 0:
            raise DeadlineError("the deadline has passed")
        return remaining

    def _completion(self, call: _Call, reply: Reply) -> Completion:
        self._counts["completed"] += 1
        known = reply.usage.cost is not None
        self._counts["cost_unknown"] += not known
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            model_requested=call.model,
            model_served=reply.model,
            provider=reply.provider,
            generation_id=reply.generation_id,
            prompt_tokens=reply.usage.prompt_tokens,
            completion_tokens=reply.usage.completion_tokens,
            cost_usd=call.cost if known else None,
            attempts=call.attempts,
            api_ms=call.api_seconds * 1000,
            wait_ms=max(0.0, self._clock() - call.started - call.api_seconds) * 1000,
        )

    # State changes

    def _fall_back(self, model: str, error: CallError) -> bool:
        """True if another model can be asked instead of ``model``."""
        if not self._models.gone(model):
            return False
        if self._models.first_time(model):
            logger.warning(
                "model %s cannot be had (%s); %s from fallback_models is asked instead",
                model, error, self._models.current,
            )  # fmt: skip
        return True

    def _no_model_left(self, error: CallError) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"none of the models can be had: {self._models.names()}; set `model` to one the server offers,"
            f" or name others in `fallback_models` (the server said: {error})",
            status=error.status,
        )

    def _announce(self, change: Change | None) -> None:
        if change is None:
            return
        if change.open:
            logger.warning(
                "no requests for now, signals wait, next try in %.0f s: %s", change.seconds, change.reason
            )
        else:
            logger.warning("requests are answered again after %.0f s", change.seconds)
