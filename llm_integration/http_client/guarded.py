"""A connection whose server cannot hold the event loop: counted and sliced before aiohttp's parser sees it.

aiohttp parses whatever one read brings in one go. A read of 256 KB may hold ten thousand interim answers
or forty thousand chunks of one byte, which takes the parser up to a quarter of a second, and an endless
stream of them all of the processor. So input is counted first and fed in pieces, each in a turn of the
event loop of its own; what goes beyond the limits ends the connection.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler

from llm_integration.fairness import HTTP_BYTES_AT_ONCE, HTTP_LINES_AT_ONCE

__all__ = ["ExcessError", "GuardedConnector", "Limits", "open_session"]

MOST_HEAD_BYTES = 65_536
MOST_HEAD_LINES = 512
MOST_INTERIM = 8
"""Answers of class 1xx before the real one; ``103 Early Hints`` may come a few times."""

_BLANK_LINE = re.compile(rb"\n\r?\n")


class ExcessError(aiohttp.ClientError):
    """The server sent more than a response of its kind may be; the message says of what."""


class Limits(NamedTuple):
    """What one response may be: bytes as they come over the wire, lines (frames of chunks are lines too),
    and reads of the socket."""

    raw_bytes: int = 4 * 1_048_576
    lines: int = 32_768
    reads: int = 20_000


class _Guarded(ResponseHandler):
    """aiohttp's protocol behind a counter.

    Input that waits for its turn is kept here, within the limits; the transport is not paused, since one
    that is encrypted loses what it holds when its peer closes meanwhile. The end of the connection is passed
    on only after the input before it.
    """

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._limits = limits
        self._waiting: deque[bytes] = deque()
        self._scheduled = False
        self._lost: tuple[BaseException | None] | None = None
        self._excess: ExcessError | None = None
        self._start_counting()

    def _start_counting(self) -> None:
        self._came = self._bytes = self._lines = self._reads = self._interim = 0
        self._in_head = True
        self._head = self._carried = b""

    # What aiohttp calls

    @property
    def should_close(self) -> bool:
        """Whether the connection is of no further use: what waits here would answer the next request."""
        return bool(self._waiting) or self._lost is not None or super().should_close

    def set_response_params(self, **params: Any) -> None:
        """A request is about to be sent: its response is counted from zero."""
        self._start_counting()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Input from the transport, or from aiohttp itself, which passes nothing on to go on parsing."""
        if not data or self._parser is None:
            super().data_received(data)
            return
        if self._excess is not None:
            return
        self._reads += 1
        self._came += len(data)
        if self._came > self._limits.raw_bytes:
            self._refuse(ExcessError(f"the response is longer than {self._limits.raw_bytes} bytes"))
        elif self._waiting:
            self._waiting.append(data)
        elif len(data) > HTTP_BYTES_AT_ONCE or data.count(b"\n") > HTTP_LINES_AT_ONCE:
            self._waiting.append(data)
            self._feed_next()
            self._go_on_later()
        else:
            self._feed(data, data.count(b"\n"))

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport is closed; if input still waits, aiohttp hears of it afterwards."""
        if self._waiting and self._excess is None and self.transport is not None:
            self._lost = (exc,)
            self._go_on_later()
            return
        self._waiting.clear()
        self._end(exc)

    def close(self) -> None:
        """Nobody wants the rest."""
        self._drop_waiting()
        super().close()

    def abort(self) -> None:
        """Nobody wants the rest."""
        self._drop_waiting()
        super().abort()

    # Turns

    def _go_on_later(self) -> None:
        """Another piece in the next turn of the loop."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        if self._waiting:
            self._feed_next()
        if self._waiting:
            self._go_on_later()
        elif self._lost is not None:
            self._end(self._lost[0])

    def _feed_next(self) -> None:
        """As much of what waits as the parser may get in one turn."""
        data = self._waiting[0]
        end = min(len(data), HTTP_BYTES_AT_ONCE)
        lines = data.count(b"\n", 0, end)
        if lines > HTTP_LINES_AT_ONCE:
            lines, end = HTTP_LINES_AT_ONCE, 0
            for _ in range(HTTP_LINES_AT_ONCE):
                end = data.find(b"\n", end) + 1
        piece = data[:end]
        if end == len(data):
            self._waiting.popleft()
        else:
            self._waiting[0] = data[end:]
        self._feed(piece, lines)

    def _feed(self, piece: bytes, lines: int) -> None:
        self._bytes += len(piece)
        self._lines += lines
        if self._in_head:
            self._look_at_head(piece)
        reason = self._objection()
        if reason is None:
            super().data_received(piece)
        else:
            self._refuse(ExcessError(reason))

    # Counting

    def _look_at_head(self, piece: bytes) -> None:
        """Find the end of the head, and count the interim answers before it."""
        data = self._carried + piece
        at = 0
        while found := _BLANK_LINE.search(data, at):
            if not self._head:
                self._head = data[at : at + 12]
            if self._head[9:10] != b"1" or self._head[9:12] == b"101":
                self._in_head = False
                self._lines = data.count(b"\n", found.end())
                return
            self._interim += 1
            if self._interim > MOST_INTERIM:
                return
            self._head, at = b"", found.end()
        if not self._head and len(data) - at >= 12:
            self._head = data[at : at + 12]
        keep = len(data) - 2 if self._head else at
        self._carried = data[max(at, keep) :]

    def _objection(self) -> str | None:
        """Why this response is ended; None as long as it is within its limits."""
        if self._in_head:
            if self._interim > MOST_INTERIM:
                return f"the server sends one interim answer after the other, more than {MOST_INTERIM}"
            if self._bytes > MOST_HEAD_BYTES or self._lines > MOST_HEAD_LINES:
                return f"the head of the response is over {MOST_HEAD_BYTES} bytes or {MOST_HEAD_LINES} lines"
        most = self._limits
        if self._lines > most.lines:
            return f"the response comes in more than {most.lines} lines or frames"
        if self._reads > most.reads:
            return f"the response comes in more than {most.reads} pieces"
        return None

    # The end

    def _refuse(self, error: ExcessError) -> None:
        self._excess = error
        self._waiting.clear()
        self._tell(error)
        if self.transport is not None:
            self.transport.abort()

    def _end(self, exc: BaseException | None) -> None:
        self._lost = None
        payload = self._payload
        super().connection_lost(exc)
        if self._excess is not None:  # aiohttp has put its own, less telling, error over it
            self.set_exception(self._excess)
            if payload is not None:
                payload.set_exception(self._excess)

    def _tell(self, error: ExcessError) -> None:
        if self._payload is not None:
            self._payload.set_exception(error)
        self.set_exception(error)

    def _drop_waiting(self) -> None:
        """Forget what waits. An end that waited for it comes in a turn of its own: the parser, in whose
        middle a finished response closes its connection, must not hear of it now."""
        self._waiting.clear()
        if self._lost is not None:
            self._go_on_later()


class GuardedConnector(aiohttp.TCPConnector):
    """A pool of connections each of whose responses stays within ``limits``."""

    def __init__(self, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        # aiohttp has no public way to bring a protocol of one's own; a test fails if this name goes.
        self._factory = functools.partial(_Guarded, limits, loop=self._loop)  # type: ignore[assignment]


def open_session(
    limits: Limits, *, connections: int = 4, headers: Mapping[str, str] | None = None
) -> aiohttp.ClientSession:
    """A session without cookies, without ``.netrc`` and without proxies of its own, within ``limits``."""
    return aiohttp.ClientSession(
        connector=GuardedConnector(limits, limit=connections, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        read_bufsize=limits.raw_bytes,  # what the limits let through is never held back, see _Guarded
        trust_env=False,  # it would read .netrc for a password; proxies.py does what else it does
    )
