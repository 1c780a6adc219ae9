"""Server-sent events: a completion cut into chunks, with the comments and the end that OpenRouter sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

__all__ = ["STREAM_TYPE", "stream_events"]

STREAM_TYPE = "text/event-stream"
PIECE_CHARS = 24
COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"


def stream_events(body: Any) -> Iterator[bytes]:
    """The events of one answer; a body without choices becomes a single error event."""
    yield COMMENT
    if not isinstance(body, dict) or not body.get("choices"):
        yield _event(body if isinstance(body, dict) else {})
        yield DONE
        return
    choice = body["choices"][0]
    content = (choice.get("message") or {}).get("content")
    text = content if isinstance(content, str) else ""
    for start in range(0, len(text), PIECE_CHARS):
        yield _event(_chunk(body, {"role": "assistant", "content": text[start : start + PIECE_CHARS]}))
        if start == 0:
            yield COMMENT  # they come between chunks as well
    error = {"error": choice["error"]} if "error" in choice else {}
    yield _event({**_chunk(body, {"content": ""}, choice.get("finish_reason")), **error})
    if body.get("usage"):
        yield _event({**_chunk(body, None), "usage": body["usage"]})
    yield DONE


def _chunk(body: dict[str, Any], delta: dict[str, str] | None, finish: str | None = None) -> dict[str, Any]:
    names = ("id", "provider", "model", "created")
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    )
    return {
        **{name: body.get(name) for name in names},
        "object": "chat.completion.chunk",
        "choices": choices,
    }


def _event(data: Any) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
