"""LLMProcessor against scripted raw responses: secrets, redirects, sizes, and where the key may go."""

from __future__ import annotations

import asyncio
import gzip
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from llm_integration.config import LLMConfig
from llm_integration.errors import CallError, ConfigError, LineStoppedError, NoCompletionError, TransportError
from llm_integration.llm_processor import LLMProcessor
from llm_integration.llm_processor.transport import MOST_REPLY_BYTES

KEY = "sk-or-v1-MARKER0123456789abcdef"
GOOD = b'{"id":"gen-1-a","choices":[{"message":{"content":"fine"},"finish_reason":"stop"}]}'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Script:
    """A server that answers every POST with ``handler`` and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.handler: Handler = self.good

    async def good(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=GOOD, content_type="application/json")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append((request.path, dict(request.headers)))
        return await self.handler(request)

    def answers(self, body: bytes, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def handler(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=named)

        self.handler = handler


@pytest.fixture
async def script() -> Script:
    return Script()


@pytest.fixture
async def url(script: Script) -> AsyncIterator[str]:
    app = web.Application(client_max_size=10 * 1_048_576)
    app.router.add_post("/{tail:.*}", script.serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/api/v1"))


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def processor(url: str) -> AsyncIterator[LLMProcessor]:
    built = LLMProcessor(
        LLMConfig(base_url=url, max_retries=0, requests_per_minute=1000),
        api_key=SecretStr(KEY),
        sleep=no_sleep,
    )
    yield built
    await built.close()


async def failure_of(processor: LLMProcessor) -> CallError:
    with pytest.raises(CallError) as failure:
        await processor.complete("x")
    return failure.value


async def test_the_key_goes_into_the_authorization_header_only(
    processor: LLMProcessor, script: Script
) -> None:
    """One header of one request; the object's own text does not show it."""
    await processor.complete("x")
    _, headers = script.seen[0]
    assert headers.pop("Authorization") == f"Bearer {KEY}"
    assert KEY not in repr(headers)
    assert KEY not in repr(processor) + repr(vars(processor)) + repr(processor.statistics())


async def test_without_a_key_no_authorization_is_sent(url: str, script: Script) -> None:
    """A local server needs none."""
    processor = LLMProcessor(LLMConfig(base_url=url))
    if processor.config.api_key is not None:
        pytest.skip("the environment of this run has a key")
    await processor.complete("x")
    await processor.close()
    assert "Authorization" not in script.seen[0][1]


@pytest.mark.parametrize("key", [f' "{KEY}"\n', f"'{KEY}'"])
async def test_a_key_in_quotes_is_cleaned(url: str, script: Script, key: str) -> None:
    """What copying leaves around a key never reaches a header."""
    processor = LLMProcessor(LLMConfig(base_url=url), api_key=SecretStr(key))
    await processor.complete("x")
    await processor.close()
    assert script.seen[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-a\r\nX-Evil: 1", "sk a", "sk-\u00e9"])
async def test_a_key_that_no_header_can_carry_is_refused_unseen(url: str, key: str) -> None:
    """The error does not show it."""
    with pytest.raises(ConfigError) as failure:
        LLMProcessor(LLMConfig(base_url=url), api_key=SecretStr(key))
    assert key not in str(failure.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(processor: LLMProcessor, script: Script, status: int) -> None:
    """The key stays with the host it is for; the message names the setting."""
    script.answers(b"", status, Location="/elsewhere")
    error = await failure_of(processor)
    assert type(error) is LineStoppedError
    assert "base_url" in str(error)
    assert [path for path, _ in script.seen] == ["/api/v1/chat/completions"]


@pytest.mark.parametrize("size", [MOST_REPLY_BYTES + 1, 5 * MOST_REPLY_BYTES])
async def test_a_reply_over_the_cap_is_cut_off(processor: LLMProcessor, script: Script, size: int) -> None:
    """However long it is, no more than the cap is read; the next call works."""
    script.answers(b" " * size + GOOD)
    assert type(await failure_of(processor)) is NoCompletionError
    script.handler = script.good
    assert (await processor.complete("x")).text == "fine"


async def test_a_gzip_bomb_stops_at_the_cap(processor: LLMProcessor, script: Script) -> None:
    """A thousandfold growth is not unpacked."""
    script.answers(gzip.compress(b" " * 100 * MOST_REPLY_BYTES), Content_Encoding="gzip")
    error = await failure_of(processor)
    assert type(error) is NoCompletionError
    assert "longer than" in str(error)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(GOOD, mtime=0), "gzip"), (gzip.compress(GOOD, mtime=0), "X-GZIP"), (GOOD, "identity")],
)
async def test_compression_nobody_asked_for_is_undone(
    processor: LLMProcessor, script: Script, body: bytes, encoding: str
) -> None:
    """Some proxies insist."""
    script.answers(body, Content_Encoding=encoding)
    assert (await processor.complete("x")).text == "fine"


@pytest.mark.parametrize(("body", "encoding"), [(b"\x1f\x8bno", "gzip"), (GOOD, "br"), (GOOD, "gzip")])
async def test_damaged_or_unknown_compression_is_no_completion(
    processor: LLMProcessor, script: Script, body: bytes, encoding: str
) -> None:
    """Retryable, and no crash."""
    script.answers(body, Content_Encoding=encoding)
    assert type(await failure_of(processor)) is NoCompletionError


async def test_a_huge_error_page_keeps_its_meaning(processor: LLMProcessor, script: Script) -> None:
    """Of an error only the beginning is read, and the status decides."""
    script.answers(b"<html><title>busy</title>" + b"x" * 3 * MOST_REPLY_BYTES, 503)
    error = await failure_of(processor)
    assert (error.status, error.retryable) == (503, True)
    assert "busy" in str(error)


async def cut(request: web.Request) -> web.StreamResponse:
    """Half a body, then the connection is gone."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(GOOD[:20])
    assert request.transport is not None
    request.transport.abort()
    return response


async def not_http(request: web.Request) -> web.StreamResponse:
    """What comes back repeats the request's headers, key included, and is no HTTP."""
    assert request.transport is not None
    request.transport.write(f"{request.headers['Authorization']}\r\n\r\n".encode())
    await asyncio.sleep(0)
    request.transport.close()
    return web.Response()


async def test_bytes_that_are_no_http_are_not_quoted(processor: LLMProcessor, script: Script) -> None:
    """What was received may be the model's reply, which has no place in a log line."""
    script.handler = not_http
    error = await failure_of(processor)
    assert type(error) is TransportError
    assert "Bearer" not in str(error)
    assert "hidden" not in str(error)


async def echo(request: web.Request) -> web.StreamResponse:
    """An error that repeats the key."""
    key = request.headers["Authorization"]
    return web.json_response({"error": {"code": 500, "message": key, "metadata": {"raw": f"{key} {key}"}}})


async def unauthorized(request: web.Request) -> web.StreamResponse:
    """A refusal that repeats the key."""
    text = f"key {request.headers['Authorization']} is unknown"
    return web.json_response({"error": {"code": 401, "message": text}}, status=401)


@pytest.mark.parametrize("handler", [cut, not_http, echo, unauthorized], ids=lambda handler: handler.__name__)
async def test_the_key_is_in_no_error_log_or_traceback(
    processor: LLMProcessor, script: Script, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    """Also not in the chain of causes, whose aiohttp errors carry the request's headers in their repr."""
    script.handler = handler
    with caplog.at_level(logging.DEBUG):
        error = await failure_of(processor)
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    shown = "".join(map(repr, chain)) + "".join(traceback.format_exception(error)) + caplog.text
    assert "MARKER" not in shown
    assert "MARKER" not in repr(processor.statistics()) + str(processor.stopped_reason())


async def test_a_session_of_the_host_is_used_and_left_open(url: str, script: Script) -> None:
    """Its own time limits do not get in the way, and closing it is the host's business."""
    async with aiohttp.ClientSession(
        headers={"X-Host": "yes"}, timeout=aiohttp.ClientTimeout(total=1e-9)
    ) as session:
        processor = LLMProcessor(LLMConfig(base_url=url), api_key=SecretStr(KEY), session=session)
        assert (await processor.complete("x")).text == "fine"
        await processor.close()
        assert not session.closed
    assert script.seen[0][1]["X-Host"] == "yes"


async def test_a_session_the_host_has_closed_is_an_error_of_the_call(url: str) -> None:
    """Not a crash of the worker."""
    session = aiohttp.ClientSession()
    await session.close()
    processor = LLMProcessor(LLMConfig(base_url=url, max_retries=0), api_key=SecretStr(KEY), session=session)
    assert "closed" in str(await failure_of(processor))


async def test_connections_are_pooled(processor: LLMProcessor, script: Script) -> None:
    """Calls one after the other share one connection."""
    peers = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return await script.good(request)

    script.handler = handler
    for _ in range(5):
        await processor.complete("x")
    assert len(peers) == 1
