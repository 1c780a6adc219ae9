"""LLMProcessor under a guard of the budget: reserved before each request, settled exactly once after it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from llm_integration.circuit_breaker import CircuitBreaker
from llm_integration.config import LLMConfig
from llm_integration.errors import (
    BudgetExceededError,
    CallError,
    DeadlineError,
    LineStoppedError,
    ServerError,
    TransportError,
)
from llm_integration.llm_processor import CallPlan, Grant, LLMProcessor, SpendRequest
from llm_integration.simulator import FAULTS, SIMULATED_KEY, OpenRouterSimulator
from tests.integration.test_llm_processor import Time

MODEL, CHEAP = "google/gemini-3.5-flash", "google/gemini-2.5-flash-lite"
PLAN = CallPlan(MODEL, ("google/gemini-2.5-flash",))


@dataclass
class Settled:
    """What became of one grant."""

    sent: bool
    cost_usd: Decimal | None
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass
class Guard:
    """Grants everything, unless told otherwise, after giving way twice; keeps the books."""

    downgrade_to: str | None = None
    grants_left: int = 1_000_000
    hang: bool = False
    asked: list[SpendRequest] = field(default_factory=list)
    granted: list[Grant] = field(default_factory=list)
    settled: dict[str, list[Settled]] = field(default_factory=dict)

    async def reserve(self, request: SpendRequest) -> Grant:
        self.asked.append(request)
        await asyncio.sleep(0)
        if self.hang:
            await asyncio.Event().wait()
        if len(self.granted) >= self.grants_left:
            raise BudgetExceededError("the day's budget is used up", retry_after=600)
        await asyncio.sleep(0)
        grant = Grant(f"g{len(self.granted)}", self.downgrade_to or request.model, Decimal(1))
        self.granted.append(grant)
        return grant

    def settle(
        self,
        grant: Grant,
        *,
        sent: bool,
        cost_usd: Decimal | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> None:
        self.settled.setdefault(grant.grant_id, []).append(
            Settled(sent, cost_usd, prompt_tokens, completion_tokens)
        )

    @property
    def ends(self) -> list[Settled]:
        """How each grant ended, in their order; fails unless each did exactly once."""
        assert set(self.settled) == {grant.grant_id for grant in self.granted}
        assert all(len(each) == 1 for each in self.settled.values())
        return [self.settled[grant.grant_id][0] for grant in self.granted]


class Bench:
    """Builds processors under one guard."""

    def __init__(self, simulator: OpenRouterSimulator, stack: AsyncExitStack) -> None:
        self.simulator, self.time, self.guard, self._stack = simulator, Time(), Guard(), stack

    def processor(self, **settings: Any) -> LLMProcessor:
        defaults: dict[str, Any] = {
            "base_url": self.simulator.base_url,
            "requests_per_minute": 100_000,
            "tokens_per_minute": 1_000_000_000,
            "request_timeout_seconds": 10.0,
            "retry_after_cap_seconds": 2.0,
            "max_retries": 0,
        }
        built = LLMProcessor(
            LLMConfig(**(defaults | settings)),
            api_key=SecretStr(SIMULATED_KEY),
            guard=self.guard,
            breaker=CircuitBreaker(clock=self.time),
            clock=self.time,
            sleep=self.time.sleep,
        )
        self._stack.push_async_callback(built.close)
        return built

    @property
    def arrived(self) -> int:
        return self.simulator.counters["chat_requests"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            OpenRouterSimulator(seed=3, pad_interval_seconds=0.01, hang_seconds=2.0)
        )
        yield Bench(simulator, stack)


async def test_an_answered_request_is_reserved_at_its_highest_and_settled_at_its_cost(bench: Bench) -> None:
    """Model, size and symbols go to the guard before, tokens and cost after."""
    prompt = "1.2345 " * 200
    done = await bench.processor(max_tokens=500).complete(
        prompt, system="be brief", plan=CallPlan(MODEL, max_tokens=300), symbols={"ES": 2, "NQ": 1}
    )
    (request,) = bench.guard.asked
    assert (request.model, request.max_tokens, request.symbols) == (MODEL, 300, {"ES": 2, "NQ": 1})
    assert done.prompt_tokens is not None
    assert request.prompt_tokens >= 1200 > done.prompt_tokens
    assert bench.guard.ends == [Settled(True, done.cost_usd, done.prompt_tokens, done.completion_tokens)]


async def test_a_refusal_of_the_budget_is_the_callers_and_nothing_is_sent(bench: Bench) -> None:
    """Once, without retries; the permit comes back and the line stays open."""
    bench.guard.grants_left = 0
    processor = bench.processor(max_retries=5)
    with pytest.raises(BudgetExceededError, match="used up") as failure:
        await processor.complete("x", plan=PLAN)
    assert (failure.value.attempts, failure.value.retry_after) == (0, 600)
    assert (bench.arrived, len(bench.guard.asked), bench.time.pauses) == (0, 1, [])
    assert processor.statistics()["limiter"]["requests"] == 0
    assert (processor.ready_in(), processor.stopped_reason()) == (0, None)


async def test_every_attempt_passes_the_guard(bench: Bench) -> None:
    """Retries and fallbacks too, each with the model that it asks; what failed attempts cost is told."""
    bench.simulator.script("content_empty", "bad_gateway", "ok")
    done = await bench.processor(max_retries=1).complete("x", plan=PLAN)
    assert [request.model for request in bench.guard.asked] == [MODEL, PLAN.fallbacks[0], MODEL]
    first, second, third = bench.guard.ends
    assert (first.sent, second.sent, third.sent) == (True, True, True)
    assert first.cost_usd is not None
    assert second.cost_usd is None
    assert third.cost_usd is not None
    assert done.cost_usd == first.cost_usd + third.cost_usd


async def test_a_budget_that_ends_between_attempts_ends_the_call(bench: Bench) -> None:
    """The error knows the attempt that was made and what it cost."""
    bench.simulator.script("content_empty")
    processor = bench.processor(max_retries=3)
    bench.guard.grants_left = 1
    with pytest.raises(BudgetExceededError) as failure:
        await processor.complete("x")
    assert failure.value.attempts == 1
    assert failure.value.cost_usd is not None
    assert len(bench.guard.ends) == 1


async def test_a_downgrade_is_obeyed_and_said(bench: Bench) -> None:
    """The cheaper model is asked; the completion tells what was wanted, what was sent and why."""
    bench.guard.downgrade_to = CHEAP
    processor = bench.processor()
    done = await processor.complete("x", plan=PLAN)
    assert (done.model_requested, done.model_sent, done.downgraded) == (MODEL, CHEAP, True)
    assert done.model_served == f"simulated/{CHEAP}"
    models = processor.statistics()["models"]
    assert (models[CHEAP]["requests"], models[MODEL]["requests"]) == (1, 0)


async def test_a_failing_downgrade_does_not_go_round_for_ever(bench: Bench) -> None:
    """Every model of the plan is replaced by the same failing one: as many attempts as models."""
    bench.guard.downgrade_to = CHEAP
    bench.simulator.script(*["bad_gateway"] * 10)
    with pytest.raises(ServerError) as failure:
        await bench.processor().complete("x", plan=PLAN)
    assert failure.value.attempts == 2
    assert len(bench.guard.ends) == 2


async def test_a_downgrade_to_a_model_that_is_down_is_a_matter_of_the_budget(bench: Bench) -> None:
    """With the time when it may be up again; the grant is given back unsent."""
    processor = bench.processor()
    bench.simulator.script("model_retired")
    with pytest.raises(LineStoppedError):
        await processor.complete("x", plan=CallPlan(CHEAP))
    bench.guard.downgrade_to = CHEAP
    with pytest.raises(BudgetExceededError, match="is down") as failure:
        await processor.complete("x", plan=PLAN)
    assert failure.value.retry_after == pytest.approx(60, abs=2)
    assert bench.guard.ends[-1] == Settled(False, None, None, None)


async def test_a_downgraded_call_is_no_probe_of_the_model_it_gave_up(bench: Bench) -> None:
    """The model that was to be tried again can be tried by the next call, while this one runs."""
    bench.simulator.script("model_retired", "hang", "ok")
    processor = bench.processor(request_timeout_seconds=5.0)
    with pytest.raises(LineStoppedError):
        await processor.complete("x", plan=CallPlan(MODEL))
    bench.time.ahead += 61
    bench.guard.downgrade_to = CHEAP
    running = asyncio.create_task(processor.complete("x", plan=CallPlan(MODEL)))
    await bench.simulator.wait_for_requests(2)
    bench.guard.downgrade_to = None
    assert (await processor.complete("x", plan=CallPlan(MODEL))).model_sent == MODEL
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("fault", ["unknown_key", "bad_request", "rate_limited", "model_retired"])
async def test_a_request_refused_unread_cost_nothing(bench: Bench, fault: str) -> None:
    """4xx: known to be zero, so a storm of refusals does not use a budget up."""
    bench.simulator.script(fault)
    with pytest.raises(CallError):
        await bench.processor().complete("x", plan=CallPlan(MODEL))
    assert bench.guard.ends == [Settled(True, Decimal(0), 0, 0)]


@pytest.mark.parametrize("fault", ["hang", "hang_mid_body", "reset_mid_body", "bad_gateway", "error_in_200"])
async def test_what_was_sent_and_not_accounted_for_is_unknown(bench: Bench, fault: str) -> None:
    """Never zero: the server may have worked on it."""
    bench.simulator.script(fault)
    processor = bench.processor(request_timeout_seconds=1.0 if "hang" in fault else 10.0)
    with pytest.raises(CallError):
        await processor.complete("x", plan=CallPlan(MODEL))
    (end,) = bench.guard.ends
    assert (end.sent, end.cost_usd) == (True, None)


async def test_what_never_left_is_given_back(bench: Bench, unused_tcp_port: int) -> None:
    """No connection, no cost."""
    processor = bench.processor(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    with pytest.raises(TransportError):
        await processor.complete("x")
    assert bench.guard.ends == [Settled(False, None, None, None)]


async def test_no_money_is_set_aside_while_the_rate_limit_is_waited_for(bench: Bench) -> None:
    """The guard is asked once the permit is there."""
    processor = bench.processor(requests_per_minute=1)
    await processor.complete("x")
    with pytest.raises(DeadlineError, match="rate limit"):
        await processor.complete("x", deadline=bench.time() + 0.05)
    assert len(bench.guard.asked) == 1


async def test_a_guard_that_hangs_bounds_nothing_but_itself(bench: Bench) -> None:
    """Its wait ends with the attempt's; the permit comes back."""
    bench.guard.hang = True
    processor = bench.processor(request_timeout_seconds=0.05)
    with pytest.raises(BudgetExceededError, match="no answer"):
        await processor.complete("x")
    assert processor.statistics()["limiter"]["requests"] == 0


STORIES = {
    "answered": ["ok"],
    "fallback": ["bad_gateway", "ok"],
    "retired": ["model_retired", "ok"],
    "padding": ["pad_then_json"],
    "cut": ["reset_mid_body", "ok"],
    "hanging": ["hang_mid_body", "ok"],
    "refused": ["unknown_key"],
}


@pytest.mark.parametrize("story", list(STORIES))
async def test_a_cancellation_anywhere_settles_every_grant_exactly_once(bench: Bench, story: str) -> None:
    """Cancelled after one turn of the event loop, after two, and so on until the call ends by itself.

    Whatever reached the server was settled as sent, and no permit, seat or probe stays behind.
    """
    for turns in itertools.count():
        bench.simulator.clear_script()
        bench.simulator.script(*STORIES[story])
        processor = bench.processor(request_timeout_seconds=0.05, max_retries=1)
        before = bench.arrived
        bench.guard = processor._spending._guard = Guard()  # type: ignore[union-attr]  # fresh books per turn
        call = asyncio.create_task(processor.complete("x", plan=PLAN))
        for _ in range(turns):
            await asyncio.sleep(0)
        over = call.done()
        call.cancel()
        await asyncio.wait([call])
        await asyncio.sleep(0)
        ends = bench.guard.ends
        assert bench.arrived - before <= sum(end.sent for end in ends)
        limiter = processor.statistics()["limiter"]
        assert limiter["waiting"] == 0
        assert limiter["requests"] <= sum(end.sent for end in ends)
        if not call.cancelled() and call.exception() is None:
            assert ends[-1].cost_usd is not None
        await processor.close()
        if over or turns > 400:
            break
    assert turns > 5


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_every_fault_settles_what_it_was_granted(bench: Bench, name: str) -> None:
    """Whatever comes back or does not, each grant ends once, and never with a cost below zero."""
    bench.simulator.script(name)
    processor = bench.processor(request_timeout_seconds=0.1)
    with suppress(CallError):
        await processor.complete("x", plan=CallPlan(MODEL))
    ends = bench.guard.ends
    assert ends
    assert all(end.cost_usd is None or end.cost_usd >= 0 for end in ends)
