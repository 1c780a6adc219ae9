"""LLMProcessor: the policy of a call. Attempts until one is answered, between them pauses and stops."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import backoff
from pydantic import SecretStr

from llm_integration.circuit_breaker import CircuitBreaker
from llm_integration.config import LLMConfig, clean_key
from llm_integration.config.origin import address_origin
from llm_integration.errors import CallError, TruncatedError
from llm_integration.llm_processor.announce import announce
from llm_integration.llm_processor.attempts import Attempts
from llm_integration.llm_processor.call import Call, Counters, FailedAttempt
from llm_integration.llm_processor.guard import SpendGuard
from llm_integration.llm_processor.judge import Judge, line_breaker
from llm_integration.llm_processor.models import Listings, ModelAvailability, ModelStates
from llm_integration.llm_processor.spending import Spending
from llm_integration.llm_processor.transport import Transport
from llm_integration.llm_processor.wire import Completion
from llm_integration.ports import Provider
from llm_integration.providers import provider_for
from llm_integration.rate_limiter import AsyncRateLimiter, RateLimiter
from llm_integration.routing import CallPlan, router_for

__all__ = ["LLMProcessor"]

RETRIES_WITHOUT_SETTINGS = 4
CLOSE_SECONDS = 0.4


class LLMProcessor:
    """Asks a model and answers with its reply or with one leaf of CallError.

    ``config`` says where and how; without one an answer is tried for up to five times. The key comes from it
    unless ``api_key`` is given. ``provider`` says how the server is asked; without one ``base_url`` decides.
    Processors that use one key share a ``limiter``. Every request passes ``guard``, which may refuse it or
    name a cheaper model. ``catalogue`` knows which response formats a model takes. What a server is found to
    refuse is kept in ``dialect_folder`` (by a ``provider`` of one's own: where that likes), None: until the
    end of the process. A ``session`` passed in stays open on ``close``. ``clock`` is in seconds and also that
    of ``deadline``; ``wall_clock`` (epoch seconds) serves to read dates that a server sends and to forget
    what was learnt a week ago. For one event loop. Raises ConfigError for an ``api_key`` that no header can
    carry, or that would go unencrypted over the network, and for a proxy of the environment that cannot be
    used.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        *,
        api_key: SecretStr | None = None,
        provider: Provider | None = None,
        limiter: AsyncRateLimiter | None = None,
        session: aiohttp.ClientSession | None = None,
        breaker: CircuitBreaker | None = None,
        guard: SpendGuard | None = None,
        catalogue: Listings | None = None,
        dialect_folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config = config or _settings_of_its_own()
        key = config.api_key if api_key is None else clean_key(api_key.get_secret_value())
        self._origin, self._with_key = address_origin(config), key is not None
        self._clock, self._sleep, self._catalogue = clock, sleep, catalogue
        self._jitter = backoff.full_jitter if rng is None else lambda value: rng.uniform(0, value)
        self._limiter = limiter or AsyncRateLimiter(
            RateLimiter(config.requests_per_minute, config.tokens_per_minute, clock=clock)
        )
        self._line = breaker or line_breaker(config, clock)
        self._models = ModelStates(clock, self._advise)
        self._plan = CallPlan(config.model, tuple(config.fallback_models))
        self._available = ModelAvailability(self._line, self._models, router_for(config).ladders)
        self._spending = None if guard is None else Spending(guard)
        self._provider = provider or provider_for(
            config.base_url, key, folder=dialect_folder, wall_clock=wall_clock
        )
        self._transport = Transport(
            config.base_url, key, self._provider, connections=config.max_concurrency, session=session,
            allow_plain_http=config.allow_plain_http,
        )  # fmt: skip
        self._counters = Counters()
        judge = Judge(
            self._line,
            self._models,
            self._counters,
            provider=self._provider,
            budget_holds=bool(config.budgets),
            hold_everybody=lambda seconds: self._limiter.freeze(clock() + seconds),
            longest_wait=config.retry_after_cap_seconds,
        )
        self._attempts = Attempts(
            config, self._provider, self._transport, line=self._line, models=self._models,
            available=self._available, limiter=self._limiter, judge=judge, counters=self._counters,
            spending=self._spending, listings=catalogue, clock=clock,
        )  # fmt: skip
        self._beginning: asyncio.Task[None] | None = None
        self._begun = self._said_where = False

    async def complete(
        self,
        prompt: str,
        *,
        system: str | None = None,
        deadline: float | None = None,
        plan: CallPlan | None = None,
        symbols: Mapping[str, int] | None = None,
    ) -> Completion:
        """The reply to ``prompt`` of the plan's model, or of its next one when that fails.

        Without a ``plan`` the settings' model and fallbacks are asked. ``symbols`` says how many signals of
        each symbol the prompt is about: for the budget, and because one about several may be taken apart.

        Raises a leaf of CallError that knows the attempts made and what they are known to have cost:
        LineStoppedError when no request of this plan can succeed at present, DeadlineError when the answer
        would come after ``deadline``, BudgetExceededError when a budget has no room; OversizeRequestError
        when the prompt exceeds a minute's tokens.
        """
        if not self._begun:
            await self._begin()
        call = self._call(prompt, system, deadline, plan or self._plan, symbols or {})
        try:
            while True:
                outcome = await self._attempts.make(call)
                if isinstance(outcome, Completion):
                    return outcome
                await self._prepare_next(call, outcome)
        except CallError as error:
            error.attempts, error.cost_usd = call.attempts, call.cost
            self._counters.failed += 1
            raise

    def say_where(self) -> None:
        """Say once, in a line of the log, where requests go and on whose word; the first request does it."""
        if not self._said_where:
            self._said_where = True
            announce(self.config.base_url, self._origin, proxy=self._transport.proxy, with_key=self._with_key)

    async def _begin(self) -> None:
        """Before the first request, once: say where requests go, and have the provider get ready."""
        if self._beginning is None:
            self.say_where()
            self._beginning = asyncio.create_task(self._provider.start(), name="provider")
        await asyncio.wait({self._beginning})
        self._begun = True

    def room(self) -> tuple[int, float]:
        """How many requests the rate limit lets go now, and if none, the seconds until it may let one."""
        return self._limiter.room()

    def ready_in(self, plan: CallPlan | None = None) -> float:
        """Seconds until a request of ``plan``, by default of any route, may be sent; 0: one may be now."""
        return self._available.ready_in(None if plan is None else plan.models)

    def stopped_reason(self, plan: CallPlan | None = None) -> str | None:
        """Why no request of ``plan``, by default of any route, is sent at present, in one line; else None."""
        return self._available.reason(None if plan is None else plan.models)

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and the state of line, limiter and models.

        ``model`` is the one of the settings' models that is asked now; ``models`` tells of each: ``state``
        (closed, open, half_open), ``requests``, ``failures``, ``reason`` it is down, ``ready_in`` seconds.
        """
        models = self._plan.models
        return {
            **self._counters.as_dict(),
            "state": self._available.state(),
            "stopped_reason": self.stopped_reason(),
            "stopped_by": self._line.stopped_by,
            "model": self._models.first_ready(models) or models[0],
            "models": self._models.statistics(models),
            "limiter": asdict(self._limiter.usage()),
        }

    async def close(self) -> None:
        """Close the connections; calls still running end with an error. Returns within a second."""
        self._attempts.close()
        await self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._beginning is not None:
                    await asyncio.wait({self._beginning})
                await self._provider.close()
        if self._spending is not None:
            self._spending.close()

    def _advise(self, model: str) -> tuple[str, str | None]:
        """The setting that names ``model``, and what to put there instead once it is gone."""
        setting = self.config.models_named.get(model, "llm.model")
        return setting, None if self._catalogue is None else self._catalogue.successor(model)

    def _call(
        self,
        prompt: str,
        system: str | None,
        deadline: float | None,
        plan: CallPlan,
        symbols: Mapping[str, int],
    ) -> Call:
        return Call(
            prompt,
            system,
            deadline,
            self._clock(),
            plan,
            self.config.max_tokens if plan.max_tokens is None else plan.max_tokens,
            self.config.temperature if plan.temperature is None else plan.temperature,
            symbols,
            plan.models if plan.fallbacks else (plan.model,),
        )

    async def _prepare_next(self, call: Call, failed: FailedAttempt) -> None:
        """Make ready for another attempt, or raise if there is none."""
        error = failed.error
        if failed.at_once:
            return
        if isinstance(error, TruncatedError) and call.grow(self._limiter.usage().token_limit):
            return
        if not error.retryable:
            raise error
        if self._available.ready_in(call.models) > 0:
            raise self._available.refusal(call.models)
        if call.retries >= self.config.max_retries:
            raise error
        pause = call.next_pause(error, self._clock(), self._jitter)
        self._counters.retries += 1
        await self._sleep(pause)


def _settings_of_its_own() -> LLMConfig:
    """For a client that is built without settings: the environment's and the defaults, but five attempts."""
    config = LLMConfig()
    given = "max_retries" in config.model_fields_set
    return config if given else config.model_copy(update={"max_retries": RETRIES_WITHOUT_SETTINGS})
