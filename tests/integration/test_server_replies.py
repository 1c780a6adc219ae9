"""What real servers send, each sent by a real server through LLMProcessor: ``tests/data/server_replies``."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from llm_integration import errors
from llm_integration.circuit_breaker import CircuitBreaker
from llm_integration.config import LLMConfig
from llm_integration.errors import (
    CallError,
    CircuitOpenError,
    ContentFilteredError,
    KeyRefusedError,
    LineStoppedError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.llm_processor import Completion, LLMProcessor
from llm_integration.reply_schema import SINGLE_SCHEMA
from llm_integration.response_parser import LLMResponseParser
from llm_integration.routing import CallPlan
from tests.integration.test_llm_processor import Time

DATA = Path(__file__).resolve().parent.parent / "data" / "server_replies"
KEY = "sk-or-v1-MARKERMARKERMARKER"
ANSWER = '{"rating": 4, "choppiness": "no", "analysis": "Trend is up.", "recommendations": "Take it."}'
GOOD = {
    "id": "c1",
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
Case = dict[str, Any]


def cases(kind: str) -> list[Any]:
    """The cases of ``tests/data/server_replies/KIND.json``, named by their servers."""
    return [
        pytest.param(case, id=case["server"].replace(" ", "-"))
        for case in json.loads((DATA / f"{kind}.json").read_text(encoding="utf-8"))
    ]


class Bench:
    """A server that answers as ``case`` says, and processors that ask it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack, self.time = stack, Time()
        self.case: Case = {}
        self.url = ""
        self.bodies: list[dict[str, Any]] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if body["model"] == "good" or not self._refuses(body):
            return self._streamed() if body.get("stream") is True else web.json_response(GOOD)
        text = self.case.get("text")
        text = json.dumps(self.case["body"]) if text is None else text
        headers = {"Content-Type": "application/json", **self.case.get("headers", {})}
        return web.Response(status=self.case["status"], body=text.encode(), headers=headers)

    def _streamed(self) -> web.Response:
        delta = {"choices": [{"index": 0, "delta": {"content": ANSWER}, "finish_reason": "stop"}]}
        text = f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n"
        return web.Response(text=text, content_type="text/event-stream")

    def _refuses(self, body: dict[str, Any]) -> bool:
        refused = self.case.get("refuses")
        return refused is None or any(has(body, each) for each in refused)

    def processor(self, folder: Path | None = None, **settings: Any) -> LLMProcessor:
        defaults: dict[str, Any] = {
            "base_url": self.url, "model": "m", "max_retries": 0, "requests_per_minute": 10_000,
        }  # fmt: skip
        built = LLMProcessor(
            LLMConfig(**(defaults | settings)),
            api_key=SecretStr(KEY),
            breaker=CircuitBreaker(clock=self.time),
            dialect_folder=folder,
            clock=self.time,
            sleep=self.time.sleep,
            rng=random.Random(1),
        )
        self.stack.push_async_callback(built.close)
        return built


def has(body: dict[str, Any], refused: str) -> bool:
    """Whether a request has what a server of the case refuses."""
    name, _, value = refused.partition(":")
    if name == "system":
        return any(message["role"] == "system" for message in body["messages"])
    if name == "effort":
        return bool(body.get("reasoning", {}).get("effort") == value)
    if name in ("json_object", "json_schema"):
        return bool(body.get("response_format", {}).get("type") == name)
    if name.startswith("max_tokens>"):
        return bool(body.get("max_tokens", 0) > int(name.partition(">")[2]))
    if value:
        return json.dumps(body.get(name)) == value
    return name in body


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        bench = Bench(stack)
        app = web.Application()
        app.router.add_post("/{tail:.*}", bench.serve)
        server = await stack.enter_async_context(TestServer(app))
        bench.url = str(server.make_url("/v1"))
        yield bench


async def ask(processor: LLMProcessor, **options: Any) -> Completion:
    return await processor.complete("rate this", system="be brief", **options)


async def failure_of(processor: LLMProcessor) -> CallError:
    with pytest.raises(CallError) as failure:
        await ask(processor)
    return failure.value


def rated(completion: Completion) -> int | None:
    return LLMResponseParser().parse(completion.text).rating


async def stops(bench: Bench, processor: LLMProcessor) -> LineStoppedError:
    """The error of the first call, after which nothing more is sent."""
    error = await failure_of(processor)
    assert isinstance(error, LineStoppedError)
    sent = len(bench.bodies)
    again = await failure_of(processor)
    assert isinstance(again, LineStoppedError)
    assert (len(bench.bodies), again.attempts) == (sent, 0)
    return error


@pytest.mark.parametrize("case", cases("model_gone"))
async def test_a_model_that_is_gone_is_replaced_at_once_with_one_message(
    bench: Bench, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    """The fallback answers the same call, the next one goes to it alone, and one line tells."""
    bench.case = case
    processor = bench.processor(fallback_models=["good"])
    with caplog.at_level(logging.WARNING):
        first, second = await ask(processor), await ask(processor)
    assert (first.model_sent, second.model_sent, rated(first)) == ("good", "good", 4)
    assert [body["model"] for body in bench.bodies] == ["m", "good", "good"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "model m is down and good is asked instead" in caplog.text


@pytest.mark.parametrize("case", cases("key"))
async def test_a_refused_key_stops_the_line_and_its_body_is_shown_nowhere(
    bench: Bench, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    """One message that names the variable; signals wait, fallbacks are not asked, nothing is quoted."""
    bench.case = case
    processor = bench.processor(fallback_models=["good"])
    with caplog.at_level(logging.DEBUG, "llm_integration"):
        error = await stops(bench, processor)
    assert isinstance(error, KeyRefusedError)
    assert "OPENROUTER_API_KEY" in str(error)
    assert [body["model"] for body in bench.bodies] == ["m"]
    said = json.dumps(case.get("body", case.get("text")))
    for word in (word for word in said.replace('"', " ").split() if len(word) > 12 and "_" not in word):
        assert word not in caplog.text + str(error)


@pytest.mark.parametrize("case", cases("credit"))
async def test_spent_credit_stops_the_line(bench: Bench, case: Case) -> None:
    """Signals wait; the message says what is spent."""
    bench.case = case
    error = await stops(bench, bench.processor(fallback_models=["good"]))
    assert isinstance(error, KeyRefusedError)
    assert "credit" in str(error)


@pytest.mark.parametrize("case", cases("rate"))
async def test_a_rate_limit_is_waited_for_as_long_as_the_server_names(bench: Bench, case: Case) -> None:
    """In a header or in the body, in any unit; without a word about it the usual pauses do."""
    bench.case = case
    processor = bench.processor(retry_after_cap_seconds=200)
    error = await failure_of(processor)
    assert type(error) is RateLimitedError
    assert error.retry_after == pytest.approx(case["wait"]) if case["wait"] else error.retry_after is None
    room, wait = processor.room()
    assert wait == pytest.approx(case["wait"] or 0, abs=2)
    assert (room == 0) is (case["wait"] is not None)


@pytest.mark.parametrize("case", cases("day_quota"))
async def test_a_quota_of_the_day_stops_for_long(bench: Bench, case: Case) -> None:
    """Until the moment that is named, else an hour or midnight; a wait of seconds is not believed."""
    bench.case = case
    error = await failure_of(bench.processor(retry_after_cap_seconds=120))
    assert isinstance(error, CircuitOpenError)
    assert error.retry_after is not None
    if "wait" in case:
        assert error.retry_after == pytest.approx(case["wait"], abs=1)
    else:
        assert 0 < error.retry_after <= 86_400


@pytest.mark.parametrize("case", cases("too_long"))
async def test_a_prompt_that_is_too_long_names_the_settings(bench: Bench, case: Case) -> None:
    """It concerns this signal: the next may be shorter, so the line goes on."""
    bench.case = case
    processor = bench.processor()
    error = await failure_of(processor)
    assert type(error) is RequestRejectedError
    assert "lookback_periods" in str(error)
    assert (len(bench.bodies), processor.ready_in()) == (1, 0)


@pytest.mark.parametrize("case", cases("filtered"))
async def test_a_filtered_prompt_is_final_for_its_signal(bench: Bench, case: Case) -> None:
    """No retry, no fallback, and the line goes on."""
    bench.case = case
    processor = bench.processor(fallback_models=["good"], max_retries=3)
    assert type(await failure_of(processor)) is ContentFilteredError
    assert (len(bench.bodies), processor.ready_in()) == (1, 0)


@pytest.mark.parametrize("case", cases("wrong_path"))
async def test_a_wrong_path_stops_the_line_and_names_base_url(bench: Bench, case: Case) -> None:
    """Whatever the status says, no signal is wasted on an address that answers nothing."""
    bench.case = case
    error = await stops(bench, bench.processor(fallback_models=["good"]))
    assert "base_url" in str(error)
    assert [body["model"] for body in bench.bodies] == ["m"]


@pytest.mark.parametrize("case", cases("loading"))
async def test_a_model_that_is_loading_or_overloaded_is_tried_again(bench: Bench, case: Case) -> None:
    """Retryable, the model's own, so that a fallback answers meanwhile."""
    bench.case = case
    error = await failure_of(bench.processor())
    assert type(error) is ServerError
    assert error.retry_after == case.get("wait")
    assert (await ask(bench.processor(fallback_models=["good"]))).model_sent == "good"


@pytest.mark.parametrize("case", cases("rejected"))
async def test_equal_rejections_that_nothing_cures_stop_the_model(
    bench: Bench, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    """The first two fail their signals, then signals wait, with one message; a probe finds its end."""
    bench.case = case
    processor = bench.processor()
    with caplog.at_level(logging.WARNING):
        found = [type(await failure_of(processor)) for _ in range(2)]
        assert found == [RequestRejectedError] * 2
        assert isinstance(await failure_of(processor), LineStoppedError)
        for _ in range(3):
            assert isinstance(await failure_of(processor), LineStoppedError)
        assert len(bench.bodies) == 3
        bench.time.ahead += 61
        assert isinstance(await failure_of(processor), LineStoppedError)  # the probe
        assert len(bench.bodies) == 4
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "rejects every request" in caplog.text
        bench.case = case | {"refuses": ["nothing"]}
        bench.time.ahead += 121
        assert rated(await ask(processor)) == 4
    assert processor.ready_in() == 0


async def test_different_rejections_and_answers_in_between_stop_nothing(bench: Bench) -> None:
    """Only the same reason in a row tells that the next signal fares no better."""
    processor = bench.processor()
    for number in range(12):
        if number % 3 == 2:
            bench.case = {"status": 400, "body": {"error": "x"}, "refuses": ["nothing"]}
            await ask(processor)
        else:
            word = "odd" if number % 2 else "even"
            bench.case = {"status": 400, "body": {"error": {"message": f"an {word} prompt {number}"}}}
            assert type(await failure_of(processor)) is RequestRejectedError


async def test_a_rejected_batch_is_taken_apart_and_counts_for_nothing(bench: Bench) -> None:
    """What is too much for many signals may be right for one."""
    bench.case = {"status": 400, "body": {"error": {"message": "no"}}}
    processor = bench.processor()
    for _ in range(5):
        with pytest.raises(RequestRejectedError):
            await ask(processor, symbols={"ES": 3})
    assert processor.ready_in() == 0


# Fields that are refused


@pytest.mark.parametrize("case", cases("refused_fields"))
async def test_a_refused_field_is_left_out_or_renamed_at_once_and_remembered(
    bench: Bench, case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is answered, no failure or retry is counted, the next one and the next start know it."""
    bench.case = case
    settings = {name: case[name] for name in ("reasoning_effort", "response_format") if name in case}
    plan = CallPlan("m", response_schema=SINGLE_SCHEMA)
    processor = bench.processor(tmp_path, **settings)
    with caplog.at_level(logging.WARNING):
        first = await ask(processor, plan=plan)
    assert rated(first) == 4
    assert first.attempts == 2
    assert all(any(warns in line for line in first.warnings) for warns in case["warns"])
    assert len(caplog.records) == len(first.warnings) - first.warnings.count("the reply came as a stream")
    second = await ask(processor, plan=plan)
    assert (second.attempts, second.warnings) == (1, first.warnings)
    statistics = processor.statistics()
    assert (statistics["failures"], statistics["retries"], bench.time.pauses) == ({}, 0, [])
    assert statistics["models"]["m"]["failures"] == 0
    assert "be brief" in json.dumps(bench.bodies[-1]["messages"])
    await processor.close()
    third = await ask(bench.processor(tmp_path, **settings), plan=plan)
    assert (third.attempts, third.warnings) == (1, first.warnings)


async def test_many_requests_refused_alike_learn_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Eight in flight are all asked again and answered; one line tells."""
    bench.case = {"status": 400, "body": {"error": {"message": "property 'reasoning' is unsupported"}},
                  "refuses": ["reasoning"]}  # fmt: skip
    processor = bench.processor()
    with caplog.at_level(logging.WARNING):
        done = await asyncio.gather(*(ask(processor) for _ in range(8)))
    assert {rated(each) for each in done} == {4}
    assert len(caplog.records) == 1
    assert sum("reasoning" in body for body in bench.bodies) <= 8


async def test_one_field_after_the_other_is_learnt_in_one_call(bench: Bench) -> None:
    """A server that names one field at a time is understood within a single call."""
    told = iter(["response_format", "reasoning", "temperature", "stream"])
    names = list(told)

    async def serve(request: web.Request) -> web.Response:
        body = await request.json()
        bench.bodies.append(body)
        for name in names:
            if name in body:
                text = f"Unrecognized request argument supplied: {name}"
                return web.json_response({"error": {"message": text}}, status=400)
        return web.json_response(GOOD)

    app = web.Application()
    app.router.add_post("/{tail:.*}", serve)
    server = await bench.stack.enter_async_context(TestServer(app))
    bench.url = str(server.make_url("/v1"))
    done = await ask(bench.processor())
    assert (done.attempts, len(done.warnings)) == (5, 4)


async def test_a_server_that_refuses_whatever_is_sent_is_left_in_bounds(bench: Bench) -> None:
    """So many tries in one call, and no endless loop; then it is a rejected request."""
    text = "unknown parameters: response_format, reasoning, temperature, stream, max_tokens, system role"
    bench.case = {"status": 400, "body": {"error": {"message": text}}}
    error = await failure_of(bench.processor())
    assert type(error) is RequestRejectedError
    assert error.attempts <= 7


@pytest.mark.parametrize(("budgets", "dropped"), [([{"per": "day", "usd": 1}], False), ([], True)])
async def test_the_bound_of_a_reply_is_left_out_only_where_no_budget_holds(
    bench: Bench, budgets: list[dict[str, Any]], dropped: bool
) -> None:
    """It is renamed first; refused under both names it goes, or the request is rejected."""

    async def serve(request: web.Request) -> web.Response:
        body = await request.json()
        bench.bodies.append(body)
        for name in ("max_tokens", "max_completion_tokens"):
            if name in body:
                text = {"message": f"Unknown parameter: {name}", "code": "unknown_parameter", "param": name}
                return web.json_response({"error": text}, status=400)
        return web.json_response(GOOD)

    app = web.Application()
    app.router.add_post("/{tail:.*}", serve)
    server = await bench.stack.enter_async_context(TestServer(app))
    bench.url = str(server.make_url("/v1"))
    processor = bench.processor(budgets=budgets)
    if dropped:
        assert rated(await ask(processor)) == 4
    else:
        assert type(await failure_of(processor)) is RequestRejectedError
    limits = [sorted({"max_tokens", "max_completion_tokens"} & body.keys()) for body in bench.bodies]
    assert limits == [["max_tokens"], ["max_completion_tokens"], []][: 3 if dropped else 2]


# Replies that were paid for


@pytest.mark.parametrize("case", cases("good_beside_odd"))
async def test_a_good_reply_is_read_whatever_stands_beside_it(bench: Bench, case: Case) -> None:
    """One request, the rating, and what was odd as a warning."""
    bench.case = case
    done = await ask(bench.processor())
    assert (rated(done), done.attempts) == (4, 1)
    assert len(done.warnings) == len(case["warns"])
    assert all(any(warns in line for line in done.warnings) for warns in case["warns"])


@pytest.mark.parametrize("case", cases("streams"))
async def test_a_stream_nobody_asked_for_is_read(bench: Bench, case: Case) -> None:
    """Put together into one reply; an error in it is one, and a stream without an end was cut."""
    bench.case = case
    processor = bench.processor()
    if "fails" in case:
        assert type(await failure_of(processor)) is getattr(errors, case["fails"])
        return
    done = await ask(processor)
    assert (done.text, done.finish_reason) == (ANSWER, case["finish"])
    if "tokens" in case:
        assert (done.prompt_tokens, done.completion_tokens) == (10, 5)
    assert all(any(warns in line for line in done.warnings) for warns in case.get("warns", []))


def test_every_kind_has_the_shared_cases_and_five_more() -> None:
    """What is tested is what people sent, and more of it."""
    for file in DATA.glob("*.json"):
        known = json.loads(file.read_text(encoding="utf-8"))
        assert len(known) >= 6, file.name
        assert len({case["server"] for case in known}) == len(known), file.name
