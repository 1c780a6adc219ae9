"""One HTTP POST: bounded in time and size, one pooled session, no redirects, every fault one of our own."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from pydantic import SecretStr
from yarl import URL

from llm_integration.config import URL_VARIABLE
from llm_integration.errors import (
    CallError,
    CallTimeoutError,
    NoCompletionError,
    TransportError,
)
from llm_integration.llm_processor.envelope import RawReply
from llm_integration.llm_processor.scrub import Scrubber

__all__ = ["MOST_REPLY_BYTES", "Transport"]

MOST_REPLY_BYTES = 1_048_576
"""A longer reply is cut off and counts as none; the longest completion (65,536 tokens) is a quarter of it."""
MOST_ERROR_BYTES = 65_536
TITLE = "Tradent LLM sidecar"
CLOSE_SECONDS = 0.5
NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""``asyncio.timeout`` bounds the whole attempt; aiohttp's own timers would be restarted by every pad."""


class _Body(aiohttp.BytesPayload):
    """A request body that tells when it is being written: only then has the request been sent."""

    def __init__(self, value: bytes, on_send: Callable[[], None]) -> None:
        super().__init__(value, content_type="application/json")
        self._on_send = on_send

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._on_send()
        await super().write(writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._on_send()
        await super().write_with_length(writer, content_length)


class Transport:
    """Sends bodies to ``base_url`` + ``/chat/completions`` over a session of its own, or a given one."""

    def __init__(
        self,
        base_url: str,
        key: SecretStr | None,
        *,
        connections: int,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._url = URL(f"{base_url}/chat/completions")
        self._key = key
        self._connections = connections
        self._session = session
        self._own = session is None
        self._closed = False
        self._scrub = Scrubber(key)

    async def post(
        self, body: bytes, *, timeout: float, on_send: Callable[[], None], on_head: Callable[[], None]
    ) -> RawReply:
        """The server's response, complete within ``timeout`` seconds and MOST_REPLY_BYTES.

        Raises TransportError, CallTimeoutError or NoCompletionError (too long or undecodable).
        ``on_send`` is called when the request leaves, ``on_head`` when the head of a response has come.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(body, on_send, on_head)
        except CallError as error:
            fault = error
        except TimeoutError:
            fault = CallTimeoutError(f"no complete reply within {timeout:.3g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            fault = TransportError(self._describe(error))
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

    async def _exchange(
        self, body: bytes, on_send: Callable[[], None], on_head: Callable[[], None]
    ) -> RawReply:
        if self._closed or (self._session is not None and self._session.closed):
            raise TransportError("the session is closed")
        async with self._opened().post(
            self._url,
            data=_Body(body, on_send),
            headers=self._headers(),
            allow_redirects=False,
            auto_decompress=False,
            timeout=NO_TIMEOUTS,
        ) as response:
            on_head()
            data = await _read(response)
            return RawReply(response.status, response.headers, _unpacked(data, response))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "X-Title": TITLE,
        }
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        return headers

    def _describe(self, error: Exception) -> str:
        if isinstance(error, aiohttp.InvalidURL):
            return f"base_url ({URL_VARIABLE}) is not an address: {self._scrub(error, 100)}"
        if isinstance(error, aiohttp.ClientResponseError):  # its text quotes what was received
            return "what came back is not valid HTTP"
        return f"{self._scrub(str(error) or 'connection lost', 200)} ({type(error).__name__})"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body as it came over the wire; of an error page the beginning is enough."""
    limit = MOST_REPLY_BYTES if response.status == 200 else MOST_ERROR_BYTES
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        chunks.append(chunk)
        if size > limit:
            response.close()
            if response.status == 200:
                raise _too_long()
            break
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _unpacked(data: bytes, response: aiohttp.ClientResponse) -> bytes:
    """The decompressed body. We ask for none, but a proxy may insist; a bomb stops at the same limit."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if not data or encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise NoCompletionError("the reply is compressed in a way nobody asked for", status=response.status)
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    try:
        plain = unpacker.decompress(data, MOST_REPLY_BYTES)
    except zlib.error:
        raise NoCompletionError("the reply is compressed and damaged", status=response.status) from None
    if unpacker.unconsumed_tail and response.status == 200:
        raise _too_long()
    return plain


def _too_long() -> NoCompletionError:
    return NoCompletionError(f"the reply is longer than {MOST_REPLY_BYTES} bytes", status=200)
