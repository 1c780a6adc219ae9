"""The simulator over HTTP: ordinary answers, refusals in OpenRouter's order, limits, the other endpoints."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import aiohttp
import pytest

from llm_integration.reply_schema import SINGLE_SCHEMA
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator, rate
from llm_integration.simulator.catalogue import DEFAULT_MODELS
from tests.integration.simulator_parts import FLASH, PROMPT, StoppedSleep, talking

FREE = "meta-llama/llama-3.3-70b-instruct:free"
KEY_ORDER = [
    "id",
    "provider",
    "model",
    "object",
    "created",
    "choices",
    "service_tier",
    "system_fingerprint",
    "usage",
]


# Ordinary answers -------------------------------------------------------------------------------------
async def test_an_ordinary_answer_has_the_recorded_shape() -> None:
    """Chunked JSON, keys in their order, the generation id in body and header, cost from the price list."""
    async with talking(clock=lambda: 1_780_687_932.4) as (_, talk):
        reply = await talk.chat()
    body = reply.json
    assert reply.status == 200
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.headers["Content-Type"] == "application/json"
    assert list(body) == KEY_ORDER
    assert re.fullmatch(r"gen-1780687932-[A-Za-z0-9]{20}", body["id"])
    assert reply.headers["X-Generation-Id"] == body["id"]
    assert body["created"] == 1_780_687_932
    usage = body["usage"]
    assert usage["prompt_tokens"] == -(-len(PROMPT) // 4)
    assert usage["completion_tokens"] == -(-len(reply.text) // 4)
    assert usage["cost"] == pytest.approx(
        usage["prompt_tokens"] * 3e-7 + usage["completion_tokens"] * 2.5e-6, rel=1e-12
    )


async def test_the_answer_is_the_published_rules() -> None:
    """The content is the rule's reading of the prompt, all messages taken together."""
    async with talking() as (_, talk):
        reply = await talk.chat(
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
            ]
        )
    assert json.loads(reply.text) == rate(f"Be brief.\n{PROMPT}").as_dict()


BATCH_PROMPT = (
    "Signal id: aaaaaa\nSymbol: ES\nRisk/reward ratio: 0.50\n\nSignal id: bbbbbb\nSymbol: NQ\n"
    'Risk/reward ratio: 3.00\n\nForm: {"signals": [...]}'
)


async def test_a_prompt_about_several_signals_is_answered_with_a_list() -> None:
    """One entry for each label, rated by its own lines, in the form that was asked for."""
    async with talking() as (_, talk):
        reply = await talk.chat(BATCH_PROMPT)
    entries = json.loads(reply.text)["signals"]
    assert [(entry["id"], entry["symbol"], entry["rating"]) for entry in entries] == [
        ("aaaaaa", "ES", 1),
        ("bbbbbb", "NQ", 4),
    ]


async def test_replies_about_several_signals_go_wrong_on_demand_and_single_ones_do_not() -> None:
    """By script and by probability like any fault; one that is cut says so."""
    async with talking() as (simulator, talk):
        simulator.script("batch_cut", "batch_cut", "batch_missing", "fenced")
        cut, single, missing, fenced = [
            await talk.chat(prompt) for prompt in (BATCH_PROMPT, PROMPT, BATCH_PROMPT, BATCH_PROMPT)
        ]
    assert cut.json["choices"][0]["finish_reason"] == "length"
    assert json.loads(single.text)["rating"] == rate(PROMPT).rating
    assert single.json["choices"][0]["finish_reason"] == "stop"
    assert [entry["id"] for entry in json.loads(missing.text)["signals"]] == ["bbbbbb"]
    assert fenced.text.startswith("```json")
    assert '"signals"' in fenced.text


async def test_a_schema_that_the_provider_takes_is_answered() -> None:
    """And listed among the parameters of the models that take one; the others never see it."""
    form = {"type": "json_schema", "json_schema": {"name": "own", "strict": True, "schema": SINGLE_SCHEMA}}
    async with talking() as (_, talk):
        for model in (FLASH, "openai/gpt-5-mini", FREE):
            reply = await talk.chat(model=model, response_format=form)
            assert json.loads(reply.text)["rating"] == rate(PROMPT).rating
        listed = {entry["id"]: entry for entry in (await talk.get("/models")).json["data"]}
    assert "structured_outputs" in listed[FLASH]["supported_parameters"]
    assert "structured_outputs" not in listed[FREE]["supported_parameters"]
    assert listed[FLASH]["expiration_date"] == "2026-12-01"


async def test_the_same_seed_and_requests_bring_the_same_answers() -> None:
    """Ids, faults and delays depend on the seed; the ratings do not."""

    async def run(seed: int) -> list[tuple[bytes, float]]:
        sleep = StoppedSleep()
        async with talking(
            seed=seed,
            clock=lambda: 1e9,
            sleep=sleep,
            latency_seconds=(0.1, 0.9),
            faults={"fenced": 0.3, "bad_gateway": 0.3},
        ) as (_, talk):
            bodies = [(await talk.chat()).content for _ in range(12)]
        return list(zip(bodies, sleep.asked, strict=True))

    first, again, other = await run(1), await run(1), await run(2)
    assert first == again
    assert first != other
    assert all(0.1 <= delay <= 0.9 for _, delay in first)


async def test_everything_served_says_simulated() -> None:
    """Model and provider names begin with simulated/, once, also in error metadata."""
    async with talking() as (_, talk):
        plain = (await talk.chat()).json
        asked = (await talk.chat(model=f"simulated/{FLASH}")).json
        dated = (await talk.chat(model="anthropic/claude-sonnet-4.6")).json
        error = (await talk.chat(simulate="bad_gateway")).error
    assert (plain["model"], plain["provider"]) == (f"simulated/{FLASH}", "simulated/Google")
    assert asked["model"] == f"simulated/{FLASH}"
    assert asked["usage"] == plain["usage"]
    assert dated["model"] == "simulated/anthropic/claude-4.6-sonnet-20260217"
    assert error["metadata"]["provider_name"] == "simulated/Google"


async def test_the_prefix_can_be_switched_off() -> None:
    """For tests that need the real names."""
    async with talking(simulated_prefix=False) as (_, talk):
        body = (await talk.chat()).json
    assert (body["model"], body["provider"]) == (FLASH, "Google")


async def test_a_stream_carries_the_same_text_usage_and_end() -> None:
    """Comments are skipped, the pieces add up, usage comes last, [DONE] ends it."""
    async with talking() as (_, talk):
        plain = await talk.chat()
        reply = await talk.chat(stream=True)
    lines = [line for line in reply.content.decode().split("\n\n") if line]
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    text = "".join(c["delta"]["content"] for chunk in chunks for c in chunk["choices"])
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert text == plain.text
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == plain.json["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert lines[0].startswith(":")
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("stream_error", b'"finish_reason":"error"'),
        ("stream_error_null", b'"Network connection lost."'),
        ("stream_error_no_choices", b'"choices":[],"error"'),
        ("stream_crlf", b"\r\n\r\n"),
        ("stream_usage_null", b'"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage"'),
        ("stream_usage_repeated", b'"native_finish_reason":"stop","logprobs":null}],"usage"'),
    ],
)
async def test_streams_end_in_every_known_way(name: str, sign: bytes) -> None:
    """Each variant shows its sign, and the ordinary stream does not."""
    async with talking() as (_, talk):
        odd, plain = await talk.chat(simulate=name, stream=True), await talk.chat(stream=True)
    assert sign in odd.content
    assert sign not in plain.content


async def test_a_stream_may_end_without_done() -> None:
    """The variant lacks nothing but the last line."""
    async with talking() as (_, talk):
        reply = await talk.chat(simulate="stream_without_done", stream=True)
    assert b"[DONE]" not in reply.content
    assert b'"usage"' in reply.content


# Refusals ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "Missing Authentication header"),
        ("", "No cookie auth credentials found"),
        ("sk-or-v1-wrong", "User not found."),
    ],
)
async def test_a_missing_or_wrong_key_is_401(key: str | None, message: str) -> None:
    """In OpenRouter's words, and before the body is looked at."""
    async with talking() as (simulator, talk):
        reply = await talk.chat(key=key, raw=b"not json")
    assert (reply.status, reply.error["message"], reply.error["code"]) == (401, message, 401)
    assert simulator.requests[-1].authorized is False
    assert simulator.counters["refused_401"] == 1


async def test_any_key_can_be_accepted() -> None:
    """keys=None takes every key that is not empty."""
    async with talking(keys=None) as (_, talk):
        assert (await talk.chat(key="whatever")).status == 200
        assert (await talk.chat(key="")).status == 401


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"messages": None}, 400, 'Input required: specify "prompt" or "messages"'),
        ({"messages": []}, 400, 'Input required: specify "prompt" or "messages"'),
        ({"messages": [{"role": "user"}]}, 400, "every message needs content"),
        ({"messages": ["text"]}, 400, "must be a list of messages"),
        ({"max_tokens": 0}, 400, "max_tokens must be an integer from 1 up"),
        ({"temperature": 3}, 400, "temperature must be a number from 0 to 2"),
        ({"provider": {"sorted": "price"}}, 400, "Unrecognized key(s) in object: 'sorted'"),
        ({"model": "nobody/nothing"}, 400, "nobody/nothing is not a valid model ID"),
        ({"model": "gemini-2.5-flash"}, 400, "gemini-2.5-flash is not a valid model ID"),
        ({"model": f"openrouter/{FLASH}"}, 400, f"openrouter/{FLASH} is not a valid model ID"),
        (
            {"model": "google/gemini-2.5-flash-preview-05-20"},
            404,
            "No endpoints found for google/gemini-2.5-flash-preview-05-20.",
        ),
        (
            {"model": "google/gemini-3.5-flash", "reasoning": {"effort": "none"}},
            400,
            "Reasoning is mandatory",
        ),
        (
            {
                "model": FREE,
                "response_format": {"type": "json_object"},
                "provider": {"require_parameters": True},
            },
            404,
            "No endpoints found that can handle the requested parameters.",
        ),
        ({"max_tokens": 2_000_000}, 400, "maximum context length"),
        ({"response_format": {"type": "xml"}}, 400, "response_format.type must be one of"),
        ({"response_format": {"type": "json_schema"}}, 400, "json_schema must be an object"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {"type": "object", "minimum": 1}},
                }
            },
            400,
            "Provider returned error",
        ),
    ],
)
async def test_a_wrong_request_is_refused_in_openrouters_words(
    fields: dict[str, Any], status: int, message: str
) -> None:
    """Status and error.code agree, the message is the documented one, and no script step is used up."""
    async with talking() as (simulator, talk):
        simulator.script("fenced")
        reply = await talk.chat(**fields)
        after = await talk.chat()
    assert (reply.status, reply.error["code"]) == (status, status)
    assert message in reply.error["message"]
    assert after.text.startswith("```")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"a": NaN}', b"[" * 100_000, b"\xff\xfe"])
async def test_a_broken_body_is_400(raw: bytes) -> None:
    """Whatever the bytes are."""
    async with talking() as (_, talk):
        assert (await talk.chat(raw=raw)).status == 400


async def test_half_surrogates_in_a_prompt_are_accepted() -> None:
    """As by the real server, whose JSON reader lets them pass."""
    raw = b'{"messages": [{"role": "user", "content": "a \\ud800 b"}]}'
    async with talking() as (_, talk):
        assert (await talk.chat(raw=raw)).status == 200


async def test_a_huge_body_is_413() -> None:
    """More than two megabytes are refused."""
    async with talking() as (_, talk):
        reply = await talk.chat("x" * 2_200_000)
    assert (reply.status, reply.error["message"]) == (413, "Request payload too large")


async def test_the_fallback_list_is_walked() -> None:
    """The first id that can be served answers; when none can, the first refusal is told."""
    async with talking() as (_, talk):
        served = await talk.chat(model="nobody/nothing", models=["google/gemini-2.5-flash-preview", FLASH])
        refused = await talk.chat(model="nobody/nothing", models=["google/gemini-2.5-flash-preview"])
    assert served.json["model"] == f"simulated/{FLASH}"
    assert refused.error["message"] == "nobody/nothing is not a valid model ID"


# Money and limits -------------------------------------------------------------------------------------
async def test_free_models_are_limited_per_minute_and_per_day() -> None:
    """429 with the values as headers and as strings; Reset is in milliseconds; other keys go on."""
    now = [1_743_552_000.0]
    async with talking(
        keys={"key-a", "key-b"},
        clock=lambda: now[0],
        free_requests_per_minute=2,
        free_requests_per_day=3,
    ) as (_, talk):
        statuses = [(await talk.chat(key="key-a", model=FREE)).status for _ in range(2)]
        minute = await talk.chat(key="key-a", model=FREE)
        other = await talk.chat(key="key-b", model=FREE)
        paid = await talk.chat(key="key-a")
        now[0] += 60.1
        statuses.append((await talk.chat(key="key-a", model=FREE)).status)
        day = await talk.chat(key="key-a", model=FREE)
    assert statuses == [200, 200, 200]
    assert (other.status, paid.status) == (200, 200)
    assert "free-models-per-min" in minute.error["message"]
    assert minute.headers["X-RateLimit-Reset"] == "1743552060001"
    assert minute.error["metadata"]["headers"] == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1743552060001",
    }
    assert "free-models-per-day" in day.error["message"]
    assert day.headers["X-RateLimit-Reset"] == "1743638400000"


async def test_a_successful_answer_carries_no_rate_limit_headers() -> None:
    """As documented for inference responses."""
    async with talking() as (_, talk):
        reply = await talk.chat(model=FREE)
    assert not [name for name in reply.headers if name.lower().startswith("x-ratelimit")]


async def test_credit_is_used_up_and_max_tokens_decides() -> None:
    """402 names what can be afforded, a smaller max_tokens passes, and an empty account says so."""
    async with talking(credit_usd=0.001) as (_, talk):
        greedy = await talk.chat(max_tokens=60_000)
        modest = await talk.chat(max_tokens=100)
        while (last := await talk.chat(max_tokens=100)).status == 200:
            pass
        used = (await talk.get("/credits")).json["data"]
    assert greedy.status == 402
    assert re.search(r"up to 60000 tokens, but can only afford \d+", greedy.error["message"])
    assert modest.status == 200
    assert last.status == 402
    assert 0.0007 < used["total_usage"] <= used["total_credits"] == 0.001


# The other endpoints ----------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/key", "/auth/key"])
async def test_the_key_endpoint_tells_the_use(path: str) -> None:
    """Usage in USD, free requests of the day, and no key in full; 401 without one."""
    async with talking() as (_, talk):
        cost = (await talk.chat()).json["usage"]["cost"]
        await talk.chat(model=FREE)
        reply = await talk.get(path)
        refused = await talk.get(path, key=None)
    data = reply.json["data"]
    assert data["usage"] == cost
    assert data["free_model_daily_requests"] == {"limit": 50, "remaining": 49, "used": 1}
    assert SIMULATED_KEY not in json.dumps(data)
    assert refused.status == 401


async def test_models_are_listed_without_a_key_and_by_page() -> None:
    """Prices are decimal strings per token; offset and limit cut a page; nonsense is 400."""
    async with talking() as (_, talk):
        whole = (await talk.get("/models", key=None)).json
        page = (await talk.get("/models?offset=1&limit=2", key=None)).json
        wrong = await talk.get("/models?limit=x", key=None)
        closed = await talk.get("/models/user", key=None)
    ids = [model["id"] for model in whole["data"]]
    flash = whole["data"][ids.index(FLASH)]
    assert ids == [model.id for model in DEFAULT_MODELS]
    assert whole["total_count"] == len(ids)
    assert flash["pricing"]["prompt"] == "0.0000003"
    assert flash["pricing"]["completion"] == "0.0000025"
    assert "response_format" in flash["supported_parameters"]
    assert [model["id"] for model in page["data"]] == ids[1:3]
    assert (wrong.status, closed.status) == (400, 401)


async def test_one_model_and_its_endpoints() -> None:
    """Aliases and variants are resolved; unknown ones are 404."""
    async with talking() as (_, talk):
        alias = (await talk.get("/model/~google/gemini-flash-latest")).json
        variant = (await talk.get(f"/models/{FLASH}:nitro/endpoints")).json
        missing = await talk.get("/model/nobody/nothing")
    assert alias["data"]["id"] == "google/gemini-3.8-flash"
    assert variant["data"]["endpoints"][0]["provider_name"] == "simulated/Google"
    assert missing.status == 404


async def test_a_generation_can_be_looked_up_half_a_second_later() -> None:
    """Before that, and for ids that never were, it is 404."""
    now = [1e9]
    async with talking(clock=lambda: now[0]) as (_, talk):
        body = (await talk.chat()).json
        early = await talk.get(f"/generation?id={body['id']}")
        now[0] += 0.5
        late = (await talk.get(f"/generation?id={body['id']}")).json["data"]
        never = await talk.get("/generation?id=gen-0-none")
    assert (early.status, never.status) == (404, 404)
    assert late["total_cost"] == body["usage"]["cost"]
    assert late["tokens_prompt"] == body["usage"]["prompt_tokens"]


async def test_an_unknown_path_is_a_json_404_and_logged() -> None:
    """So that a test can see where a redirected client went."""
    async with talking() as (simulator, talk):
        reply = await talk.get("/nothing/here", key=None)
    assert reply.status == 404
    assert simulator.requests[-1].path == "/api/v1/nothing/here"


# Log, script, life ------------------------------------------------------------------------------------
async def test_requests_are_logged_without_the_key() -> None:
    """Headers and body are there, the key is not; the log is bounded, the counters are not."""
    async with talking(log_size=2) as (simulator, talk):
        for number in range(3):
            await talk.chat(f"prompt {number}")
        assert [entry.body["messages"][0]["content"] for entry in simulator.requests if entry.body] == [
            "prompt 1",
            "prompt 2",
        ]
        entry = simulator.requests[-1]
        assert simulator.counters["chat_requests"] == simulator.counters["ok"] == 3
    assert entry.headers["Authorization"] == "<redacted>"
    assert SIMULATED_KEY not in repr(entry)
    assert (entry.method, entry.path, entry.authorized, entry.fault) == (
        "POST",
        "/api/v1/chat/completions",
        True,
        "ok",
    )
    assert simulator.requests[0].arrived_at <= entry.arrived_at <= time.monotonic()


async def test_script_marker_and_header_choose_the_behaviour() -> None:
    """A queued step meets the next request that names none itself; an unknown name is told, not ignored."""
    async with talking() as (simulator, talk):
        simulator.script("unavailable", "ok")
        header = await talk.chat(simulate="overloaded")
        marker = await talk.chat("[[simulate:rate_limited:retry_after=7]]")
        first, second = await talk.chat(), await talk.chat()
        wrong = await talk.chat(simulate="no such thing")
        simulator.script("hang")
        simulator.clear_script()
        assert (await talk.chat()).status == 200
    assert [header.status, marker.status, first.status, second.status] == [529, 429, 503, 200]
    assert marker.headers["Retry-After"] == "7"
    assert wrong.status == 400
    assert "no fault is called" in wrong.error["message"]


async def test_waiting_for_requests_ends_when_they_have_arrived() -> None:
    """A test waits for the second request instead of sleeping."""
    async with talking() as (simulator, talk):
        waiting = asyncio.create_task(simulator.wait_for_requests(2))
        await talk.chat()
        assert not waiting.done()
        await talk.chat()
        await asyncio.wait_for(waiting, 5)
        await simulator.wait_for_requests(1)


async def test_stopping_cuts_hanging_requests_at_once() -> None:
    """However many hang, and for however long they would."""
    simulator = OpenRouterSimulator(hang_seconds=3_600)
    await simulator.start()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SIMULATED_KEY}"}) as session:

        async def hang(name: str) -> None:
            url = f"{simulator.base_url}/chat/completions"
            body = {"messages": [{"role": "user", "content": f"[[simulate:{name}]]"}]}
            async with session.post(url, json=body) as response:
                await response.read()

        names = ["hang", "hang_after_headers", "hang_mid_body", "pad_for_ever", "slow:seconds=3600"]
        calls = [asyncio.create_task(hang(name)) for name in names]
        await asyncio.wait_for(simulator.wait_for_requests(len(names)), 5)
        await asyncio.wait_for(simulator.stop(), 2)
        results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 2)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)


async def test_it_starts_again_on_the_same_port_and_stops_twice() -> None:
    """An outage can be played: stop, refused connections, start on the old port."""
    simulator = OpenRouterSimulator()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = simulator.base_url
    await simulator.start()
    port = int(simulator.base_url.split(":")[2].split("/")[0])
    with pytest.raises(RuntimeError, match="runs already"):
        await simulator.start()
    other = OpenRouterSimulator()
    with pytest.raises(OSError, match="in use"):
        await other.start(port=port)
    await simulator.stop()
    await simulator.stop()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{simulator.base_url}/models")
        await simulator.start(port=port)
        async with session.get(f"{simulator.base_url}/models") as response:
            assert response.status == 200
    await simulator.stop()


async def test_a_client_that_leaves_frees_its_hanging_request() -> None:
    """The simulator holds nothing for clients that have gone."""
    hanging, freed = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            freed.set()

    async with talking(sleep=sleep) as (_, talk):
        call = asyncio.create_task(talk.chat(simulate="hang"))
        await asyncio.wait_for(hanging.wait(), 5)
        call.cancel()
        await asyncio.wait_for(freed.wait(), 5)
    assert call.cancelled()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency_seconds": -1}, "latency_seconds"),
        ({"latency_seconds": (2, 1)}, "latency_seconds"),
        ({"faults": {"nonsense": 0.1}}, "no fault is called"),
        ({"faults": {"hang": 2}}, "probabilities"),
        ({"models": []}, "at least one"),
        ({"credit_usd": float("nan")}, "credit_usd"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    """When the simulator is made, not when the first request comes."""
    with pytest.raises(ValueError, match=message):
        OpenRouterSimulator(**options)
