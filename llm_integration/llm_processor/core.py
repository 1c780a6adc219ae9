"""LLMProcessor: the policy of one answered call. Limits, retries, stops, models, cost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import aiohttp
import backoff
from pydantic import SecretStr

from llm_integration.circuit_breaker import Change, CircuitBreaker, Entry
from llm_integration.config import LLMConfig, clean_key
from llm_integration.errors import (
    CallError,
    CallTimeoutError,
    CircuitOpenError,
    DeadlineError,
    LineStoppedError,
    ModelUnavailableError,
    TruncatedError,
)
from llm_integration.llm_processor.call import Books, Call
from llm_integration.llm_processor.failures import Reader
from llm_integration.llm_processor.models import ModelLadder
from llm_integration.llm_processor.scrub import Scrubber
from llm_integration.llm_processor.transport import Transport
from llm_integration.llm_processor.wire import (
    Completion,
    Failed,
    Reply,
    Usage,
    read_reply,
    request_body,
)
from llm_integration.rate_limiter import AsyncRateLimiter, Permit, RateLimiter

__all__ = ["LLMProcessor"]

logger = logging.getLogger(__name__)


class _NextModelError(CallError):
    """Inside this module only: this model is gone, another one is to be asked."""


class LLMProcessor:
    """Asks the configured model and answers with its reply or with one leaf of CallError.

    ``config`` says where and how; the key comes from it unless ``api_key`` is given. Processors that use
    one key share a ``limiter``. A ``session`` passed in stays open on ``close``. ``clock`` is in seconds
    and also that of ``deadline``; ``wall_clock`` (epoch seconds) serves only to read dates that a server
    sends. For one event loop. Raises ConfigError for an ``api_key`` that no header can carry.
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
        key = self.config.api_key if api_key is None else clean_key(api_key.get_secret_value())
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
        self._books = Books()
        self._closed = False

    async def complete(
        self, prompt: str, *, system: str | None = None, deadline: float | None = None
    ) -> Completion:
        """The model's reply to ``prompt``.

        Raises a leaf of CallError that knows the attempts made and what they are known to have cost:
        LineStoppedError when no request can succeed at present, DeadlineError when the answer would
        come after ``deadline``; OversizeRequestError when the prompt exceeds a minute's tokens.
        """
        call = Call(prompt, system, deadline, self._clock(), self.config.max_tokens)
        try:
            while True:
                outcome = await self._attempt(call)
                if isinstance(outcome, Reply):
                    self._books.complete(outcome)
                    return call.completion(outcome, self._clock())
                await self._prepare_next(call, outcome)
        except CallError as error:
            error.attempts, error.cost_usd = call.attempts, call.cost
            self._books.failed += 1
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
            **self._books.as_dict(),
            "state": self._line.state,
            "stopped_reason": self._line.reason,
            "model": self._models.current,
            "limiter": asdict(self._limiter.usage()),
        }

    async def close(self) -> None:
        """Close the connections; calls still running end with an error. Returns within a second."""
        self._closed = True
        await self._transport.close()

    # One attempt: permit, line, request, verdict

    async def _attempt(self, call: Call) -> Reply | CallError:
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

    async def _permit(self, call: Call) -> Permit:
        if self._closed:
            raise _closed()
        if self._line.ready_in() > 0:
            raise self._line.refusal()
        try:
            return await self._limiter.acquire(call.tokens, timeout=call.remaining(self._clock()))
        except TimeoutError:
            raise DeadlineError("the rate limit leaves no room before the deadline") from None

    async def _request(self, call: Call, permit: Permit) -> Reply | Failed:
        limit = self.config.request_timeout_seconds
        remaining = call.remaining(self._clock())
        timeout = limit if remaining is None else min(limit, remaining)
        call.model = self._models.current
        body = request_body(
            self.config, call.prompt, system=call.system, model=call.model, max_tokens=call.max_tokens
        )
        call.attempts += 1
        self._books.requests += 1
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
        outcome = read_reply(raw, self._reader)
        self._account(call, permit, outcome.usage, refused=400 <= raw.status < 500)
        return outcome

    def _account(self, call: Call, permit: Permit, usage: Usage, *, refused: bool) -> None:
        """Tokens to the limiter, cost and tokens to the books. A request refused with 4xx took no tokens."""
        if usage.total_tokens is not None or refused:
            self._limiter.settle(permit, usage.total_tokens or 0)
        call.add_cost(usage.cost)
        self._books.attempt(usage)

    def _judge(self, call: Call, entry: Entry, outcome: Reply | Failed) -> Reply | CallError:
        """What the outcome means for the line and for everybody else in it."""
        if isinstance(outcome, Reply):
            self._announce(self._line.succeeded(entry))
            return outcome
        error = outcome.error
        if self._closed:
            return _closed()
        self._books.failures[type(error).__name__] += 1
        logger.debug("attempt %d with %s: %s: %s", call.attempts, call.model, type(error).__name__, error)
        if isinstance(error, ModelUnavailableError):
            if self._fall_back(call.model, error):
                return _NextModelError(str(error))
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

    async def _prepare_next(self, call: Call, error: CallError) -> None:
        """Make ready for another attempt, or raise if there is none."""
        if isinstance(error, _NextModelError):
            return
        if isinstance(error, TruncatedError) and call.grow(self._limiter.usage().token_limit):
            return
        if not error.retryable:
            raise error
        if self._line.ready_in() > 0:
            raise self._line.refusal()
        if call.retries >= self.config.max_retries:
            raise error
        pause = call.next_pause(error, self._clock(), self._jitter)
        self._books.retries += 1
        await self._sleep(pause)

    # State changes

    def _fall_back(self, model: str, error: CallError) -> bool:
        """True if another model can be asked instead of ``model``."""
        if not self._models.gone(model):
            return False
        if self._models.first_time(model):
            logger.warning(
                "model %s is not available (%s); %s from fallback_models is asked instead",
                model, error, self._models.current,
            )  # fmt: skip
        return True

    def _no_model_left(self, error: CallError) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"none of the models is available: {self._models.names()}; set `model` to one the server offers,"
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


def _closed() -> LineStoppedError:
    return LineStoppedError("the client is closed")
