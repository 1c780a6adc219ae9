"""One reply with numbers that cannot be true costs no more than one request, and its result says so."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from llm_integration import LLMConfig, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.budget import Budget, MemoryLedger
from llm_integration.domain import LLMAnalysis
from tests.unit.budget_parts import Prices, WallClock
from tests.unit.worker_parts import GOOD_REPLY, signal_mapping

LINES = (Path(__file__).parent.parent / "data" / "untrusted_usage.jsonl").read_text("utf-8").splitlines()
CASES = [pytest.param(case, id=case["what"]) for case in map(json.loads, LINES)]
PROMPT = "Rate this signal: EURUSD BUY at 1.1012, stop 1.0991, target 1.1054."
TOKENS_PER_MINUTE = 50_000

Make = Callable[[Any], Any]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Builds a processor and its ledger, one USD and a million tokens a day, on a server with one usage."""
    async with AsyncExitStack() as stack:

        async def build(usage: dict[str, Any]) -> tuple[LLMProcessor, MemoryLedger]:
            async def chat(_: web.Request) -> web.Response:
                message = {"role": "assistant", "content": GOOD_REPLY}
                body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
                return web.json_response({**body, "id": "gen-1", "model": "a/dear", "service_tier": "flex"})

            app = web.Application()
            app.router.add_post("/v1/chat/completions", chat)
            server = TestServer(app)
            await server.start_server()
            stack.push_async_callback(server.close)
            clock = WallClock()
            ledger = MemoryLedger(
                [Budget(per="day", usd=1, tokens=1_000_000, name="day")], Prices(), clock, clock.steady
            )
            config = LLMConfig(
                base_url=str(server.make_url("/v1")), model="a/dear", max_tokens=1_000, max_retries=0,
                requests_per_minute=1_000, tokens_per_minute=TOKENS_PER_MINUTE, poll_interval=0.02,
            )  # fmt: skip
            processor = LLMProcessor(config, api_key=SecretStr("sk-test-0123456789"), guard=ledger)
            stack.push_async_callback(processor.close)
            return processor, ledger

        yield build


@pytest.mark.parametrize("case", CASES)
async def test_one_odd_reply_costs_no_more_than_one_request(
    make: Make, case: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Budget and rate limiter count at most what was put aside, further requests go on, it is said once."""
    processor, ledger = await make(case["usage"])
    with caplog.at_level(logging.WARNING):
        answers = [await processor.complete(PROMPT, symbols={"EURUSD": 1}) for _ in range(3)]
    (state,) = ledger.state()
    assert state.spent_usd + state.reserved_usd <= Decimal("0.12")
    assert (state.spent_usd > 0) == case["spent"]
    assert state.spent_tokens + state.reserved_tokens <= 3 * (1_000 + 2_000)
    assert processor.statistics()["limiter"]["tokens"] <= 3 * (1_000 + 2_000)
    for answer in answers:
        assert any(case["warns"] in warning for warning in answer.warnings)
        assert (answer.cost_usd is None) == (not case["spent"])
        assert (answer.completion_tokens or 0) <= 1_000
        assert answer.service_tier == "flex"
    assert sum(record.getMessage().startswith("model a/dear: ") for record in caplog.records) == 1


async def test_the_result_of_an_odd_reply_is_rated_and_says_what_was_odd(make: Make) -> None:
    """The answer is as good as any; what its numbers were stands among its warnings."""
    processor, ledger = await make({
        "prompt_tokens": 60, "completion_tokens": 12, "cost": 9999,
        "prompt_tokens_details": {"cached_tokens": 50, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    })  # fmt: skip
    store, ended = SignalMemoryStore(), asyncio.Queue[LLMAnalysis]()
    worker = LLMWorker(processor.config, store, processor=processor)
    worker.subscribe(ended.put_nowait)
    running = asyncio.create_task(worker.run())
    store.add_signal(signal_mapping("s1"))
    analysis = await asyncio.wait_for(ended.get(), 10)
    await worker.stop(5)
    await running
    assert analysis.rating == 4
    assert any("9999 USD" in warning for warning in analysis.warnings)
    assert analysis.cost_usd is not None
    assert analysis.cost_usd < 1
    assert (analysis.cached_tokens, analysis.cache_write_tokens, analysis.reasoning_tokens) == (50, 0, 4)
    assert analysis.service_tier == "flex"
    assert ledger.state()[0].spent_usd == analysis.cost_usd


async def test_an_honest_reply_has_no_warning(make: Make) -> None:
    """Nothing is said about numbers that can be true."""
    processor, ledger = await make(
        {"prompt_tokens": 60, "completion_tokens": 12, "total_tokens": 72, "cost": 0.0002}
    )
    answer = await processor.complete(PROMPT, symbols={"EURUSD": 1})
    assert answer.warnings == ()
    assert ledger.state()[0].spent_usd == answer.cost_usd == Decimal("0.0002")
