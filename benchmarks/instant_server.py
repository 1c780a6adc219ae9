"""A chat completion server that answers at once, so that what is measured is the client.

A bare ``asyncio.Protocol`` in a process of its own: it looks for the end of the headers and for
Content-Length, and writes one ready-made response. The first part of the path says which:

- ``/v1/...``: a well-formed reply at once;
- ``/d250/v1/...``: the same after 250 ms;
- ``/hostile/v1/...``: in turn replies made to hurt a reader, up to 64 KB each, all with HTTP 200.

It prints its port on one line and runs until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import Iterator
from typing import cast

from benchmarks.loops import run

__all__ = ["GOOD_CONTENT", "body", "hostile_contents"]

GOOD_CONTENT = (
    '{"rating": 4, "choppiness": "no", "analysis": "The averages point up, pullbacks are shallow and closes '
    'stay in the upper half of their bars; volume confirms.", "recommendations": "Take the trade '
    'at the stated stop; move the stop to break-even after one risk."}'
)
KILOBYTES = 1024


def body(content: str) -> bytes:
    """A success body as OpenRouter sends it, with ``content`` as the model's text."""
    return json.dumps(
        {
            "id": "gen-1767600000-abcdefghijklmnopqrst",
            "provider": "Google AI Studio",
            "model": "google/gemini-3.5-flash-lite",
            "object": "chat.completion",
            "created": 1767600000,
            "choices": [
                {
                    "logprobs": None,
                    "finish_reason": "stop",
                    "native_finish_reason": "STOP",
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": None, "reasoning": None},
                }
            ],
            "usage": {
                "prompt_tokens": 1012,
                "completion_tokens": 81,
                "total_tokens": 1093,
                "cost": 0.00013365,
                "is_byok": False,
                "prompt_tokens_details": {"cached_tokens": 0},
                "cost_details": {"upstream_inference_cost": None},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        }
    ).encode()


def hostile_contents(size: int = 60 * KILOBYTES) -> dict[str, str]:
    """Texts of ``size`` characters, each of which hurts some way of looking for JSON in prose."""

    def filled(piece: str) -> str:
        return (piece * (size // len(piece) + 1))[:size]

    return {
        "open braces": filled("{"),
        "open objects": filled('{"a":'),
        "open brackets": filled("["),
        "quotes and escapes": filled('\\"{"'),
        "drafts never closed": filled("<think>{"),
        "fences": filled("```json\n"),
        "almost ratings": filled('{"rating": 4, "rating": 2}, '),
        "rating in prose": filled("rating: 4/5 or is it not? "),
        "one long number": '{"rating": ' + "9" * (size - 12) + "}",
        "white space": '{"rating"' + " " * (size - 12) + ": 4}",
    }


def _response(payload: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
        "Connection: keep-alive\r\n\r\n"
    )
    return head.encode() + payload


class InstantServer(asyncio.Protocol):
    """One connection."""

    good = _response(body(GOOD_CONTENT))
    # All of them complete, or the circuit breaker would soon keep every further one away.
    hostile: Iterator[bytes] = itertools.cycle(
        [_response(body(text)) for text in hostile_contents().values()]
        + [_response(b"\n" * 60_000 + body(GOOD_CONTENT))]
    )

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._received = self._received + data if self._received else data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _content_length(self._received[:end])
            if len(self._received) < end + 4 + length:
                return
            path = self._received.split(b" ", 2)[1]
            self._received = self._received[end + 4 + length :]
            self._answer(path)

    def _answer(self, path: bytes) -> None:
        first = path.split(b"/", 2)[1]
        if first == b"hostile":
            self._write(next(self.hostile))
        elif first[:1] == b"d" and first[1:].isdigit():
            asyncio.get_running_loop().call_later(int(first[1:]) / 1000, self._write, self.good)
        else:
            self._write(self.good)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r", 1)[0]) if at >= 0 else 0


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(InstantServer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started us is gone
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(_serve(), "uvloop")
