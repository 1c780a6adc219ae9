"""LLMProcessor: the policy of one answered call. Limits, retries, stops, models, formats, budget, cost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import backoff
from pydantic import SecretStr

from llm_integration.circuit_breaker import CircuitBreaker, Entry
from llm_integration.config import LLMConfig, clean_key
from llm_integration.config.origin import address_origin
from llm_integration.errors import (
    BudgetExceededError,
    CallError,
    DeadlineError,
    LineStoppedError,
    TruncatedError,
)
from llm_integration.llm_processor.announce import announce
from llm_integration.llm_processor.call import Attempt, Books, Call, Next, believed
from llm_integration.llm_processor.dialect import Dialect
from llm_integration.llm_processor.dialect_book import DialectBook
from llm_integration.llm_processor.failures import Reader
from llm_integration.llm_processor.formats import Form, Listings, choose_form
from llm_integration.llm_processor.guard import SpendGuard
from llm_integration.llm_processor.judge import Judge, line_breaker, without_response
from llm_integration.llm_processor.models import ModelBoard, Seat
from llm_integration.llm_processor.scrub import Scrubber
from llm_integration.llm_processor.spending import Spending
from llm_integration.llm_processor.stream import is_stream
from llm_integration.llm_processor.transport import Transport
from llm_integration.llm_processor.usage import Doubts, Most, Usage
from llm_integration.llm_processor.wire import (
    ONE_SLICE_BYTES,
    Completion,
    Failed,
    Reply,
    read_long_reply,
    read_reply,
    request_body,
)
from llm_integration.rate_limiter import AsyncRateLimiter, Permit, RateLimiter
from llm_integration.routing import CallPlan, router_for

__all__ = ["LLMProcessor"]

RETRIES_WITHOUT_SETTINGS = 4
CLOSE_SECONDS = 0.4
UNSURE_STATUSES = frozenset({408, 499})
"""4xx statuses after which the prompt may have been worked on, and billed, all the same."""


class LLMProcessor:
    """Asks a model and answers with its reply or with one leaf of CallError.

    ``config`` says where and how; without one an answer is tried for up to five times. The key comes from it
    unless ``api_key`` is given. Processors that use one key share a ``limiter``. Every request passes
    ``guard``, which may refuse it or name a cheaper model.
    ``catalogue`` knows which response formats a model takes. What a server is found to refuse is kept in
    ``dialect_folder``, None: until the end of the process. A ``session`` passed in stays open on ``close``.
    ``clock`` is in seconds and also that of ``deadline``; ``wall_clock`` (epoch seconds) serves to read dates
    that a server sends and to forget what was learnt a week ago. For one event loop. Raises ConfigError for
    an ``api_key`` that no header can carry, or that would go unencrypted over the network, and for a proxy of
    the environment that cannot be used.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        *,
        api_key: SecretStr | None = None,
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
        self.config = config or _settings_of_its_own()
        key = self.config.api_key if api_key is None else clean_key(api_key.get_secret_value())
        self._origin, self._with_key = address_origin(self.config), key is not None
        self._clock = clock
        self._sleep = sleep
        self._jitter = backoff.full_jitter if rng is None else lambda value: rng.uniform(0, value)
        self._limiter = limiter or AsyncRateLimiter(
            RateLimiter(self.config.requests_per_minute, self.config.tokens_per_minute, clock=clock)
        )
        self._line = breaker or line_breaker(self.config, clock)
        self._board = ModelBoard(clock, self._advise)
        self._plan = CallPlan(self.config.model, tuple(self.config.fallback_models))
        self._ladders = router_for(self.config).ladders
        self._spending = None if guard is None else Spending(guard)
        self._catalogue = catalogue
        self._reader = Reader(Scrubber(key), wall_clock)
        self._transport = Transport(
            self.config.base_url, key, connections=self.config.max_concurrency, session=session,
            allow_plain_http=self.config.allow_plain_http,
        )  # fmt: skip
        self._books = Books()
        self._doubts = Doubts()
        self._dialects = DialectBook(self.config.base_url, folder=dialect_folder, wall_clock=wall_clock)
        self._beginning: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._begun = self._said_where = False
        self._judge = Judge(
            self._line,
            self._board,
            self._books,
            dialects=self._dialects,
            budget_holds=bool(self.config.budgets),
            hold_everybody=lambda seconds: self._limiter.freeze(clock() + seconds),
            longest_wait=self.config.retry_after_cap_seconds,
        )
        self._closed = False

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
                outcome = await self._attempt(call)
                if isinstance(outcome, Completion):
                    return outcome
                await self._prepare_next(call, outcome)
        except CallError as error:
            error.attempts, error.cost_usd = call.attempts, call.cost
            self._books.failed += 1
            raise

    def say_where(self) -> None:
        """Say once, in a line of the log, where requests go and on whose word; the first request does it."""
        if not self._said_where:
            self._said_where = True
            announce(self.config.base_url, self._origin, proxy=self._transport.proxy, with_key=self._with_key)

    async def _begin(self) -> None:
        """Before the first request, once: say where requests go, and read what was learnt of the server."""
        if self._beginning is None:
            self.say_where()
            self._beginning = asyncio.create_task(self._dialects.load(), name="dialects")
        await asyncio.wait({self._beginning})
        self._begun = True

    def _keep_dialects(self) -> None:
        """A request in a new dialect was answered: write the dialect down, behind everybody's back."""
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._dialects.keep(), name="dialects")

    def room(self) -> tuple[int, float]:
        """How many requests the rate limit lets go now, and if none, the seconds until it may let one."""
        return self._limiter.room()

    def ready_in(self, plan: CallPlan | None = None) -> float:
        """Seconds until a request of ``plan``, by default of any route, may be sent; 0: one may be now."""
        if plan is not None:
            return self._wait(plan.models)
        return max(self._line.ready_in(), min(map(self._board.ready_in, self._ladders)))

    def stopped_reason(self, plan: CallPlan | None = None) -> str | None:
        """Why no request of ``plan``, by default of any route, is sent at present, in one line; else None."""
        if self._line.reason is not None:
            return self._line.reason
        if plan is not None:
            return self._board.reason(plan.models)
        reasons = [self._board.reason(models) for models in self._ladders]
        return None if None in reasons else reasons[0]

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and the state of line, limiter and models.

        ``model`` is the one of the settings' models that is asked now; ``models`` tells of each: ``state``
        (closed, open, half_open), ``requests``, ``failures``, ``reason`` it is down, ``ready_in`` seconds.
        """
        models = self._plan.models
        return {
            **self._books.as_dict(),
            "state": self._state(),
            "stopped_reason": self.stopped_reason(),
            "stopped_by": self._line.stopped_by,
            "model": self._board.first_ready(models) or models[0],
            "models": self._board.statistics(models),
            "limiter": asdict(self._limiter.usage()),
        }

    async def close(self) -> None:
        """Close the connections; calls still running end with an error. Returns within a second."""
        self._closed = True
        await self._transport.close()
        if behind := {task for task in (self._beginning, self._keeping) if task is not None}:
            await asyncio.wait(behind, timeout=CLOSE_SECONDS)
        if self._spending is not None:
            self._spending.close()

    def _advise(self, model: str) -> tuple[str, str | None]:
        """The setting that names ``model``, and what to put there instead once it is gone."""
        setting = self.config.models_named.get(model, "llm.model")
        return setting, None if self._catalogue is None else self._catalogue.successor(model)

    def _wait(self, models: Sequence[str]) -> float:
        return max(self._line.ready_in(), self._board.ready_in(models))

    def _state(self) -> str:
        if self._line.reason is not None or self.stopped_reason() is None:
            return self._line.state
        return "open" if self.ready_in() > 0 else "half_open"

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

    # One attempt: permit, line, model, budget, request, verdict

    async def _attempt(self, call: Call) -> Completion | Next:
        """One request: its completion, or what to do next; raises when line, models or budget are closed.

        The budget is asked last, so that no money is set aside while the rate limit is waited for.
        """
        permit = self._permit(call) or await self._permit_in_line(call)
        entry = attempt = None
        try:
            entry = self._entered()
            attempt = self._seated(call, permit)
            if self._spending is None:
                outcome = await self._request(call, attempt)
            else:
                outcome = await self._paid_request(self._spending, call, attempt)
            if isinstance(outcome, Reply) and attempt.sent:
                return self._answered(call, entry, attempt, outcome)  # after which nothing is left to leave
            verdict = self._verdict(call, entry, attempt, outcome)
        except BaseException:
            self._leave(permit, entry, attempt)
            raise
        self._leave(permit, entry, attempt)
        return verdict

    def _entered(self) -> Entry:
        entry = self._line.enter()
        if entry is None:
            raise self._line.refusal()
        return entry

    def _leave(self, permit: Permit, entry: Entry | None, attempt: Attempt | None) -> None:
        """Hand back what was not used; what a verdict or a request has settled stays as it is."""
        if attempt is not None:
            attempt.seat.leave()
        if entry is not None:
            self._line.leave(entry)
        self._limiter.release(permit)

    def _permit(self, call: Call) -> Permit | None:
        """A permit, if there is one without waiting; raises when no request can be made."""
        if self._closed:
            raise _closed()
        if self._line.ready_in() > 0 or self._board.ready_in(call.models) > 0:
            raise self._refusal(call)
        self._remaining(call)
        return self._limiter.take(call.prompt_tokens + call.max_tokens)

    async def _permit_in_line(self, call: Call) -> Permit:
        try:
            return await self._limiter.acquire(call.tokens, timeout=self._remaining(call))
        except TimeoutError:
            raise DeadlineError("the rate limit leaves no room before the deadline") from None

    def _remaining(self, call: Call) -> float | None:
        """Seconds to the call's deadline, None without one; raises DeadlineError once it has passed."""
        return None if call.deadline is None else call.remaining(self._clock())

    def _timeout(self, call: Call, limit: float) -> float:
        """Seconds that the next request may take, of at most ``limit``."""
        remaining = self._remaining(call)
        return limit if remaining is None else min(limit, remaining)

    def _seated(self, call: Call, permit: Permit) -> Attempt:
        """An attempt at the first model that has not failed this call, else at any of the plan's."""
        seat = self._board.enter(call.untried) or self._board.enter(call.models)
        if seat is None:
            raise self._board.refusal(call.models)
        dialect = self._dialects.of(seat.model)
        form = self._form(call, seat, dialect)
        return Attempt(seat, seat.model, seat.model, form, permit, self._limiter, dialect=dialect)

    def _form(self, call: Call, seat: Seat, dialect: Dialect) -> Form:
        """The response format for this request; found once per model, as long as nothing changes."""
        plan, state, refused = call.plan, seat.state, dialect.refused_formats
        listed = None if self._catalogue is None else self._catalogue.find(seat.model)
        form = state.form
        if form is None or not form.still_fits(plan, listed, refused):
            form = choose_form(self.config.response_format, plan, listed, refused)
            state.form = form
        return form

    async def _paid_request(self, spending: Spending, call: Call, attempt: Attempt) -> Reply | Failed:
        """The request within the budget; what was set aside is settled exactly once."""
        limit = self.config.request_timeout_seconds
        grant = await spending.reserve(call, attempt.model, timeout=self._timeout(call, limit))
        attempt.reserved_usd = grant.reserved_usd
        try:
            if grant.model != attempt.model:
                self._downgrade(call, attempt, grant.model)
            return await self._request(call, attempt)
        finally:
            spending.settle(grant, attempt)

    def _downgrade(self, call: Call, attempt: Attempt, model: str) -> None:
        """Ask ``model``, which the budget allows, instead."""
        attempt.seat.leave()
        seat = self._board.enter((model,))
        if seat is None:
            down = self._board.refusal((model,))
            raise BudgetExceededError(
                f"the budget only allows {model}, and that is down: {down}", retry_after=down.retry_after
            )
        attempt.seat, attempt.model, attempt.downgraded = seat, model, True
        attempt.dialect = self._dialects.of(model)
        attempt.form = self._form(call, seat, attempt.dialect)

    async def _request(self, call: Call, attempt: Attempt) -> Reply | Failed:
        limit = self.config.request_timeout_seconds  # it may be another one when the request ends
        timeout = self._timeout(call, limit)
        attempt.body = body = request_body(
            call.prompt,
            system=call.system,
            model=attempt.model,
            max_tokens=call.max_tokens,
            temperature=call.temperature,
            response_format=attempt.form.field,
            reasoning_effort=self.config.reasoning_effort,
            dialect=attempt.dialect,
        )
        call.attempts += 1
        self._books.requests += 1
        attempt.seat.state.requests += 1
        started = self._clock()
        try:
            raw = await self._transport.post(body, timeout=timeout, watch=attempt)
        except CallError as error:
            age = self.config.signal_max_age_seconds
            return without_response(error, timeout=timeout, limit=limit, age=age, heard=attempt.heard)
        finally:
            call.api_seconds = self._clock() - started
        if len(raw.body) <= ONE_SLICE_BYTES and not is_stream(raw):
            outcome = read_reply(raw, self._reader)
        else:
            outcome = await read_long_reply(raw, self._reader)
        outcome = believed(outcome, Most(len(body), call.max_tokens, attempt.reserved_usd))
        self._account(call, attempt, raw.status, outcome.usage)
        return outcome

    def _account(self, call: Call, attempt: Attempt, status: int, usage: Usage) -> None:
        """Tokens to the limiter, cost and tokens to the books. A request refused with 4xx took no tokens."""
        refused = 400 <= status < 500
        attempt.usage = usage
        attempt.refused = refused and status not in UNSURE_STATUSES
        if usage.total_tokens is not None or refused:
            self._limiter.settle(attempt.permit, usage.total_tokens or 0)
        call.add(usage)
        self._books.attempt(usage)
        self._doubts.about(attempt.model, usage)

    def _verdict(
        self, call: Call, entry: Entry, attempt: Attempt, outcome: Reply | Failed
    ) -> Completion | Next:
        if isinstance(outcome, Reply):
            return self._answered(call, entry, attempt, outcome)
        return Next(_closed()) if self._closed else self._judge.failed(call, entry, attempt, outcome)

    def _answered(self, call: Call, entry: Entry, attempt: Attempt, reply: Reply) -> Completion:
        self._judge.answered(call, entry, attempt)
        self._books.complete(reply, by_fallback=attempt.model != call.plan.model)
        if self._dialects.unsaved and attempt.dialect.changes:
            self._keep_dialects()
        return call.completion(reply, attempt, self._clock())

    # Between attempts

    async def _prepare_next(self, call: Call, failed: Next) -> None:
        """Make ready for another attempt, or raise if there is none."""
        error = failed.error
        if failed.at_once:
            return
        if isinstance(error, TruncatedError) and call.grow(self._limiter.usage().token_limit):
            return
        if not error.retryable:
            raise error
        if self._wait(call.models) > 0:
            raise self._refusal(call)
        if call.retries >= self.config.max_retries:
            raise error
        pause = call.next_pause(error, self._clock(), self._jitter)
        self._books.retries += 1
        await self._sleep(pause)

    def _refusal(self, call: Call) -> LineStoppedError:
        """The error for a call that cannot be made now."""
        if self._line.ready_in() > 0:
            return self._line.refusal()
        return self._board.refusal(call.models)


def _settings_of_its_own() -> LLMConfig:
    """For a client that is built without settings: the environment's and the defaults, but five attempts."""
    config = LLMConfig()
    given = "max_retries" in config.model_fields_set
    return config if given else config.model_copy(update={"max_retries": RETRIES_WITHOUT_SETTINGS})


def _closed() -> LineStoppedError:
    return LineStoppedError("the client is closed")
