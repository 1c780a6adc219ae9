"""LLMProcessor with plans: models that fail and come back, formats that are refused, line and model apart."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import SecretStr

from llm_integration.circuit_breaker import CircuitBreaker
from llm_integration.config import LLMConfig
from llm_integration.config.routes import Route
from llm_integration.errors import (
    CircuitOpenError,
    KeyRefusedError,
    ModelUnavailableError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from llm_integration.llm_processor import CallPlan, LLMProcessor
from llm_integration.model_catalogue import ModelInfo
from llm_integration.reply_schema import SINGLE_SCHEMA
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.integration.test_llm_processor import LOGGER, RETIRED, Time

FIRST, SECOND, THIRD = "google/gemini-3.5-flash", "google/gemini-2.5-flash", "openai/gpt-5-mini"
PLAN = CallPlan(FIRST, (SECOND,))


class Listings:
    """A catalogue that says of every model the same."""

    def __init__(self, *parameters: str) -> None:
        self._parameters = frozenset(parameters)

    def find(self, model: str) -> ModelInfo | None:
        return ModelInfo(model, supported_parameters=self._parameters)

    def successor(self, _: str) -> str | None:
        return None


class Bench:
    """Builds processors for one simulator and closes them."""

    def __init__(self, simulator: OpenRouterSimulator, stack: AsyncExitStack) -> None:
        self.simulator, self.time, self._stack = simulator, Time(), stack

    def processor(self, *, catalogue: Listings | None = None, **settings: Any) -> LLMProcessor:
        defaults: dict[str, Any] = {
            "base_url": self.simulator.base_url,
            "requests_per_minute": 10_000,
            "request_timeout_seconds": 5.0,
            "retry_after_cap_seconds": 2.0,
        }
        wanted = settings.pop("response_format", "json_object")
        config = LLMConfig(**(defaults | settings)).model_copy(update={"response_format": wanted})
        built = LLMProcessor(
            config,
            api_key=SecretStr(SIMULATED_KEY),
            breaker=CircuitBreaker(clock=self.time),
            catalogue=catalogue,
            clock=self.time,
            sleep=self.time.sleep,
            rng=random.Random(1),
        )
        self._stack.push_async_callback(built.close)
        return built

    def asked(self) -> list[tuple[str, str]]:
        """Model and response format of every request so far."""
        return [
            (request.body["model"], request.body["response_format"]["type"])
            for request in self.simulator.requests
            if request.body
        ]

    def models(self) -> list[str]:
        return [model for model, _ in self.asked()]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            OpenRouterSimulator(seed=3, pad_interval_seconds=0.01, hang_seconds=2.0)
        )
        yield Bench(simulator, stack)


OF_THE_MODEL = ["bad_gateway", "blank_body", "content_empty", "choices_null", "hang", "model_retired"]


@pytest.mark.parametrize("fault", OF_THE_MODEL)
async def test_a_failing_model_is_left_for_the_next_one_at_once(bench: Bench, fault: str) -> None:
    """No pause, no retry used up, and both models are told apart in the completion."""
    bench.simulator.script(fault)
    processor = bench.processor(max_retries=0, request_timeout_seconds=0.5 if fault == "hang" else 5)
    done = await processor.complete("x", plan=PLAN)
    assert (done.model_requested, done.model_sent, done.attempts) == (FIRST, SECOND, 2)
    assert done.model_served == f"simulated/{SECOND}"
    assert not done.downgraded
    assert bench.time.pauses == []
    models = processor.statistics()["models"]
    assert [models[name]["failures"] for name in (FIRST, SECOND)] == [1, 0]
    assert processor.statistics()["fallbacks"] == 1


async def test_a_plan_overrides_room_and_temperature(bench: Bench) -> None:
    """What it leaves out comes from the settings; a call without a plan asks the settings' model."""
    processor = bench.processor(max_tokens=700, temperature=0.5, model=THIRD)
    await processor.complete("x", plan=CallPlan(SECOND, max_tokens=99, temperature=1.5))
    await processor.complete("x", plan=CallPlan(SECOND))
    await processor.complete("x")
    bodies = [request.body for request in bench.simulator.requests if request.body]
    assert [(body["model"], body["max_tokens"], body["temperature"]) for body in bodies] == [
        (SECOND, 99, 1.5),
        (SECOND, 700, 0.5),
        (THIRD, 700, 0.5),
    ]


async def test_after_all_models_failed_there_is_a_pause_and_the_first_is_asked_again(bench: Bench) -> None:
    """One retry is one more round through the plan."""
    bench.simulator.script("bad_gateway", "bad_gateway", "bad_gateway")
    done = await bench.processor(max_retries=1).complete("x", plan=PLAN)
    assert bench.models() == [FIRST, SECOND, FIRST, SECOND]
    assert done.model_sent == SECOND
    assert len(bench.time.pauses) == 1


async def test_without_retries_the_last_models_error_stands(bench: Bench) -> None:
    """Each model was asked once."""
    bench.simulator.script("bad_gateway", "bad_gateway", "bad_gateway")
    with pytest.raises(ServerError) as failure:
        await bench.processor(max_retries=0).complete("x", plan=PLAN)
    assert failure.value.attempts == 2


async def test_a_dead_primary_warns_once_while_fallbacks_succeed_and_once_when_it_is_back(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """After five failures it is not asked any more; one probe at a time finds out when it works again."""
    processor = bench.processor(max_retries=0, model=FIRST, fallback_models=[SECOND])
    with caplog.at_level(logging.WARNING, LOGGER):
        for number in range(12):
            if number < 5:
                bench.simulator.script("bad_gateway")
            assert (await processor.complete("x")).model_sent == SECOND
        assert bench.models().count(FIRST) == 5
        assert len(caplog.records) == 1
        assert FIRST in caplog.text
        assert SECOND in caplog.text
        statistics = processor.statistics()
        assert (statistics["state"], statistics["stopped_reason"], statistics["model"]) == (
            "closed",
            None,
            SECOND,
        )
        assert statistics["models"][FIRST]["state"] == "open"
        assert "in a row" in statistics["models"][FIRST]["reason"]
        assert processor.ready_in() == 0
        bench.time.ahead += 11
        bench.simulator.script("bad_gateway")  # the probe fails: nothing new to tell
        assert (await processor.complete("x")).model_sent == SECOND
        bench.time.ahead += 21
        assert (await processor.complete("x")).model_sent == FIRST
    assert len(caplog.records) == 2
    assert "answers again" in caplog.text
    assert processor.statistics()["models"][FIRST]["state"] == "closed"


async def test_the_state_of_a_model_is_shared_by_every_plan(bench: Bench) -> None:
    """Who meets the dead model in another plan is not sent there either; a plan of its own waits."""
    processor = bench.processor(max_retries=0)
    bench.simulator.script("model_retired")
    await processor.complete("x", plan=PLAN)
    other = CallPlan(FIRST, (THIRD,))
    assert (await processor.complete("x", plan=other)).model_sent == THIRD
    alone = CallPlan(FIRST)
    with pytest.raises(ModelUnavailableError, match="No endpoints found") as failure:
        await processor.complete("x", plan=alone)
    assert failure.value.attempts == 0
    assert failure.value.retry_after == pytest.approx(60, abs=2)
    assert processor.ready_in(alone) == pytest.approx(60, abs=2)
    assert "No endpoints found" in (processor.stopped_reason(alone) or "")
    assert (processor.ready_in(), processor.stopped_reason()) == (0, None)


async def test_a_route_that_works_keeps_requests_going_while_the_settings_model_is_down(bench: Bench) -> None:
    """Only when every route is down there is nothing to be sent."""
    processor = bench.processor(
        max_retries=0, model=FIRST, routes=[Route(model=SECOND)], ensemble=[THIRD], fallback_models=[]
    )
    bench.simulator.script("model_retired", "model_retired", "model_retired")
    states = []
    for model in (FIRST, SECOND, THIRD):
        with pytest.raises(ModelUnavailableError):
            await processor.complete("x", plan=CallPlan(model))
        states.append((processor.ready_in() > 0, processor.stopped_reason() is None))
    assert states == [(False, True), (False, True), (True, False)]
    assert processor.statistics()["state"] == "open"
    bench.time.ahead += 61
    assert processor.ready_in() == 0
    assert (await processor.complete("x", plan=CallPlan(SECOND))).model_sent == SECOND
    assert processor.stopped_reason() is None


async def test_a_limit_of_one_model_holds_only_that_model(bench: Bench) -> None:
    """Its Retry-After is obeyed for it; the fallback answers at once, and later calls do not ask it."""
    bench.simulator.script("capacity_exhausted:retry_after=2")
    processor = bench.processor(max_retries=0)
    assert (await processor.complete("x", plan=PLAN)).model_sent == SECOND
    assert (await processor.complete("x", plan=PLAN)).model_sent == SECOND
    assert processor.statistics()["limiter"]["frozen_for"] == 0
    bench.time.ahead += 2.1
    assert (await processor.complete("x", plan=PLAN)).model_sent == FIRST


async def test_a_long_limit_of_one_model_takes_it_down_for_as_long(bench: Bench) -> None:
    """Longer than the cap: the model is down, the line is not."""
    bench.simulator.script("capacity_exhausted:retry_after=500")
    processor = bench.processor(max_retries=0)
    await processor.complete("x", plan=PLAN)
    assert processor.statistics()["models"][FIRST]["ready_in"] == pytest.approx(500, abs=2)
    with pytest.raises(CircuitOpenError, match="asks to wait 500 s"):
        await processor.complete("x", plan=CallPlan(FIRST))
    assert processor.ready_in() == 0


@pytest.mark.parametrize("fault", ["unknown_key", "no_credits", "key_limit"])
async def test_a_refused_key_is_no_matter_of_models(bench: Bench, fault: str) -> None:
    """No fallback is asked, the line stops for every plan, and no model is blamed."""
    bench.simulator.script(fault)
    processor = bench.processor()
    for plan in (PLAN, CallPlan(THIRD)):
        with pytest.raises(KeyRefusedError):
            await processor.complete("x", plan=plan)
    assert len(bench.models()) == 1
    assert processor.statistics()["models"][FIRST]["failures"] == 0


async def test_a_model_that_fails_behind_a_line_that_answers_again_reopens_the_line(bench: Bench) -> None:
    """The probe after a refused key meets a provider's fault: key and way are fine, so the line is open."""
    bench.simulator.script("unknown_key", "bad_gateway")
    processor = bench.processor(max_retries=0)
    with pytest.raises(KeyRefusedError):
        await processor.complete("x", plan=CallPlan(FIRST))
    bench.time.ahead += 61
    with pytest.raises(ServerError):
        await processor.complete("x", plan=CallPlan(FIRST))
    assert (processor.ready_in(), processor.stopped_reason()) == (0, None)


async def test_a_lost_connection_is_no_matter_of_models(bench: Bench) -> None:
    """The same model is asked again after a pause."""
    bench.simulator.script("reset_before_headers")
    done = await bench.processor().complete("x", plan=PLAN)
    assert (done.model_sent, done.attempts, len(bench.time.pauses)) == (FIRST, 2, 1)
    bench.simulator.script("reset_before_headers")
    with pytest.raises(TransportError):
        await bench.processor(max_retries=0).complete("x", plan=PLAN)


async def test_the_accounts_own_limit_is_no_matter_of_models(bench: Bench) -> None:
    """A fallback would meet it too, so everybody waits."""
    bench.simulator.script("rate_limited:retry_after=1")
    processor = bench.processor(max_retries=0)
    with pytest.raises(RateLimitedError):
        await processor.complete("x", plan=PLAN)
    assert processor.statistics()["limiter"]["frozen_for"] > 0
    assert processor.statistics()["models"][FIRST]["failures"] == 0


async def test_a_cancelled_probe_of_a_model_leaves_it_ready(bench: Bench) -> None:
    """Cancellation in half-open neither closes nor reopens it, and the next probe may go."""
    bench.simulator.script("model_retired", "ok", "hang")
    processor = bench.processor()
    await processor.complete("x", plan=PLAN)
    bench.time.ahead += 61
    probe = asyncio.create_task(processor.complete("x", plan=PLAN))
    await bench.simulator.wait_for_requests(3)
    assert processor.statistics()["models"][FIRST]["state"] == "half_open"
    probe.cancel()
    await asyncio.wait([probe])
    done = await processor.complete("x", plan=PLAN)
    assert done.model_sent == FIRST


async def test_a_probe_that_runs_does_not_stop_the_others(bench: Bench) -> None:
    """While one call tries the primary, the rest go to the fallback."""
    bench.simulator.script("model_retired", "ok", "hang")
    processor = bench.processor(request_timeout_seconds=1.0)
    await processor.complete("x", plan=PLAN)
    bench.time.ahead += 61
    probe = asyncio.create_task(processor.complete("x", plan=PLAN))
    await bench.simulator.wait_for_requests(3)
    others = await asyncio.gather(*(processor.complete("x", plan=PLAN) for _ in range(5)))
    assert {each.model_sent for each in others} == {SECOND}
    assert (await probe).model_sent == SECOND


async def test_a_retired_fallback_of_a_failing_primary_ends_with_the_primarys_error(bench: Bench) -> None:
    """Bounded work for a plan that cannot be had, and an error that tells."""
    bench.simulator.script(*["bad_gateway", "model_retired"] * 3)
    processor = bench.processor(max_retries=0)
    with pytest.raises(ModelUnavailableError, match="fallback_models"):
        await processor.complete("x", plan=CallPlan(FIRST, (RETIRED,)))
    assert len(bench.models()) == 2


# Structured output


SCHEMA_PLAN = CallPlan(FIRST, response_schema=SINGLE_SCHEMA)


async def test_a_listed_model_gets_the_schema_and_others_do_not(bench: Bench) -> None:
    """By the catalogue; who knows nothing asks for any JSON object."""
    for listings in (Listings("structured_outputs"), Listings("response_format"), Listings("seed"), None):
        processor = bench.processor(catalogue=listings, response_format="auto")
        done = await processor.complete("x", plan=SCHEMA_PLAN)
        assert done.response_format == bench.asked()[-1][1]
    assert [form for _, form in bench.asked()] == ["json_schema", "json_object", "text", "json_object"]
    first = bench.simulator.requests[0].body
    assert first is not None
    assert first["response_format"]["json_schema"]["schema"] == SINGLE_SCHEMA


async def test_a_model_that_refuses_the_schema_is_asked_without_it_from_then_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, without a pause or a retry, told once; other models keep theirs."""
    processor = bench.processor(response_format="json_schema", max_retries=0)
    bench.simulator.script("schema_rejected")
    with caplog.at_level(logging.WARNING, LOGGER):
        first = await processor.complete("x", plan=SCHEMA_PLAN)
        second = await processor.complete("x", plan=SCHEMA_PLAN)
        await processor.complete("x", plan=CallPlan(THIRD, response_schema=SINGLE_SCHEMA))
    assert (first.attempts, first.response_format, second.attempts) == (2, "json_object", 1)
    assert bench.asked() == [
        (FIRST, "json_schema"),
        (FIRST, "json_object"),
        (FIRST, "json_object"),
        (THIRD, "json_schema"),
    ]
    assert len(caplog.records) == 1
    assert bench.time.pauses == []
    assert processor.statistics()["models"][FIRST]["state"] == "closed"


async def test_calls_that_meet_the_refusal_together_tell_it_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for eight."""
    processor = bench.processor(response_format="json_schema", max_retries=0)
    bench.simulator.script(*["schema_rejected"] * 8)
    with caplog.at_level(logging.WARNING, LOGGER):
        done = await asyncio.gather(*(processor.complete("x", plan=SCHEMA_PLAN) for _ in range(8)))
    assert {each.response_format for each in done} == {"json_object"}
    assert len(caplog.records) == 1


async def test_a_parameter_that_no_endpoint_takes_is_left_out(bench: Bench) -> None:
    """OpenRouter says so with a 404, which is not about the model."""
    bench.simulator.script("no_endpoints_for_parameters")
    processor = bench.processor(response_format="json_schema", max_retries=0)
    assert (await processor.complete("x", plan=SCHEMA_PLAN)).response_format == "json_object"
