"""What the network and the edge do to a response: padding, cuts, silence, floods.

None of these keeps the event loop: heavy bodies are built once in a thread, and sent in slices.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web

from llm_integration.simulator.completion_faults import late_error
from llm_integration.simulator.exchange import JSON_TYPE, Exchange, SimulatedAnswer
from llm_integration.simulator.kinds import FaultInfo, Kind

__all__ = ["COMMON_HEADERS", "WIRES", "WireLine", "finished"]

COMMON_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Generation-Id,cf-ray",
    "cf-ray": "0000000000000000-SIM",
    "Server": "simulated",
}

PAD = b"\n         \n"
"""One unit of keep-alive padding, as seen in the wild: a line break, nine blanks, a line break."""
SLICE = b" " * 65_536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class WireLine:
    """One request's connection, and how long things may take on it.

    ``hang_seconds`` bounds every fault that would otherwise last for ever.
    """

    request: web.Request
    sleep: Callable[[float], Awaitable[Any]]
    pad_interval_seconds: float
    hang_seconds: float
    generation_id: str
    headers: Mapping[str, str]

    async def open(self, **headers: str) -> web.StreamResponse:
        """Send status 200 and the headers, nothing else yet."""
        response = web.StreamResponse(headers={**self.headers, "Content-Type": JSON_TYPE, **headers})
        if "Content-Length" not in headers:
            response.enable_chunked_encoding()
        await response.prepare(self.request)
        return response

    def reset(self) -> web.Response:
        """Cut the connection with a TCP reset."""
        transport = self.request.transport
        if transport is not None:
            raw = transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            transport.abort()
        return web.Response()

    def send_raw(self, data: bytes) -> web.Response:
        """Put ``data`` on the connection as it is and close it in good order."""
        transport = self.request.transport
        if transport is not None:
            transport.write(data)
            transport.close()
        return web.Response()


WireFault = Callable[[Exchange, WireLine], Awaitable[web.StreamResponse]]

WIRES: dict[str, tuple[FaultInfo, WireFault]] = {}


def _wire(name: str, group: str, kind: Kind, text: str, **defaults: Any) -> Callable[[WireFault], WireFault]:
    def register(run: WireFault) -> WireFault:
        WIRES[name] = (FaultInfo(name, group, kind, text, defaults), run)
        return run

    return register


def _body(exchange: Exchange) -> bytes:
    return orjson.dumps(exchange.success())


# Padding ---------------------------------------------------------------------------------------------
async def _pads(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    """Status, headers and the asked number of pads, one every ``interval`` seconds."""
    interval = exchange.params["interval"]
    response = await line.open()
    for _ in range(int(exchange.params["pads"])):
        await response.write(PAD)
        await line.sleep(line.pad_interval_seconds if interval is None else float(interval))
    return response


@_wire("pad_then_json", "padding", Kind.READABLE, "padding, then the reply", pads=3, interval=None)
async def _pad_then_json(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    response = await _pads(exchange, line)
    await response.write(_body(exchange))
    return response


@_wire("pad_then_error", "padding", Kind.RETRYABLE, "padding, then an error", pads=3, interval=None)
async def _pad_then_error(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    response = await _pads(exchange, line)
    await response.write(orjson.dumps(late_error(exchange)))
    return response


@_wire("pad_then_nothing", "padding", Kind.RETRYABLE, "padding, then the end", pads=3, interval=None)
async def _pad_then_nothing(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    return await _pads(exchange, line)


@_wire("pad_then_abort", "padding", Kind.RETRYABLE, "padding, then a reset", pads=3, interval=None)
async def _pad_then_abort(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    await _pads(exchange, line)
    return line.reset()


@_wire("pad_for_ever", "padding", Kind.RETRYABLE, "padding without end", interval=None)
async def _pad_for_ever(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    interval = exchange.params["interval"]
    pause = max(0.001, line.pad_interval_seconds if interval is None else float(interval))
    response, spent = await line.open(), 0.0
    while spent < line.hang_seconds:
        await response.write(PAD)
        await line.sleep(pause)
        spent += pause
    return line.reset()


# Cuts and silence ------------------------------------------------------------------------------------
@_wire("reset_before_headers", "network", Kind.RETRYABLE, "connection reset before any byte")
async def _reset_before_headers(_: Exchange, line: WireLine) -> web.StreamResponse:
    return line.reset()


@_wire("reset_mid_body", "network", Kind.RETRYABLE, "connection reset in the middle of the body", after=40)
async def _reset_mid_body(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    response = await line.open()
    await response.write(_body(exchange)[: int(exchange.params["after"])])
    return line.reset()


@_wire("closed_before_headers", "network", Kind.RETRYABLE, "connection closed before any byte")
async def _closed_before_headers(_: Exchange, line: WireLine) -> web.StreamResponse:
    return line.send_raw(b"")


@_wire("hang", "network", Kind.RETRYABLE, "no byte ever comes")
async def _hang(_: Exchange, line: WireLine) -> web.StreamResponse:
    await line.sleep(line.hang_seconds)
    return line.reset()


@_wire("hang_after_headers", "network", Kind.RETRYABLE, "headers, then silence")
async def _hang_after_headers(_: Exchange, line: WireLine) -> web.StreamResponse:
    response = await line.open()
    await response.write(PAD)  # aiohttp sends the headers with the first byte of the body
    await line.sleep(line.hang_seconds)
    return line.reset()


@_wire("hang_mid_body", "network", Kind.RETRYABLE, "silence in the middle of the body", after=40)
async def _hang_mid_body(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    response = await line.open()
    await response.write(_body(exchange)[: int(exchange.params["after"])])
    await line.sleep(line.hang_seconds)
    return line.reset()


@_wire("slow_drip", "network", Kind.READABLE, "the reply in small pieces", size=64, interval=0.01)
async def _slow_drip(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    body, size = _body(exchange), max(1, int(exchange.params["size"]))
    response = await line.open()
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
        await line.sleep(float(exchange.params["interval"]))
    return response


@_wire("slow", "network", Kind.READABLE, "the reply after a while", seconds=1.0)
async def _slow(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    await line.sleep(float(exchange.params["seconds"]))
    return web.Response(body=_body(exchange), content_type=JSON_TYPE, headers=line.headers)


def _head(length: int, status: str = "200 OK") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {JSON_TYPE}\r\nContent-Length: {length}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


@_wire("length_too_long", "network", Kind.RETRYABLE, "Content-Length promises more than comes")
async def _length_too_long(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    body = _body(exchange)
    return line.send_raw(_head(len(body) + 100) + body)


@_wire("length_too_short", "network", Kind.RETRYABLE, "Content-Length ends inside the reply")
async def _length_too_short(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    body = _body(exchange)
    return line.send_raw(_head(len(body) // 2) + body)


@_wire("not_http", "network", Kind.RETRYABLE, "an answer that is not HTTP")
async def _not_http(_: Exchange, line: WireLine) -> web.StreamResponse:
    return line.send_raw(b"SSH-2.0-OpenSSH_9.6\r\n")


# Types and codings -----------------------------------------------------------------------------------
@_wire("text_plain", "odd", Kind.READABLE, "the reply declared as text/plain")
async def _text_plain(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    return web.Response(body=_body(exchange), content_type="text/plain", headers=line.headers)


@_wire("html_200", "in200", Kind.MODEL, "200 with an HTML page")
async def _html_200(_: Exchange, line: WireLine) -> web.StreamResponse:
    page = "<!DOCTYPE html><html><body>Checking your browser</body></html>"
    return web.Response(text=page, content_type="text/html", headers=line.headers)


@_wire("gzip", "odd", Kind.READABLE, "the reply compressed")
async def _gzip(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    packed = _packed(_body(exchange))
    return web.Response(
        body=packed, content_type=JSON_TYPE, headers={**line.headers, "Content-Encoding": "gzip"}
    )


@_wire("gzip_broken", "network", Kind.RETRYABLE, "declared as gzip, but is not")
async def _gzip_broken(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    return web.Response(
        body=_body(exchange), content_type=JSON_TYPE, headers={**line.headers, "Content-Encoding": "gzip"}
    )


def _packed(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


@lru_cache(maxsize=4)
def _bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    block = b" " * 1_048_576
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


@_wire("gzip_bomb", "network", Kind.RETRYABLE, "a small body that unpacks to a huge one", megabytes=64)
async def _gzip_bomb(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    packed = await asyncio.to_thread(_bomb, int(exchange.params["megabytes"]))
    response = await line.open(**{"Content-Encoding": "gzip"})
    for start in range(0, len(packed), len(SLICE)):
        await response.write(packed[start : start + len(SLICE)])
        await asyncio.sleep(0)
    return response


@_wire("huge_body", "network", Kind.RETRYABLE, "a body of 10 MB", megabytes=10)
async def _huge_body(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    head, tail = orjson.dumps(exchange.completion("@")).split(b'"@"')
    response = await line.open()
    await response.write(head + b'"')
    for _ in range(int(exchange.params["megabytes"]) * 1_048_576 // len(SLICE)):
        await response.write(SLICE)
        await asyncio.sleep(0)  # a client that reads fast never makes the write itself wait
    await response.write(b'"' + tail)
    return response


@_wire("redirect", "network", Kind.MODEL, "a redirect; the key must not follow it", location=None, status=307)
async def _redirect(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    location = exchange.params["location"] or exchange.base_url.removesuffix("/api/v1") + "/elsewhere"
    return web.Response(status=int(exchange.params["status"]), headers={"Location": str(location)})


@_wire("unasked_stream", "odd", Kind.READABLE, "server-sent events though nobody asked for them")
async def _unasked_stream(exchange: Exchange, line: WireLine) -> web.StreamResponse:
    text = f": OPENROUTER PROCESSING\n\ndata: {_body(exchange).decode()}\n\ndata: [DONE]\n\n"
    return web.Response(text=text, content_type="text/event-stream", headers=line.headers)


def finished(answer: SimulatedAnswer, headers: Mapping[str, str]) -> web.Response:
    """``answer`` as a chunked response, the way OpenRouter sends JSON."""
    response = web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        headers={**headers, **answer.headers},
    )
    response.enable_chunked_encoding()
    return response
