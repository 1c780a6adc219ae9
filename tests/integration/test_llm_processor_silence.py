"""LLMProcessor and a server that accepts requests and says nothing: whose fault it is, and what counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from llm_integration.config import LLMConfig
from llm_integration.errors import CallError, CallTimeoutError, CircuitOpenError, DeadlineError
from llm_integration.llm_processor import CallPlan, Completion, LLMProcessor
from tests.chaos.llm_parts import completion_body, serving, wait_until
from tests.integration.test_llm_processor import LOGGER, Time

DUMB, OTHER, THIRD = "a/dumb", "b/other", "c/third"
LIMIT = LLMConfig().request_timeout_seconds


class Server:
    """Answers at once, but for the models in ``silent``, which get nothing, or only a head with ``heads``."""

    def __init__(self) -> None:
        self.silent = {DUMB}
        self.heads = False
        self.asked: list[str] = []
        self.silenced = 0
        self.over = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        model = (await request.json())["model"]
        self.asked.append(model)
        if model not in self.silent:
            return web.Response(body=completion_body('{"rating": 3}'), content_type="application/json")
        response = web.StreamResponse()
        if self.heads:
            await response.prepare(request)
        self.silenced += 1
        await self.over.wait()
        return response


class Bench:
    """One server, and processors with a clock that can be moved on."""

    def __init__(self, server: Server, url: str, stack: AsyncExitStack) -> None:
        self.server, self.url, self.time, self._stack = server, url, Time(), stack

    def processor(self, **settings: Any) -> LLMProcessor:
        config = LLMConfig(**{
            "base_url": self.url, "model": DUMB, "requests_per_minute": 10_000, "max_retries": 0,
            "max_concurrency": 64, **settings,
        })  # fmt: skip
        built = LLMProcessor(config, api_key=SecretStr("k"), clock=self.time, sleep=self.time.sleep)
        self._stack.push_async_callback(built.close)
        return built

    async def ask(
        self, processor: LLMProcessor, times: int, *plans: CallPlan, within: float | None = None
    ) -> list[Completion | CallError]:
        """What became of so many calls at once, of each plan in turn.

        Once all that are left are met with silence, their time is over.
        """
        deadline = None if within is None else self.time() + within
        begun = self.server.silenced
        calls = [
            asyncio.create_task(outcome(processor, plan, deadline))
            for _ in range(times)
            for plan in plans or (None,)
        ]
        await wait_until(
            lambda: sum(call.done() for call in calls) + self.server.silenced - begun == len(calls)
        )
        for _ in range(20):  # what the server has written by now is read
            await asyncio.sleep(0)
        if not all(call.done() for call in calls):
            self.time.ahead += LIMIT if within is None else within
        return await asyncio.gather(*calls)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        server = Server()
        host, port = await stack.enter_async_context(serving(server.handle))
        stack.callback(server.over.set)
        built = Bench(server, f"http://{host}:{port}/v1", stack)
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + built.time.ahead)  # bounds go by it as well
        yield built


async def outcome(
    processor: LLMProcessor, plan: CallPlan | None, deadline: float | None
) -> Completion | CallError:
    """The reply to a call, or its error."""
    try:
        return await processor.complete("x", plan=plan, deadline=deadline)
    except CallError as error:
        return error


def states(processor: LLMProcessor) -> tuple[str, dict[str, str]]:
    """The line's, and each model's."""
    models = processor.statistics()["models"]
    return processor._line.state, {name: row["state"] for name, row in models.items()}


async def test_silence_of_every_model_stops_the_line_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Three routes, nobody answered: one line, no model is blamed, and one probe brings all back."""
    bench.server.silent = {DUMB, OTHER, THIRD}
    processor = bench.processor()
    plans = [CallPlan(name) for name in (DUMB, OTHER, THIRD)]
    with caplog.at_level(logging.WARNING, LOGGER):
        results = await bench.ask(processor, 3, *plans)
        assert {type(result) for result in results} <= {CallTimeoutError, CircuitOpenError}
        assert states(processor) == ("open", dict.fromkeys((DUMB, OTHER, THIRD), "closed"))
        assert "no complete reply within 60 s" in (processor.stopped_reason(plans[1]) or "")
        asked = len(bench.server.asked)
        assert {type(result) for result in await bench.ask(processor, 2, *plans)} == {CircuitOpenError}
        assert len(bench.server.asked) == asked
        bench.server.silent.clear()
        bench.time.ahead += 11
        assert isinstance((await bench.ask(processor, 1))[0], Completion)
        assert all(isinstance(result, Completion) for result in await bench.ask(processor, 1, *plans))
    said = [record.getMessage() for record in caplog.records]
    assert ["no requests for now" in line for line in said] == [True, False]
    assert "again" in said[1]


async def test_a_silent_model_beside_one_that_answers_goes_down_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody was answered meanwhile, so the server is there and the other route goes on."""
    processor = bench.processor()
    alone = CallPlan(DUMB), CallPlan(OTHER)
    with caplog.at_level(logging.WARNING, LOGGER):
        await bench.ask(processor, 6, *alone)
        assert states(processor) == ("closed", {DUMB: "open", OTHER: "closed"})
        assert isinstance((await bench.ask(processor, 1, alone[1]))[0], Completion)
    assert len(caplog.records) == 1
    assert f"model {DUMB} is down" in caplog.records[0].getMessage()


async def test_a_silent_model_is_left_for_its_fallback_and_then_not_asked(bench: Bench) -> None:
    """Each call is answered by the fallback; after five the silent model is passed over."""
    processor = bench.processor(fallback_models=[OTHER])
    results = await bench.ask(processor, 8)
    assert all(isinstance(result, Completion) for result in results)
    assert states(processor) == ("closed", {DUMB: "open", OTHER: "closed"})
    bench.server.asked.clear()
    await bench.ask(processor, 4)
    assert set(bench.server.asked) == {OTHER}


async def test_silence_until_the_deadline_counts_when_it_was_long(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals that live shorter than a request find a silent server out as well."""
    processor = bench.processor()
    with caplog.at_level(logging.WARNING, LOGGER):
        results = await bench.ask(processor, 5, within=30)
    assert {type(result) for result in results} == {DeadlineError}
    assert states(processor) == ("open", {DUMB: "closed"})
    assert len(caplog.records) == 1
    assert "the deadline came before the reply, after 30 s" in caplog.records[0].getMessage()


async def test_silence_until_the_deadline_blames_the_model_when_others_can_tell(bench: Bench) -> None:
    """The fallback, for which these signals had no time left, is asked about the next ones."""
    processor = bench.processor(fallback_models=[OTHER])
    results = await bench.ask(processor, 5, within=30)
    assert {str(result) for result in results} == {"the deadline came before the reply, after 30 s"}
    assert bench.server.asked == [DUMB] * 5
    assert states(processor) == ("closed", {DUMB: "open", OTHER: "closed"})
    assert isinstance((await bench.ask(processor, 1, within=30))[0], Completion)


async def test_a_short_silence_a_begun_reply_and_a_cancelled_call_count_for_nothing(bench: Bench) -> None:
    """None of them says that the server is away, however many there are."""
    processor = bench.processor()
    await bench.ask(processor, 12, within=9)
    bench.server.heads = True
    await bench.ask(processor, 12, within=30)
    bench.server.heads = False
    bench.server.asked.clear()
    calls = [asyncio.create_task(processor.complete("x")) for _ in range(8)]
    await wait_until(lambda: len(bench.server.asked) == 8)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert states(processor) == ("closed", {DUMB: "closed"})
    assert processor.statistics()["models"][DUMB]["failures"] == 0


async def test_a_model_that_was_down_already_stays_the_one_to_blame(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """One that begins replies and never ends them, and then is silent, is one outage with one line."""
    processor = bench.processor()
    bench.server.heads = True
    with caplog.at_level(logging.WARNING, LOGGER):
        await bench.ask(processor, 5)
        bench.server.heads = False
        for wait in (10, 20, 40, 80, 160, 300):
            bench.time.ahead += wait + 1
            await bench.ask(processor, 1)
            assert states(processor) == ("closed", {DUMB: "open"})
    assert len(caplog.records) == 1


async def test_a_silent_probe_that_its_deadline_ends_closes_nothing(bench: Bench) -> None:
    """The model is to blame, but nobody has been answered yet."""
    processor = bench.processor(fallback_models=[OTHER])
    entry = processor._line.enter()
    assert entry is not None
    processor._line.stop(entry, CircuitOpenError, "the server asked to wait")
    bench.time.ahead += 61
    assert isinstance((await bench.ask(processor, 1, within=30))[0], DeadlineError)
    assert states(processor)[0] == "half_open"
    assert processor.statistics()["models"][DUMB]["failures"] == 1
