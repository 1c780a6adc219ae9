"""Servers that send without end: the loop stays free, and the call ends long before its time."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_integration.commands import check_server
from llm_integration.commands.check_item import Status
from llm_integration.config import LLMConfig
from llm_integration.errors import NoCompletionError, TransportError
from llm_integration.fairness import HTTP_BYTES_AT_ONCE, HTTP_LINES_AT_ONCE
from llm_integration.http_client.guarded import Limits, open_session
from llm_integration.llm_processor import LLMProcessor
from llm_integration.model_catalogue import ModelCatalogue
from tests.integration.raw_server import raw_server, read_request

GOOD = b'{"id":"c","model":"m","choices":[{"message":{"content":"fine"},"finish_reason":"stop"}]}'
TLS = Path(__file__).resolve().parent.parent / "data" / "tls"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "interim answers with headers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "headers": (HEAD, b"X: y\r\n"),
    "header names": (HEAD, b"X-aaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "chunks of one byte": (CHUNKED, b"1\r\n \r\n"),
    "chunks with extensions": (CHUNKED, b"1;a=b;c=d\r\n \r\n"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"T: x\r\n"),
    "padding": (CHUNKED, b"b\r\n\n         \n\r\n"),
    "one body": (HEAD + b"\r\n", b" " * 1_000),
    "lines": (HEAD + b"\r\n", b"\n"),
    "a second response": (HEAD + b"Content-Length: 2\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n"),
}


def flood(ready: Connection, start: bytes, unit: bytes) -> None:
    """In a process of its own: answers every request by ``start`` and ``unit`` without end."""
    server = socket.create_server(("127.0.0.1", 0))
    ready.send(server.getsockname()[1])
    block = unit * (262_144 // len(unit))

    def serve(client: socket.socket) -> None:
        with client:
            try:
                client.recv(65_536)
                client.sendall(start)
                while True:
                    client.sendall(block)
            except OSError:
                return

    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


@pytest.fixture
def flooding() -> Iterator[Callable[[str], str]]:
    """Starts a flooding server of the named kind; its address."""
    context = multiprocessing.get_context("spawn")
    started = []

    def start(kind: str) -> str:
        mine, theirs = context.Pipe()
        process = context.Process(target=flood, args=(theirs, *ENDLESS[kind]), daemon=True)
        process.start()
        started.append(process)
        assert mine.poll(60)
        return f"http://127.0.0.1:{mine.recv()}/v1"

    yield start
    for process in started:
        process.kill()
        process.join(10)


class Slices:
    """The longest time, on this thread's own clock of the processor, between two turns of the loop."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._ended = False

    async def __aenter__(self) -> Slices:
        self._last = time.thread_time()
        self._used = time.thread_time()
        asyncio.get_running_loop().call_soon(self._turn)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        self.used = time.thread_time() - self._used

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        if not self._ended:
            asyncio.get_running_loop().call_later(0.0002, self._turn)


MOST_SLICE_SECONDS = 0.025
"""The work of one slice is a quarter of a millisecond; a collection of garbage in a long test run takes more.
Without the guard it is 70 to 220 ms."""
MOST_SECONDS_OF_WORK = 2.0


@pytest.mark.parametrize("kind", [kind for kind in ENDLESS if kind != "a second response"])
async def test_a_reply_without_end_is_ended_early_and_in_slices(
    flooding: Callable[[str], str], kind: str
) -> None:
    """The call fails, the loop turns all the while, and little is spent on it."""
    processor = LLMProcessor(
        LLMConfig(base_url=flooding(kind), max_retries=0, request_timeout_seconds=60.0),
        api_key=SecretStr("sk-test"),
    )
    async with Slices() as slices:
        with pytest.raises((NoCompletionError, TransportError)) as failure:
            async with asyncio.timeout(30):
                await processor.complete("x")
    await processor.close()
    assert "sk-test" not in str(failure.value)
    assert slices.longest < MOST_SLICE_SECONDS
    assert slices.used < MOST_SECONDS_OF_WORK


async def test_what_follows_a_reply_is_not_read(flooding: Callable[[str], str]) -> None:
    """A connection that goes on talking is closed; the next call takes another one."""
    processor = LLMProcessor(LLMConfig(base_url=flooding("a second response"), max_retries=0))
    async with Slices() as slices:
        for _ in range(3):
            with pytest.raises(NoCompletionError, match="holds no choices"):
                await processor.complete("x")
            await asyncio.sleep(0.02)
    await processor.close()
    assert slices.longest < MOST_SLICE_SECONDS


@pytest.mark.parametrize("kind", ["interim answers", "chunks of one byte", "headers"])
async def test_the_list_of_models_is_bounded_too(flooding: Callable[[str], str], kind: str) -> None:
    """It counts as one that cannot be read, and the loop turns."""
    catalogue = ModelCatalogue(flooding(kind))
    async with Slices() as slices:
        assert not await catalogue.refresh()
    assert slices.longest < MOST_SLICE_SECONDS


@pytest.mark.parametrize("kind", ["interim answers", "chunks of one byte"])
async def test_check_is_bounded_too(
    flooding: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its question for the key fails with one line."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-test")
    monkeypatch.setattr(check_server, "SECONDS", 20.0)
    config = LLMConfig(base_url=flooding(kind))
    async with Slices() as slices:
        items = await check_server.check(config, date(2026, 1, 1))
    assert [item.status for item in items if item.name == "key"] == [Status.FAIL]
    assert "sk-test" not in repr(items)
    assert slices.longest < MOST_SLICE_SECONDS


# What is strange but within bounds


def in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


LONG = GOOD.replace(b"fine", b"fine" + b" x\\n" * 60_000)
WHOLE = {
    "two interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    + CHUNKED + in_chunks(GOOD, 50),
    "chunks of one byte": CHUNKED + in_chunks(GOOD, 1),
    "chunks of one byte, long": CHUNKED + in_chunks(GOOD.replace(b"fine", b"fine" + b" x" * 1_500), 1),
    "minutes of padding": CHUNKED + in_chunks(b"\n         \n" * 1_200 + GOOD, 11),
    "a long reply at once": HEAD + b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG,
    "a long reply in chunks": CHUNKED + in_chunks(LONG, 4_000),
    "a long reply to the end of the connection": HEAD + b"\r\n" + LONG,
    "one value a line": HEAD + b"\r\n" + GOOD.replace(b",", b"," + b"\n" * 2_000),
    "bare line feeds": (HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD)).replace(b"\r", b"") + GOOD,
    "trailers": CHUNKED + in_chunks(GOOD, 40)[:-2] + b"X-Sum: 1\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("step", [0, 1_000, 7], ids=["at once", "in pieces", "in drops"])
async def test_strange_but_whole_replies_are_read(name: str, step: int) -> None:
    """However a reply is cut into frames and reads, an answer that was paid for arrives."""
    data = WHOLE[name] if step != 7 else WHOLE[name][:40_000]
    if data != WHOLE[name]:
        pytest.skip("too long for drops")

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for at in range(0, len(data), step or len(data)):
            writer.write(data[at : at + (step or len(data))])
            await writer.drain()
            await asyncio.sleep(0)
        if name.endswith("of the connection") or "line" in name:
            writer.close()
            await writer.wait_closed()
        else:
            await reader.read()

    async with raw_server(script) as where:
        processor = LLMProcessor(LLMConfig(base_url=f"http://{where}/v1", max_retries=0))
        assert (await processor.complete("x")).text.startswith("fine")
        await processor.close()


@pytest.mark.parametrize("size", [100, 20_000, 300_000, 900_000])
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("framed", [False, True])
async def test_a_reply_that_ends_with_its_connection_is_whole(
    size: int, encrypted: bool, framed: bool
) -> None:
    """The end of the connection is passed on after the input that still waits for its turn."""
    body = b"x\n" * (size // 2)
    head = HEAD + b"Connection: close\r\n"
    framing = b"Transfer-Encoding: chunked\r\n\r\n"
    reply = head + framing + in_chunks(body, 50) if framed else head + b"\r\n" + body
    served = trusted = None
    if encrypted:
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(TLS / "localhost.pem")
        trusted = ssl.create_default_context(cafile=str(TLS / "localhost.pem"))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    limits = Limits(raw_bytes=10_000_000, lines=10_000_000)
    async with raw_server(script, tls=served) as where, open_session(limits) as session:
        url = f"{'https' if encrypted else 'http'}://{where.replace('127.0.0.1', 'localhost')}/"
        for _ in range(3):
            async with session.post(url, data=b"{}", ssl=trusted or True) as response:
                assert await response.read() == body


async def test_one_connection_serves_many_long_replies() -> None:
    """Each response is counted from zero."""
    peers = set()
    reply = CHUNKED + in_chunks(LONG, 100)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        while True:
            await read_request(reader)
            writer.write(reply)
            await writer.drain()

    async with raw_server(script) as where:
        processor = LLMProcessor(LLMConfig(base_url=f"http://{where}/v1", requests_per_minute=1_000))
        for _ in range(12):
            assert (await processor.complete("x")).text.startswith("fine")
        await processor.close()
    assert len(peers) == 1
    assert 12 * reply.count(b"\n") > Limits().lines


async def test_what_a_server_adds_to_a_reply_answers_no_other_request() -> None:
    """A connection on which more came than was asked for is not used again."""
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(CHUNKED + in_chunks(GOOD, 50))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * 400)
            await writer.drain()

    async with raw_server(script) as where:
        processor = LLMProcessor(LLMConfig(base_url=f"http://{where}/v1", max_retries=0))
        for _ in range(4):
            assert (await processor.complete("x")).text == "fine"
        await processor.close()
    assert connections == 4


async def test_the_guard_sits_in_aiohttps_place() -> None:
    """Connections of the pool are guarded ones, whatever aiohttp names things."""
    seen = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED + in_chunks(GOOD, 40)[:-5])
        await reader.read()

    async with (
        raw_server(script) as where,
        open_session(Limits()) as session,
        session.post(f"http://{where}/v1", data=b"{}") as response,
    ):
        assert response.connection is not None
        seen.append(type(response.connection.protocol).__name__)
    assert seen == ["_Guarded"]
    assert HTTP_LINES_AT_ONCE * 2 < HTTP_BYTES_AT_ONCE
