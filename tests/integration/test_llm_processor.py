"""LLMProcessor against the simulator: every fault, retries, stops, recovery, models, cost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from llm_integration.circuit_breaker import CircuitBreaker
from llm_integration.config import LLMConfig
from llm_integration.errors import (
    CallError,
    CallTimeoutError,
    CircuitOpenError,
    ContentFilteredError,
    DeadlineError,
    KeyRefusedError,
    LineStoppedError,
    ModelUnavailableError,
    NoCompletionError,
    OversizeRequestError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TruncatedError,
)
from llm_integration.llm_processor import LLMProcessor
from llm_integration.rate_limiter import AsyncRateLimiter, RateLimiter
from llm_integration.simulator import FAULTS, SIMULATED_KEY, FaultInfo, Kind, OpenRouterSimulator

LOGGER = "llm_integration.llm_processor.judge"
RETIRED = "google/gemini-2.5-flash-preview-05-20"


class Time:
    """A clock that runs with the real one and can be moved on; ``sleep`` notes the pause and skips it."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


class Bench:
    """Builds processors for one simulator and closes them."""

    def __init__(self, simulator: OpenRouterSimulator, stack: AsyncExitStack) -> None:
        self.simulator, self.time, self._stack = simulator, Time(), stack

    def processor(
        self, *, key: str | None = SIMULATED_KEY, breaker: CircuitBreaker | None = None, **settings: Any
    ) -> LLMProcessor:
        defaults: dict[str, Any] = {
            "base_url": self.simulator.base_url,
            "requests_per_minute": 10_000,
            "request_timeout_seconds": 5.0,
            "retry_after_cap_seconds": 2.0,
        }
        built = LLMProcessor(
            LLMConfig(**(defaults | settings)),
            api_key=SecretStr(key) if key else None,
            breaker=breaker or CircuitBreaker(clock=self.time),
            clock=self.time,
            sleep=self.time.sleep,
            rng=random.Random(1),
        )
        self._stack.push_async_callback(built.close)
        return built


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            OpenRouterSimulator(seed=3, pad_interval_seconds=0.01, hang_seconds=2.0)
        )
        yield Bench(simulator, stack)


def sent(bench: Bench) -> int:
    return bench.simulator.counters["chat_requests"]


async def test_an_answered_call_reports_everything(bench: Bench) -> None:
    """Text, models, provider, id, tokens, exact cost and times, from one request with the right headers."""
    processor = bench.processor()
    done = await processor.complete("rate this", system="be brief")
    assert done.text
    assert done.model_requested == processor.config.model
    assert done.model_served is not None
    assert done.model_served.startswith("simulated/")
    assert done.provider
    assert done.generation_id
    assert done.generation_id.startswith("gen-")
    assert done.prompt_tokens
    assert done.completion_tokens
    assert done.cost_usd is not None
    assert done.cost_usd > 0
    assert (done.attempts, done.finish_reason) == (1, "stop")
    assert done.api_ms > 0
    assert done.wait_ms >= 0
    headers = {name.lower(): value for name, value in bench.simulator.requests[-1].headers.items()}
    assert headers["x-title"] == "Tradent LLM sidecar"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"


EXPECTED: dict[Kind, type[CallError]] = {
    Kind.KEY: KeyRefusedError,
    Kind.FILTERED: ContentFilteredError,
    Kind.REJECTED: RequestRejectedError,
    Kind.TRUNCATED: TruncatedError,
    Kind.MODEL: LineStoppedError,
}
STOPPING = {"free_per_day", "rate_limited_hour"}
"""Retryable in principle, but only after a wait that no signal sits out."""
OF_A_FIELD = {"reasoning_mandatory", "error_code_string"}
"""A field is refused: the request is made again without it, which the simulator's script refuses too."""
ENDLESS = {"hang", "hang_after_headers", "hang_mid_body", "pad_for_ever"}
FAILING = [info for info in FAULTS.values() if info.fails]


@pytest.mark.parametrize("info", FAILING, ids=lambda info: info.name)
async def test_each_fault_ends_in_its_kind_of_error(bench: Bench, info: FaultInfo) -> None:
    """Every failing shape the simulator knows: retried exactly when that can help, never a completion."""
    timeout = 0.1 if info.name in ENDLESS else 5.0
    processor = bench.processor(max_retries=1, request_timeout_seconds=timeout, retry_after_cap_seconds=5.0)
    bench.simulator.script(*[f"{info.name}:retry_after=0" if "retry_after" in info.defaults
                             and info.name not in STOPPING else info.name] * 2)  # fmt: skip
    with pytest.raises(CallError) as failure:
        await processor.complete("rate this")
    error = failure.value
    assert "\n" not in str(error)
    if info.name in STOPPING:
        assert type(error) is CircuitOpenError
    elif info.kind is Kind.RETRYABLE:
        assert error.retryable
        assert not isinstance(error, LineStoppedError)
    elif info.name in ("redirect", "html_200"):
        assert "base_url" in str(error)
    else:
        assert isinstance(error, EXPECTED[info.kind])
    again = error.retryable or info.kind is Kind.TRUNCATED or info.name in OF_A_FIELD
    assert error.attempts == sent(bench) == (2 if again else 1)
    assert (processor.ready_in() > 0) == isinstance(error, LineStoppedError)


@pytest.mark.parametrize(
    "info",
    [info for info in FAULTS.values() if not info.fails and info.name != "slow"],
    ids=lambda info: info.name,
)
async def test_each_odd_reply_is_handed_on_as_it_is(bench: Bench, info: FaultInfo) -> None:
    """What came with text is an answer, whatever the parser will make of it; it is not asked for again."""
    bench.simulator.script(info.name)
    done = await bench.processor().complete("rate this")
    assert done.text.strip()
    done.text.encode()
    assert done.attempts == 1


async def test_passing_faults_are_retried_until_the_answer(bench: Bench) -> None:
    """Four different faults and then an answer: five attempts, the cost of all of them summed."""
    bench.simulator.script("bad_gateway_html", "content_empty", "reset_before_headers", "blank_body", "ok")
    processor = bench.processor(max_retries=4)
    done = await processor.complete("rate this")
    assert done.attempts == 5
    assert len(bench.time.pauses) == 4
    assert all(0 <= pause <= 2**number for number, pause in enumerate(bench.time.pauses))
    assert done.cost_usd == processor.statistics()["cost_usd"]
    plain = await processor.complete("rate this")
    assert plain.cost_usd is not None
    assert done.cost_usd > plain.cost_usd  # the empty content was billed too


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_max_retries_counts_further_attempts(bench: Bench, retries: int) -> None:
    """After them the last error stands, with the attempts and what they cost."""
    bench.simulator.script(*["content_empty"] * 10)
    with pytest.raises(NoCompletionError) as failure:
        await bench.processor(max_retries=retries).complete("rate this")
    assert failure.value.attempts == sent(bench) == retries + 1
    assert failure.value.cost_usd is not None
    assert failure.value.cost_usd > 0


async def test_an_unknown_cost_stays_unknown(bench: Bench) -> None:
    """No cost in the reply: None for the call, counted, and nothing added to the sum."""
    bench.simulator.script("usage_missing")
    processor = bench.processor()
    done = await processor.complete("rate this")
    assert (done.cost_usd, done.prompt_tokens) == (None, None)
    assert processor.statistics()["cost_unknown"] == 1
    assert processor.statistics()["cost_usd"] == Decimal(0)


async def test_a_cost_known_only_in_part_is_unknown(bench: Bench) -> None:
    """A billed failure and then an answer without a cost: None for the call, the known part in the sum."""
    bench.simulator.script("content_empty", "usage_missing")
    processor = bench.processor()
    assert (await processor.complete("rate this")).cost_usd is None
    assert processor.statistics()["cost_usd"] > 0


async def test_retry_after_freezes_the_limiter_for_everyone(bench: Bench) -> None:
    """One call is told to wait; another that starts afterwards waits too."""
    bench.simulator.script("rate_limited:retry_after=1")
    processor = bench.processor(max_retries=0)
    with pytest.raises(RateLimitedError) as failure:
        await processor.complete("one")
    assert failure.value.retry_after == 1
    await processor.complete("two")
    first, second = bench.simulator.requests
    assert second.arrived_at - first.arrived_at >= 0.99


async def test_a_wait_past_the_deadline_fails_at_once(bench: Bench) -> None:
    """No sitting out a Retry-After whose end comes too late."""
    bench.simulator.script("rate_limited:retry_after=2")
    with pytest.raises(DeadlineError, match="deadline") as failure:
        await bench.processor().complete("rate this", deadline=bench.time() + 1.5)
    assert failure.value.attempts == 1
    assert bench.time.pauses == []


async def test_a_deadline_that_has_passed_costs_nothing(bench: Bench) -> None:
    """No request is sent for a signal that is too old."""
    with pytest.raises(DeadlineError):
        await bench.processor().complete("rate this", deadline=bench.time() - 1)
    assert sent(bench) == 0


async def test_the_deadline_bounds_a_hanging_attempt_and_is_not_the_servers_fault(bench: Bench) -> None:
    """Keep-alive padding does not extend it, and the breaker does not count it."""
    bench.simulator.script("pad_for_ever")
    processor = bench.processor(breaker=CircuitBreaker(minimum_calls=1, clock=bench.time))
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        await processor.complete("rate this", deadline=bench.time() + 0.1)
    assert time.monotonic() - started < 1.5
    assert processor.stopped_reason() is None


async def test_no_room_in_the_rate_limit_before_the_deadline(bench: Bench) -> None:
    """A signal that would wait in line past its deadline gives up its place."""
    processor = bench.processor(requests_per_minute=1)
    await processor.complete("one")
    with pytest.raises(DeadlineError, match="rate limit"):
        await processor.complete("two", deadline=bench.time() + 0.05)
    assert processor.statistics()["limiter"]["waiting"] == 0
    assert sent(bench) == 1


async def test_a_long_retry_after_stops_the_line_with_one_message(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals wait for as long as the server asked, and the line recovers by itself."""
    bench.simulator.script("rate_limited_hour")
    processor = bench.processor()
    with caplog.at_level(logging.WARNING, LOGGER):
        for _ in range(5):
            with pytest.raises(CircuitOpenError, match="retry_after_cap_seconds"):
                await processor.complete("rate this")
        assert sent(bench) == 1
        assert processor.ready_in() == pytest.approx(3600, abs=5)
        bench.time.ahead += 3601
        assert processor.ready_in() == 0
        assert (await processor.complete("rate this")).text
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert processor.stopped_reason() is None


@pytest.mark.parametrize("fault", ["unknown_key", "no_credits", "key_limit", "key_error_in_200"])
async def test_a_refused_key_stops_the_line_for_all_calls(
    bench: Bench, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Many signals, one refusal each at most for those in flight, one message, a probe each minute."""
    bench.simulator.script(*[fault] * 3)
    processor = bench.processor()
    with caplog.at_level(logging.WARNING, LOGGER):
        results = [await asyncio.gather(processor.complete("x"), return_exceptions=True) for _ in range(20)]
        assert all(isinstance(result[0], KeyRefusedError) for result in results)
        assert sent(bench) == 1
        for wait in (60, 120):
            assert processor.ready_in() == pytest.approx(wait, abs=2)
            bench.time.ahead += wait
            with pytest.raises(KeyRefusedError):
                await processor.complete("x")
        assert len(caplog.records) == 1
        bench.time.ahead += 240
        assert (await processor.complete("x")).text
    assert len(caplog.records) == 2
    assert (sent(bench), processor.ready_in()) == (4, 0)


async def test_calls_in_flight_when_the_key_is_refused_make_one_message(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Eight refusals at once are one state change."""
    processor = bench.processor(key="sk-or-v1-wrong")
    with caplog.at_level(logging.WARNING, LOGGER):
        results = await asyncio.gather(*(processor.complete("x") for _ in range(8)), return_exceptions=True)
    assert {type(result) for result in results} == {KeyRefusedError}
    assert len(caplog.records) == 1


async def test_a_retired_model_gives_one_message_with_the_settings(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The default of old files: not one failure per signal, and the text says what to change."""
    processor = bench.processor(model=f"openrouter/{RETIRED}")
    with caplog.at_level(logging.WARNING, LOGGER):
        for _ in range(10):
            with pytest.raises(ModelUnavailableError) as failure:
                await processor.complete("x")
    assert sent(bench) == 1
    assert len(caplog.records) == 1
    for part in (RETIRED, "`llm.model`", "`llm.fallback_models`"):
        assert part in str(failure.value)
        assert part in caplog.text


async def test_fallback_models_take_over_with_one_warning(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The retired primary is asked once; the first fallback that lives answers from then on."""
    processor = bench.processor(
        model=RETIRED, fallback_models=["nobody/knows-this", "google/gemini-2.5-flash"], max_retries=0
    )
    with caplog.at_level(logging.WARNING, LOGGER):
        first, second = await processor.complete("x"), await processor.complete("x")
    for done in (first, second):
        assert (done.model_requested, done.model_sent) == (RETIRED, "google/gemini-2.5-flash")
        assert done.model_served == "simulated/google/gemini-2.5-flash"
    assert (first.attempts, second.attempts) == (3, 1)
    assert [RETIRED in caplog.records[0].message, len(caplog.records)] == [True, 2]
    assert processor.statistics()["model"] == "google/gemini-2.5-flash"
    assert processor.statistics()["fallbacks"] == 2


async def test_many_calls_at_once_fall_back_together(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Calls that met the retired model together all end at the fallback, with one message."""
    processor = bench.processor(model=RETIRED, fallback_models=["google/gemini-2.5-flash"])
    with caplog.at_level(logging.WARNING, LOGGER):
        done = await asyncio.gather(*(processor.complete("x") for _ in range(8)))
    assert {each.model_sent for each in done} == {"google/gemini-2.5-flash"}
    assert len(caplog.records) == 1


async def test_a_model_that_comes_back_is_used_without_a_restart(bench: Bench) -> None:
    """All models gone, then one is back: the probe starts at the first again."""
    bench.simulator.script("model_retired", "model_retired")
    processor = bench.processor(fallback_models=["google/gemini-2.5-flash"])
    with pytest.raises(ModelUnavailableError):
        await processor.complete("x")
    bench.time.ahead += 60
    assert (await processor.complete("x")).model_sent == processor.config.model


async def test_a_reply_used_up_by_reasoning_gets_one_try_with_twice_the_room(bench: Bench) -> None:
    """The second request asks for double max_tokens; if that answers, fine."""
    bench.simulator.script("length_without_text")
    processor = bench.processor(max_tokens=500, max_retries=0)
    done = await processor.complete("x")
    assert done.attempts == 2
    asked = [request.body["max_tokens"] for request in bench.simulator.requests if request.body]
    assert asked == [500, 1000]


async def test_at_the_upper_end_of_max_tokens_there_is_no_second_try(bench: Bench) -> None:
    """No more room to give: truncated at once."""
    bench.simulator.script("length_without_text")
    with pytest.raises(TruncatedError):
        await bench.processor(max_tokens=65_536).complete("x")
    assert sent(bench) == 1


async def test_an_outage_opens_the_circuit_once_and_one_probe_closes_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Bounded work and two messages for an outage, however many signals come; recovery by itself."""
    bench.simulator.script(*["bad_gateway"] * 40)
    processor = bench.processor(max_retries=1)
    with caplog.at_level(logging.WARNING, LOGGER):
        outage = [processor.complete("x") for _ in range(30)]
        results = await asyncio.gather(*outage, return_exceptions=True)
        assert {type(result) for result in results} == {CircuitOpenError}
        before = sent(bench)
        later = [processor.complete("x") for _ in range(30)]
        results = await asyncio.gather(*later, return_exceptions=True)
        assert {type(result) for result in results} == {CircuitOpenError}
        assert sent(bench) == before
        bench.time.ahead += processor.ready_in()
        await asyncio.gather(*(processor.complete("x") for _ in range(30)), return_exceptions=True)
        assert sent(bench) == before + 1  # the probe alone
        bench.simulator.clear_script()
        bench.time.ahead += processor.ready_in()
        assert (await processor.complete("x")).text
    assert len(caplog.records) == 2
    assert processor.statistics()["state"] == "closed"


async def test_a_cancelled_probe_leaves_the_line_ready(bench: Bench) -> None:
    """Cancellation during half-open neither closes nor reopens, and loses no permit."""
    bench.simulator.script("unknown_key", "hang")
    processor = bench.processor()
    with pytest.raises(KeyRefusedError):
        await processor.complete("x")
    bench.time.ahead += 60
    probe = asyncio.create_task(processor.complete("x"))
    await bench.simulator.wait_for_requests(2)
    assert processor.ready_in() > 0
    probe.cancel()
    await asyncio.wait([probe])
    assert processor.ready_in() == 0
    assert (await processor.complete("x")).text


async def test_one_prompt_that_is_refused_does_not_touch_the_line(bench: Bench) -> None:
    """Filtered and rejected prompts are the signal's own end, any number of them."""
    bench.simulator.script(*["moderation", "bad_request"] * 10)
    processor = bench.processor()
    for _ in range(20):
        with pytest.raises((ContentFilteredError, RequestRejectedError)):
            await processor.complete("x")
    assert processor.stopped_reason() is None
    assert sent(bench) == 20


async def test_actual_tokens_replace_the_estimate(bench: Bench) -> None:
    """The limiter holds what the reply reported, not what was reserved; a refusal took no tokens."""
    processor = bench.processor()
    done = await processor.complete("x" * 300)
    used = processor.statistics()["limiter"]["tokens"]
    assert used == (done.prompt_tokens or 0) + (done.completion_tokens or 0)
    bench.simulator.script("bad_request")
    with pytest.raises(RequestRejectedError):
        await processor.complete("x" * 300)
    assert processor.statistics()["limiter"]["tokens"] == used
    assert processor.statistics()["limiter"]["requests"] == 2


async def test_retries_take_permits_of_their_own(bench: Bench) -> None:
    """Three attempts are three requests of the minute."""
    bench.simulator.script("server_error", "server_error")
    processor = bench.processor()
    await processor.complete("x")
    assert processor.statistics()["limiter"]["requests"] == 3
    assert processor.statistics()["retries"] == 2


async def test_a_request_that_could_never_be_sent_is_refused_at_once(bench: Bench) -> None:
    """More tokens than a minute has."""
    with pytest.raises(OversizeRequestError):
        await bench.processor(tokens_per_minute=2_100).complete("x" * 400)
    assert sent(bench) == 0


async def test_the_server_sees_no_window_over_the_limit(bench: Bench) -> None:
    """Counted at the server's side, with slow and failing calls in between."""
    window, limit = 0.4, 5  # the guard is large because the server shares this loop and may be late
    core = RateLimiter(limit, 10_000_000, window=window, guard=0.2)
    bench.simulator.script(*["ok", "server_error", "ok", "slow_drip", "reset_mid_body", "content_empty"] * 2)
    processor = LLMProcessor(
        LLMConfig(base_url=bench.simulator.base_url),
        api_key=SecretStr(SIMULATED_KEY),
        limiter=AsyncRateLimiter(core),
        breaker=CircuitBreaker(minimum_calls=1_000),
        sleep=bench.time.sleep,
    )
    await asyncio.gather(*(processor.complete("x") for _ in range(12)))
    await processor.close()
    times = sorted(request.arrived_at for request in bench.simulator.requests)
    assert len(times) > 12
    assert all(later - earlier >= window for earlier, later in zip(times, times[limit:], strict=False))


async def test_close_ends_calls_in_flight_as_unsent_and_returns_quickly(bench: Bench) -> None:
    """A call that hangs ends with an error that leaves its signal pending; later calls are refused."""
    bench.simulator.script("hang")
    processor = bench.processor()
    call = asyncio.create_task(processor.complete("x"))
    await bench.simulator.wait_for_requests(1)
    started = time.monotonic()
    await processor.close()
    with pytest.raises(LineStoppedError, match="closed"):
        await call
    with pytest.raises(LineStoppedError, match="closed"):
        await processor.complete("y")
    assert time.monotonic() - started < 1.0


async def test_statistics_count_what_happened(bench: Bench) -> None:
    """Requests, retries, failures by class, tokens and money."""
    bench.simulator.script("server_error", "ok", "moderation")
    processor = bench.processor()
    done = await processor.complete("x")
    with pytest.raises(ContentFilteredError):
        await processor.complete("x")
    statistics = processor.statistics()
    counted = ("requests", "retries", "completed", "failed", "prompt_tokens")
    assert [statistics[name] for name in counted] == [3, 1, 1, 1, done.prompt_tokens]
    assert statistics["failures"] == {"ServerError": 1, "ContentFilteredError": 1}
    assert statistics["state"] == "closed"


@pytest.mark.parametrize(
    ("build", "leaf"),
    [(lambda: "hang_mid_body", CallTimeoutError), (lambda: "error_in_200", ServerError)],
)
async def test_the_last_error_of_several_is_the_one_raised(
    bench: Bench, build: Callable[[], str], leaf: type[CallError]
) -> None:
    """First an empty body, then another fault: the error tells of the last attempt."""
    bench.simulator.script("empty_body", build())
    with pytest.raises(leaf) as failure:
        await bench.processor(max_retries=1, request_timeout_seconds=0.2).complete("x")
    assert failure.value.attempts == 2


async def test_a_request_is_judged_by_the_bound_it_was_sent_under(bench: Bench) -> None:
    """A longer bound that is set while it waits does not turn its timeout into a deadline of its signal."""
    bench.simulator.script("hang")
    processor = bench.processor(max_retries=0, request_timeout_seconds=0.2)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        call = group.create_task(judged(processor))
        while not sent(bench):  # noqa: ASYNC110  a counter has no event
            await asyncio.sleep(0)
        processor.config.request_timeout_seconds = 10.0
    assert isinstance(call.result(), CallTimeoutError)


async def judged(processor: LLMProcessor) -> CallError | None:
    try:
        await processor.complete("x")
    except CallError as error:
        return error
    return None


async def test_a_refused_connection_is_retried_and_costs_no_permit(unused_tcp_port: int) -> None:
    """Nothing was sent, so nothing of the minute is used up."""
    pauses = Time()
    processor = LLMProcessor(
        LLMConfig(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1", max_retries=2),
        api_key=SecretStr(SIMULATED_KEY),
        sleep=pauses.sleep,
    )
    with pytest.raises(CircuitOpenError, match="Cannot connect") as failure:
        await processor.complete("x")
    assert failure.value.attempts == 3
    assert processor.statistics()["limiter"]["requests"] == 0
    await processor.close()
