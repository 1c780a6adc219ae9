"""One HTTP POST: bounded in time and size, one pooled session, no redirects, every fault one of our own."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from pydantic import SecretStr
from yarl import URL

from llm_integration.calls import RawReply, WireRequest
from llm_integration.config import URL_VARIABLE
from llm_integration.errors import (
    CallError,
    CallTimeoutError,
    ConfigError,
    LineStoppedError,
    NoCompletionError,
    TransportError,
)
from llm_integration.http_client import (
    ExcessError,
    Limits,
    certificate_fault,
    describe,
    key_objection,
    open_session,
    proxy_for,
    proxy_options,
)
from llm_integration.http_client.scrub import Scrubber
from llm_integration.llm_processor.bounds import Bounds
from llm_integration.ports import Provider

__all__ = ["MOST_REPLY_BYTES", "Transport", "Watch"]

MOST_REPLY_BYTES = 1_048_576
"""A longer reply is cut off and counts as none; the longest completion (65,536 tokens) is a quarter of it."""
MOST_ERROR_BYTES = 65_536
LIMITS = Limits()
TITLE = "Tradent LLM sidecar"
CLOSE_SECONDS = 0.5
NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""Bounds of our own end the whole attempt; aiohttp's timers would be restarted by every pad."""
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "X-Title": TITLE,
}
EVENT_STREAM = "text/event-stream"
STREAM_ENDS = (b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n")
UNPACKED_AT_A_TIME = 65_536
"""Bytes that are decompressed before the event loop gets its turn."""


class Watch(Protocol):
    """Somebody who wants to know how far a request got."""

    heard: bool
    """The head of a response has come."""

    def on_send(self) -> None:
        """The request leaves now."""


class _Body(aiohttp.BytesPayload):
    """A request body that tells when it is being written: only then has the request been sent."""

    def __init__(self, value: bytes, watch: Watch) -> None:
        super().__init__(value, content_type="application/json")
        self._watch = watch

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._watch.on_send()
        await super().write(writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._watch.on_send()
        await super().write_with_length(writer, content_length)


class Transport:
    """Sends the requests of ``provider`` to ``base_url`` over a session of its own, or a given one.

    Its own session takes the proxy that the environment names, and ends responses without end below the
    parser; a given one does as whoever brings it wants. Raises ConfigError for a key that would go
    unencrypted over the network, unless ``allow_plain_http``, and for a proxy that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        key: SecretStr | None,
        provider: Provider,
        *,
        connections: int,
        session: aiohttp.ClientSession | None = None,
        allow_plain_http: bool = False,
    ) -> None:
        if key is not None and (objection := key_objection(base_url, allowed=allow_plain_http)):
            raise ConfigError(f"base_url: {objection}")
        self._base_url, self._base = base_url, URL(base_url)
        self._path, self._url = "", self._base
        self._profile = provider.profile
        self._headers = {**HEADERS, **self._profile.headers}
        self.proxy = proxy_for(base_url) if session is None else None
        self._key = key
        self._connections = connections
        self._session = session
        self._own = session is None
        self._closed = False
        self._scrub = Scrubber(key)
        self._bounds = Bounds()

    async def post(self, request: WireRequest, *, timeout: float, watch: Watch) -> RawReply:
        """The server's response, complete within ``timeout`` seconds and MOST_REPLY_BYTES.

        Raises TransportError, CallTimeoutError or NoCompletionError (too long or undecodable).
        """
        try:
            return await self._bounds.within(timeout, self._exchange(request, watch))
        except CallError as error:
            fault = error
        except TimeoutError:
            fault = CallTimeoutError(f"no complete reply within {timeout:.3g} s")
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            fault = self._fault(error)  # RuntimeError: no thread to look up the host in
        # Raised out here on purpose: some of aiohttp's errors carry the request's headers, and as the
        # context of this one they would carry the key into whatever prints the chain.
        raise fault

    async def close(self) -> None:
        """Close the session, if it is our own, within half a second."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and self._own:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await session.close()
        self._bounds.close()

    async def _exchange(self, request: WireRequest, watch: Watch) -> RawReply:
        response = await self._opened().post(
            self._url if request.path == self._path else self._url_of(request.path),
            data=_Body(request.body, watch),
            allow_redirects=False,
            auto_decompress=False,
            timeout=NO_TIMEOUTS,
            **proxy_options(
                self.proxy, self._key_header() if self._own else {**self._headers, **self._key_header()}
            ),
        )
        try:
            watch.heard = True
            data = await _read(response)
            headers = response.headers
            encoding = headers.get("Content-Encoding")
            if encoding is not None:
                data = await _unpacked(data, encoding, response.status)
            return RawReply(response.status, headers, data)
        except BaseException:
            response.close()  # a response that was read to its end has given its connection back itself
            raise

    def _opened(self) -> aiohttp.ClientSession:
        """The session; ours has its usual headers as its own, which costs less than handing them over."""
        if self._closed or (self._session is not None and self._session.closed):
            raise TransportError("the session is closed")
        if self._session is None:
            self._session = open_session(LIMITS, connections=self._connections, headers=self._headers)
        return self._session

    def _url_of(self, path: str) -> URL:
        """The address of ``path``, which mostly is the one of the request before."""
        self._path, self._url = path, URL(f"{self._base_url}{path}")
        return self._url

    def _key_header(self) -> dict[str, str]:
        """The key goes along with each request, and stands nowhere else, in no variable either."""
        if self._key is None:
            return {}
        profile = self._profile
        return {profile.key_header: f"{profile.key_prefix}{self._key.get_secret_value()}"}

    def _fault(self, error: Exception) -> CallError:
        """Our own error for one of aiohttp's. A certificate that is refused stays refused."""
        if isinstance(error, ExcessError):
            return NoCompletionError(f"the reply is no reply: {error}")
        if told := certificate_fault(error, self._base):
            return LineStoppedError(told)
        if isinstance(error, aiohttp.InvalidURL):
            return TransportError(f"base_url ({URL_VARIABLE}) is not an address: {self._scrub(error, 100)}")
        return TransportError(self._scrub(describe(error, self._base), 260))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body as it came over the wire; of an error page the beginning is enough."""
    limit = MOST_REPLY_BYTES if response.status == 200 else MOST_ERROR_BYTES
    streamed = response.content_type == EVENT_STREAM
    content = response.content
    chunk = await content.readany()
    if content.at_eof() and len(chunk) <= limit and content.exception() is None:
        return chunk  # the usual case: the whole body came at once
    chunks: list[bytes] = []
    size = 0
    while chunk:
        size += len(chunk)
        chunks.append(chunk)
        if size > limit:
            response.close()
            if response.status == 200:
                raise _too_long()
            break
        if streamed and chunk.endswith(STREAM_ENDS):
            response.close()  # some servers leave the connection open after their last word
            break
        chunk = await content.readany()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _unpacked(data: bytes, encoding: str, status: int) -> bytes:
    """The decompressed body. We ask for none, but a proxy may insist; a bomb stops at the same limit."""
    encoding = encoding.strip().lower()
    if not data or encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise NoCompletionError("the reply is compressed in a way nobody asked for", status=status)
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    plain: list[bytes] = []
    room = MOST_REPLY_BYTES
    try:
        while room:
            most = min(room, UNPACKED_AT_A_TIME)
            plain.append(unpacker.decompress(data, most))
            data = unpacker.unconsumed_tail
            if len(plain[-1]) < most:
                break
            room -= most
            await asyncio.sleep(0)  # each piece is a slice of its own
    except zlib.error:
        raise NoCompletionError("the reply is compressed and damaged", status=status) from None
    if data and status == 200:
        raise _too_long()
    return b"".join(plain)


def _too_long() -> NoCompletionError:
    return NoCompletionError(f"the reply is longer than {MOST_REPLY_BYTES} bytes", status=200)
