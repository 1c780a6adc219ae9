"""What every provider must do, over real HTTP: OpenRouter, any compatible server, the documentation's own."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import types
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import SecretStr

from llm_integration import Sidecar, SidecarThread
from llm_integration.calls import ChatRequest, Failed, Price, Profile, RawReply, Refusal, Reply
from llm_integration.config import DEFAULT_BASE_URL, LLMConfig
from llm_integration.errors import (
    CallError,
    KeyRefusedError,
    LineStoppedError,
    ModelUnavailableError,
    NoCompletionError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TruncatedError,
)
from llm_integration.finish_reason import is_cut
from llm_integration.llm_processor import LLMProcessor
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.ports import Provider
from llm_integration.providers import Compatible, OpenRouter, provider_for
from llm_integration.reply_schema import SINGLE_SCHEMA
from llm_integration.response_parser import LLMResponseParser
from llm_integration.routing import CallPlan
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from llm_integration.simulator.catalogue import DEFAULT_MODELS
from tests.unit.provider_parts import decoded
from tests.unit.worker_parts import signal_mapping

ROOT = Path(__file__).resolve().parents[2]
KEY = SIMULATED_KEY
ANSWER = '{"rating": 4, "choppiness": "no", "analysis": "Trend is up.", "recommendations": "Take it."}'
MOST_PROVIDER_LINES = 120

ENDS: dict[str, type[CallError]] = {
    "busy": RateLimitedError,
    "overloaded": ServerError,
    "broken": ServerError,
    "key refused": KeyRefusedError,
    "model gone": ModelUnavailableError,
    "empty": NoCompletionError,
    "no json": NoCompletionError,
    "error in 200": ServerError,
    "too long": RequestRejectedError,
    "thoughts alone": TruncatedError,
}
"""How a request may end without a completion, and what that is to the client."""


class Simulated:
    """The project's stand-in for OpenRouter.

    Like every server here it has the ``url`` of its base, a ``model`` that it lists, and ``will``: how the
    next requests end (one of ENDS, ``cut`` or ``ok``); ``sent`` gives headers, in lower case, and bodies.
    """

    model = DEFAULT_MODELS[0].id
    STEPS: ClassVar = {
        "busy": "rate_limited:retry_after=0", "overloaded": "overloaded", "broken": "server_error",
        "key refused": "unauthorized", "model gone": "model_not_found", "empty": "content_empty",
        "no json": "broken_json_body", "error in 200": "error_in_200", "too long": "context_length",
        "thoughts alone": "length_without_text", "cut": "cut_in_string", "ok": "ok",
    }  # fmt: skip

    def __init__(self) -> None:
        self.simulator = OpenRouterSimulator(seed=1, keys=None)

    @property
    def url(self) -> str:
        return self.simulator.base_url

    def will(self, *ends: str) -> None:
        self.simulator.script(*(self.STEPS[end] for end in ends))

    def sent(self) -> list[tuple[dict[str, str], dict[str, Any]]]:
        asked = (each for each in self.simulator.requests if each.body is not None)
        return [
            ({name.lower(): value for name, value in each.headers.items()}, each.body or {}) for each in asked
        ]

    async def start(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self.simulator)


class OllamaServer:
    """Answers as Ollama's own protocol has it (``docs/api.md`` of that project)."""

    model = "llama3.2"
    SAID: ClassVar[dict[str, tuple[int, dict[str, Any] | str]]] = {
        "busy": (429, {"error": "too many requests"}),
        "overloaded": (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
        "broken": (500, {"error": "llama runner process has terminated: exit status 2"}),
        "key refused": (401, {"error": "unauthorized"}),
        "model gone": (404, {"error": 'model "llama3.2" not found, try pulling it first'}),
        "empty": (200, {"model": "llama3.2", "message": {"role": "assistant", "content": ""}, "done": True}),
        "no json": (200, '{"model": "llama3.2", "message": {"ro'),
        "error in 200": (200, {"error": "an error was encountered while running the model"}),
        "too long": (400, {"error": "the input length exceeds the context length"}),
        "thoughts alone": (
            200,
            {"model": "llama3.2", "message": {"content": "", "thinking": "Hm."}, "done_reason": "length"},
        ),
    }

    def __init__(self) -> None:
        self._ends: list[str] = []
        self._sent: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.asked_for_list: list[dict[str, str]] = []
        self.url = ""
        self.refuses: tuple[str, str] | None = None

    def will(self, *ends: str) -> None:
        self._ends += ends

    def sent(self) -> list[tuple[dict[str, str], dict[str, Any]]]:
        return self._sent

    async def start(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_post("/api/chat", self._chat)
        app.router.add_get("/api/tags", self._tags)
        self.url = str((await stack.enter_async_context(TestServer(app))).make_url("")).rstrip("/")

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._sent.append(({name.lower(): value for name, value in request.headers.items()}, body))
        if self.refuses is not None and self.refuses[0] in body:
            return web.json_response({"error": self.refuses[1]}, status=400)
        end = self._ends.pop(0) if self._ends else "ok"
        status, said = self.SAID.get(end) or (200, self._reply(body["model"], end))
        text = said if isinstance(said, str) else json.dumps(said)
        return web.Response(status=status, text=text, content_type="application/json")

    def _reply(self, model: str, end: str) -> dict[str, Any]:
        cut = end == "cut"
        return {
            "model": model,
            "created_at": "2026-01-05T10:00:00Z",
            "message": {"role": "assistant", "content": ANSWER[:30] if cut else ANSWER},
            "done": True,
            "done_reason": "length" if cut else "stop",
            "prompt_eval_count": 26,
            "eval_count": 29,
        }

    async def _tags(self, request: web.Request) -> web.Response:
        self.asked_for_list.append({name.lower(): value for name, value in request.headers.items()})
        names = ["llama3.2:latest", "qwen3:8b"]
        return web.json_response({"models": [{"name": name, "model": name, "size": 1} for name in names]})


def documented() -> dict[str, Any]:
    """What the page "Add a provider" defines, as if it stood in a file."""
    module = types.ModuleType("documented_provider")
    sys.modules[module.__name__] = module
    exec("\n".join(blocks()), module.__dict__)
    return module.__dict__


def blocks() -> list[str]:
    """The pieces of Python on the page "Add a provider"."""
    text = (ROOT / "docs/how-to/add-a-provider.md").read_text(encoding="utf-8")
    return re.findall(r"<!-- run: ollama -->\n```python\n(.*?)```", text, re.S)


DOCUMENTED = documented()
SERVERS: dict[str, tuple[Callable[[], Any], Callable[[str, SecretStr], Provider]]] = {
    "openrouter": (Simulated, OpenRouter),
    "compatible": (Simulated, Compatible),
    "ollama": (OllamaServer, lambda _url, key: DOCUMENTED["Ollama"](key)),
}
"""By name: a server of the kind, and the provider that speaks to it."""


class Bench:
    """A server, its provider, and a client that asks."""

    def __init__(self, name: str, stack: AsyncExitStack) -> None:
        make, self._provider_of = SERVERS[name]
        self.server: Any = make()
        self.stack = stack

    @property
    def provider(self) -> Provider:
        return self._provider_of(self.server.url, SecretStr(KEY))

    def client(self, provider: Provider | None = None, **options: Any) -> LLMProcessor:
        given: dict[str, Any] = {
            "base_url": self.server.url, "model": self.server.model, "max_retries": 0,
            "requests_per_minute": 10_000, **options,
        }  # fmt: skip
        built = LLMProcessor(
            LLMConfig(**given), api_key=SecretStr(KEY), provider=provider or self.provider, sleep=_at_once
        )
        self.stack.push_async_callback(built.close)
        return built


async def _at_once(_seconds: float) -> None:
    """Pauses are not the subject."""


@pytest.fixture(params=list(SERVERS))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        made = Bench(request.param, stack)
        await made.server.start(stack)
        yield made


async def test_an_answer_comes_with_what_it_took(bench: Bench) -> None:
    """Text that the parser reads, the model that served, its tokens and cost, and no sign of a cut."""
    done = await bench.client().complete("rate this", system="be brief")
    assert LLMResponseParser().parse(done.text).rating in range(1, 6)
    assert bench.server.model in (done.model_served or "")
    assert (done.prompt_tokens or 0) > 0
    assert (done.completion_tokens or 0) > 0
    assert done.cost_usd is not None
    assert not is_cut(done.finish_reason)
    assert done.warnings == ()


async def test_the_request_says_what_was_asked_and_nothing_of_the_key(bench: Bench) -> None:
    """Model, both texts, longest reply and temperature are in the body, the key in one header alone."""
    plan = CallPlan(bench.server.model, max_tokens=777, temperature=0.25)
    await bench.client().complete("rate this", system="be brief", plan=plan)
    ((headers, body),) = bench.server.sent()
    text = json.dumps(body)
    for said in (bench.server.model, "rate this", "be brief", "777", "0.25"):
        assert text.count(said) == 1
    assert KEY not in text
    assert "authorization" in headers


async def test_a_schema_is_sent_where_it_is_asked_for_by_name(bench: Bench) -> None:
    """And the result says in which form the reply was asked for."""
    plan = CallPlan(bench.server.model, response_schema=SINGLE_SCHEMA)
    done = await bench.client(response_format="json_schema").complete("rate this", plan=plan)
    plain = await bench.client(response_format="text").complete("rate this", plan=plan)
    assert (done.response_format, plain.response_format) == ("json_schema", "text")
    with_schema, without = (json.dumps(body) for _, body in bench.server.sent())
    assert '"additionalProperties"' in with_schema
    assert '"additionalProperties"' not in without


@pytest.mark.parametrize("end", ENDS)
async def test_each_end_without_a_completion_is_its_leaf(bench: Bench, end: str) -> None:
    """In one line, without the key; what stops the line or the model lets nothing more through."""
    bench.server.will(end, end)  # where thoughts took all the room, a second reply gets more
    client = bench.client()
    with pytest.raises(CallError) as failure:
        await client.complete("rate this")
    error = failure.value
    assert isinstance(error, ENDS[end])
    assert str(error).isprintable()
    assert KEY not in str(error)
    assert (client.ready_in() > 0) is (isinstance(error, LineStoppedError))


@pytest.mark.parametrize("end", ["busy", "overloaded", "broken", "empty", "no json", "error in 200"])
async def test_what_passes_is_tried_again(bench: Bench, end: str) -> None:
    """The second attempt is the answer."""
    bench.server.will(end, "ok")
    done = await bench.client(max_retries=1, retry_after_cap_seconds=5).complete("rate this")
    assert done.attempts == 2


async def test_a_reply_that_was_cut_says_so(bench: Bench) -> None:
    """The parser has to know that its end is missing."""
    bench.server.will("cut")
    assert is_cut((await bench.client().complete("rate this")).finish_reason)


async def test_the_list_of_models_names_the_one_that_is_served(bench: Bench) -> None:
    """With its price, by which budgets reckon."""
    catalogue = ModelCatalogue(bench.server.url, provider=bench.provider)
    assert await catalogue.refresh()
    assert catalogue.find(bench.server.model) is not None
    price = catalogue.price(bench.server.model)
    assert price is not None
    assert price.known
    assert catalogue.find("no/such-model") is None


async def test_text_that_utf8_cannot_carry_is_sent_all_the_same(bench: Bench) -> None:
    """A lone surrogate in a prompt costs this character, not the signal."""
    await bench.client().complete("a\ud800b", system="\udfff")
    assert "a?b" in json.dumps(bench.server.sent()[-1][1])


def some_request(**changes: Any) -> ChatRequest:
    return ChatRequest("rate", "brief", "m", 64, **changes)


@pytest.mark.parametrize("name", SERVERS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "message", "choices", "content", "model", "models", "name", "usage", "data",
                     "eval_count", "prompt_eval_count", "done_reason", "finish_reason", "id", "code"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    status=st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500, 503]),
    junk=st.binary(max_size=40),
)  # fmt: skip
def test_nothing_that_comes_back_raises(name: str, value: object, status: int, junk: bytes) -> None:
    """Any JSON and any bytes are a reply or a leaf in one line; a list of models or a ValueError."""
    provider = SERVERS[name][1]("http://127.0.0.1:1/v1", SecretStr(KEY))
    for body in (json.dumps(value).encode(), junk, f'{{"message": {{"content": "{KEY}"}}}}'.encode()):
        outcome = decoded(provider, RawReply(status, CIMultiDict(), body))
        if isinstance(outcome, Reply):
            assert outcome.text.strip()
            assert KEY not in repr(outcome)
            outcome.text.encode()
        else:
            assert isinstance(outcome, Failed)
            assert str(outcome.error).isprintable()
            assert KEY not in str(outcome.error)
        with suppress(ValueError):
            assert provider.read_models(body)


@pytest.mark.parametrize("name", SERVERS)
def test_a_refusal_of_something_unknown_changes_nothing(name: str) -> None:
    """Otherwise the same request would be made again and again."""
    provider = SERVERS[name][1]("http://127.0.0.1:1/v1", SecretStr(KEY))
    sent = provider.encode(some_request())
    assert provider.adapt(sent, Refusal(frozenset(), (), "the moon is full"), bounded=True) is None
    assert provider.encode(some_request()) == sent


# What differs between them


@pytest.mark.parametrize(
    ("base_url", "kind"),
    [
        (DEFAULT_BASE_URL, OpenRouter),
        (f"{DEFAULT_BASE_URL}/", OpenRouter),
        ("http://127.0.0.1:11434/v1", Compatible),
        ("https://openrouter.ai.example.com/api/v1", Compatible),
        ("https://api.openai.com/v1", Compatible),
        ("https://openrouter.ai/api/v2", Compatible),
    ],
)
def test_the_address_chooses_the_provider_where_nobody_does(base_url: str, kind: type[Compatible]) -> None:
    """OpenRouter by its own address; every other one is asked as any compatible server."""
    assert type(provider_for(base_url)) is kind


def test_openrouter_and_others_send_the_same() -> None:
    """What is known beforehand of OpenRouter changes no byte of a request."""
    url = "http://127.0.0.1:1/v1"
    full = some_request(reasoning_effort="minimal", response_format="auto", schema=SINGLE_SCHEMA)
    for request in (some_request(), full):
        assert OpenRouter(url).encode(request) == Compatible(url).encode(request)


async def test_headers_and_the_way_to_show_a_key_are_the_providers() -> None:
    """Both of a request for a completion and, without the key, of one for the list."""

    ollama: Any = DOCUMENTED["Ollama"]

    class Other(ollama):  # type: ignore[misc]
        profile = Profile(
            "other", {"X-Version": "7"}, models_path="/api/tags", key_header="X-Api-Key", key_prefix=""
        )

    async with AsyncExitStack() as stack:
        made = Bench("ollama", stack)
        await made.server.start(stack)
        provider = Other(SecretStr(KEY))
        await made.client(provider).complete("rate this")
        assert await ModelCatalogue(made.server.url, provider=provider).refresh()
        ((headers, _),) = made.server.sent()
        assert (headers["x-version"], headers["x-api-key"]) == ("7", KEY)
        assert "authorization" not in headers
        assert made.server.asked_for_list[0]["x-version"] == "7"
        assert not {"x-api-key", "authorization"} & made.server.asked_for_list[0].keys()


class Slow(Compatible):
    """Gets ready when it is told to, and does not let go."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.ready, self.started = asyncio.Event(), 0

    async def start(self) -> None:
        self.started += 1
        await self.ready.wait()

    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_a_provider_gets_ready_once_before_the_first_request_and_may_be_cut_off() -> None:
    """Calls wait for it together, nothing is sent before, and one that hangs holds no close up."""
    async with AsyncExitStack() as stack:
        made = Bench("compatible", stack)
        await made.server.start(stack)
        provider = Slow(made.server.url)
        client = made.client(provider)
        asked = [asyncio.create_task(client.complete("rate this")) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (provider.started, made.server.sent()) == (1, [])
        provider.ready.set()
        assert [done.attempts for done in await asyncio.gather(*asked)] == [1, 1, 1]
        assert (provider.started, len(made.server.sent())) == (1, 3)
        async with asyncio.timeout(1.5):
            await client.close()


# The provider of the documentation


def test_a_provider_of_ones_own_is_short() -> None:
    """Under 120 lines, in one file."""
    assert len(blocks()[0].splitlines()) < MOST_PROVIDER_LINES


async def test_the_documented_provider_learns_that_a_model_does_not_think() -> None:
    """The call is answered in two requests, the next one in one; both results say so."""
    async with AsyncExitStack() as stack:
        made = Bench("ollama", stack)
        await made.server.start(stack)
        made.server.refuses = ("think", '"llama3.2" does not support thinking')
        client = made.client(reasoning_effort="low")
        first, second = await client.complete("rate this"), await client.complete("rate this")
        assert (first.attempts, second.attempts) == (2, 1)
        assert first.warnings == second.warnings == ("llama3.2 is not told how much to think",)
        assert [body.get("think") for _, body in made.server.sent()] == ["low", None, None]


async def test_the_documented_provider_serves_a_worker_and_costs_nothing() -> None:
    """A signal is rated, and its price is known to be zero, so that a budget in dollars has room for it."""
    async with AsyncExitStack() as stack:
        made = Bench("ollama", stack)
        await made.server.start(stack)
        config = LLMConfig(base_url=made.server.url, model="llama3.2", requests_per_minute=600)
        worker = DOCUMENTED["worker_for"](config)
        running = asyncio.create_task(worker.run())
        assert worker.memory_store.add_signal(signal_mapping("s-1"))
        assert await worker.drain(10)
        (analysis,) = worker.get_statistics()["recent"]
        await worker.stop(2)
        await running
    assert (analysis.rating, analysis.cost_usd) == (4, 0)
    assert analysis.model_served == "llama3.2"


async def test_a_sidecar_asks_by_the_provider_it_is_given(tmp_path: Path) -> None:
    """In the host's loop and in a thread of its own: list of models and ratings come by Ollama's protocol and
    cost nothing. The simulator of a trial is asked as OpenRouter is.
    """
    async with AsyncExitStack() as stack:
        made = Bench("ollama", stack)
        await made.server.start(stack)
        config = LLMConfig(
            base_url=made.server.url, model="llama3.2", requests_per_minute=600,
            csv_output_directory=str(tmp_path / "out"),
        )  # fmt: skip
        options: dict[str, Any] = {"sinks": (), "models_folder": tmp_path / "models"}
        async with Sidecar(config, provider=made.provider, **options) as sidecar:
            assert sidecar.add_signal(signal_mapping("s-1"))
            analysis = await sidecar.rating("s-1", 10)
        assert analysis is not None
        assert (analysis.rating, analysis.cost_usd) == (4, Decimal(0))
        assert analysis.model_served == "llama3.2"
        thread = SidecarThread(config, provider=made.provider, **options)
        assert thread.submit(signal_mapping("s-2"))
        verdict = await asyncio.to_thread(thread.wait, "s-2", 10)
        assert await asyncio.to_thread(thread.close)
        assert (verdict.state, verdict.rating) == ("rated", 4)
        assert len(made.server.sent()) == 2
        assert len(made.server.asked_for_list) == 1  # the second one finds the list on disk
        config = config.model_copy(update={"model": DEFAULT_MODELS[0].id})
        async with Sidecar(config, provider=made.provider, simulate=True, **options) as trial:
            assert trial.add_signal(signal_mapping("s-3"))
            simulated = await trial.rating("s-3", 10)
        assert simulated is not None
        assert simulated.answered
        assert len(made.server.sent()) == 2


async def test_the_documented_provider_lists_models_by_both_their_names() -> None:
    """With and without the tag that Ollama adds; each costs nothing."""
    async with AsyncExitStack() as stack:
        made = Bench("ollama", stack)
        await made.server.start(stack)
        catalogue = ModelCatalogue(made.server.url, provider=made.provider)
        assert await catalogue.refresh()
        for name in ("llama3.2", "llama3.2:latest", "qwen3:8b"):
            assert catalogue.price(name) == Price(Decimal(0), Decimal(0))
