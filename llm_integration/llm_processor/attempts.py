"""One attempt at a call: permit, line, model, budget, request; and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from llm_integration.calls import ChatRequest, Failed, Reply, Usage
from llm_integration.circuit_breaker import CircuitBreaker, Entry
from llm_integration.config import LLMConfig
from llm_integration.errors import BudgetExceededError, CallError, DeadlineError, LineStoppedError
from llm_integration.fairness import in_turns, next_turn_with_reply
from llm_integration.llm_processor.believed import Doubts, Most
from llm_integration.llm_processor.call import Attempt, Call, Counters, FailedAttempt, believed
from llm_integration.llm_processor.judge import Judge, without_response
from llm_integration.llm_processor.models import Listings, ModelAvailability, ModelStates
from llm_integration.llm_processor.spending import Spending
from llm_integration.llm_processor.transport import Transport
from llm_integration.llm_processor.wire import Completion
from llm_integration.ports import Provider
from llm_integration.rate_limiter import AsyncRateLimiter, Permit

__all__ = ["Attempts"]

UNSURE_STATUSES = frozenset({408, 499})
"""4xx statuses after which the prompt may have been worked on, and billed, all the same."""


class Attempts:
    """Makes requests, each within every limit, and tells everybody concerned how it ended.

    Whatever an attempt took (permit, entries, money) is used or given back when it ends, however that is.
    """

    def __init__(
        self,
        config: LLMConfig,
        provider: Provider,
        transport: Transport,
        *,
        line: CircuitBreaker,
        models: ModelStates,
        available: ModelAvailability,
        limiter: AsyncRateLimiter,
        judge: Judge,
        counters: Counters,
        spending: Spending | None,
        listings: Listings | None,
        clock: Callable[[], float],
    ) -> None:
        self._config, self._provider, self._transport = config, provider, transport
        self._line, self._models, self._available, self._limiter = line, models, available, limiter
        self._judge, self._counters, self._spending, self._listings = judge, counters, spending, listings
        self._clock = clock
        self._doubts = Doubts()
        self._closed = False

    def close(self) -> None:
        """No further request is made; those under way end with an error."""
        self._closed = True

    async def make(self, call: Call) -> Completion | FailedAttempt:
        """One request: its completion, or what to do next; raises when line, models or budget are closed.

        The budget is asked last, so that no money is set aside while the rate limit is waited for.
        """
        permit = self._permit(call) or await self._permit_in_line(call)
        entry = attempt = None
        try:
            entry = self._entered()
            attempt = self._begun(call, permit)
            if self._spending is None:
                outcome = await self._request(call, attempt)
            else:
                outcome = await self._paid_request(self._spending, call, attempt)
            if isinstance(outcome, Reply) and attempt.sent:
                return self._answered(call, entry, attempt, outcome)  # after which nothing is left to leave
            ended = self._ended(call, entry, attempt, outcome)
        except BaseException:
            self._leave(permit, entry, attempt)
            raise
        self._leave(permit, entry, attempt)
        return ended

    def _entered(self) -> Entry:
        entry = self._line.enter()
        if entry is None:
            raise self._line.refusal()
        return entry

    def _leave(self, permit: Permit, entry: Entry | None, attempt: Attempt | None) -> None:
        """Hand back what was not used; what a verdict or a request has settled stays as it is."""
        if attempt is not None:
            attempt.model_entry.leave()
        if entry is not None:
            self._line.leave(entry)
        self._limiter.release(permit)

    def _permit(self, call: Call) -> Permit | None:
        """A permit, if there is one without waiting; raises when no request can be made."""
        if self._closed:
            raise _closed()
        if self._line.ready_in() > 0 or self._models.ready_in(call.models) > 0:
            raise self._available.refusal(call.models)
        if call.deadline is not None:
            call.remaining(self._clock())
        return self._limiter.take(call.prompt_tokens + call.max_tokens)

    async def _permit_in_line(self, call: Call) -> Permit:
        remaining = call.remaining(self._clock())
        try:
            return await self._limiter.acquire(call.tokens, timeout=remaining)
        except TimeoutError:
            raise DeadlineError("the rate limit leaves no room before the deadline") from None

    def _timeout(self, call: Call, limit: float) -> float:
        """Seconds that the next request may take, of at most ``limit``."""
        if call.deadline is None:
            return limit
        remaining = call.remaining(self._clock())
        return limit if remaining is None else min(limit, remaining)

    def _begun(self, call: Call, permit: Permit) -> Attempt:
        """An attempt at the first model that has not failed this call, else at any of the plan's."""
        entry = self._models.enter(call.untried) or self._models.enter(call.models)
        if entry is None:
            raise self._models.refusal(call.models)
        return Attempt(entry, entry.model, entry.model, permit, self._limiter)

    async def _paid_request(self, spending: Spending, call: Call, attempt: Attempt) -> Reply | Failed:
        """The request within the budget; what was set aside is settled exactly once."""
        limit = self._config.request_timeout_seconds
        grant = await spending.reserve(call, attempt.model, timeout=self._timeout(call, limit))
        attempt.reserved_usd = grant.reserved_usd
        try:
            if grant.model != attempt.model:
                self._downgrade(attempt, grant.model)
            return await self._request(call, attempt)
        finally:
            spending.settle(grant, attempt)

    def _downgrade(self, attempt: Attempt, model: str) -> None:
        """Ask ``model``, which the budget allows, instead."""
        attempt.model_entry.leave()
        entry = self._models.enter((model,))
        if entry is None:
            down = self._models.refusal((model,))
            raise BudgetExceededError(
                f"the budget only allows {model}, and that is down: {down}", retry_after=down.retry_after
            )
        attempt.model_entry, attempt.model, attempt.downgraded = entry, model, True

    async def _request(self, call: Call, attempt: Attempt) -> Reply | Failed:
        config, plan, model = self._config, call.plan, attempt.model
        limit = config.request_timeout_seconds  # it may be another one when the request ends
        timeout = self._timeout(call, limit)
        request = ChatRequest(
            call.prompt, call.system, model, call.max_tokens, call.temperature,
            config.reasoning_effort, config.response_format, plan.response_schema, plan.schema_name,
            None if self._listings is None else self._listings.find(model),
        )  # fmt: skip
        attempt.wire = wire = self._provider.encode(request)
        call.attempts += 1
        self._counters.requests += 1
        attempt.model_entry.state.requests += 1
        started = self._clock()
        try:
            raw = await self._transport.post(wire, timeout=timeout, watch=attempt)
        except CallError as error:
            age = config.signal_max_age_seconds
            return without_response(error, timeout=timeout, limit=limit, age=age, heard=attempt.heard)
        finally:
            call.api_seconds = self._clock() - started
        outcome = self._provider.decode(raw)
        if not isinstance(outcome, (Reply, Failed)):
            outcome = await in_turns(outcome, next_turn_with_reply)
        outcome = believed(outcome, Most(len(wire.body), call.max_tokens, attempt.reserved_usd))
        self._account(call, attempt, raw.status, outcome.usage)
        return outcome

    def _account(self, call: Call, attempt: Attempt, status: int, usage: Usage) -> None:
        """Tokens to the limiter, cost and tokens to the counters. What is refused with 4xx took no tokens."""
        refused = 400 <= status < 500
        attempt.usage = usage
        attempt.refused = refused and status not in UNSURE_STATUSES
        if usage.total_tokens is not None or refused:
            self._limiter.settle(attempt.permit, usage.total_tokens or 0)
        call.add(usage)
        self._counters.attempt(usage)
        if usage.warnings:
            self._doubts.about(attempt.model, usage)

    def _ended(
        self, call: Call, entry: Entry, attempt: Attempt, outcome: Reply | Failed
    ) -> Completion | FailedAttempt:
        if isinstance(outcome, Reply):
            return self._answered(call, entry, attempt, outcome)
        return FailedAttempt(_closed()) if self._closed else self._judge.failed(call, entry, attempt, outcome)

    def _answered(self, call: Call, entry: Entry, attempt: Attempt, reply: Reply) -> Completion:
        self._judge.answered(call, entry, attempt)
        self._counters.complete(reply, by_fallback=attempt.model != call.plan.model)
        if attempt.wire.changes:
            self._provider.answered(attempt.wire)
        return call.completion(reply, attempt, self._clock())


def _closed() -> LineStoppedError:
    return LineStoppedError("the client is closed")
