"""Server-sent events: a completion cut into chunks, with the comments and the ends that OpenRouter sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from llm_integration.simulator.kinds import FaultInfo, Kind

__all__ = ["STREAM_FAULTS", "STREAM_TYPE", "StreamStyle", "stream_events"]

STREAM_TYPE = "text/event-stream"
PIECE_CHARS = 24
COMMENT = ": OPENROUTER PROCESSING"


@dataclass(frozen=True, slots=True)
class StreamStyle:
    """How a stream ends.

    ``usage``: in a chunk of its own without choices (as documented), with the finish reason repeated, or
    with a finish reason of null. ``error``: a failure in mid-stream, told by finish_reason "error", by null,
    or without any choice.
    """

    usage: Literal["alone", "repeated", "null"] = "alone"
    error: Literal["error", "null", "no_choices"] | None = None
    done: bool = True
    line_end: str = "\n"


STREAM_FAULTS: dict[str, tuple[FaultInfo, StreamStyle]] = {}
"""Ends of streams. They change nothing about a request that does not stream."""


def _add(name: str, kind: Kind, text: str, style: StreamStyle) -> None:
    STREAM_FAULTS[name] = (FaultInfo(name, "stream", kind, text), style)


_add(
    "stream_usage_repeated",
    Kind.READABLE,
    "usage comes with the finish reason again",
    StreamStyle(usage="repeated"),
)
_add("stream_usage_null", Kind.READABLE, "usage comes with finish_reason null", StreamStyle(usage="null"))
_add("stream_error", Kind.RETRYABLE, "an error in mid-stream, as documented", StreamStyle(error="error"))
_add(
    "stream_error_null",
    Kind.RETRYABLE,
    "an error in mid-stream, finish_reason null",
    StreamStyle(error="null"),
)
_add(
    "stream_error_no_choices",
    Kind.RETRYABLE,
    "an error in mid-stream, choices []",
    StreamStyle(error="no_choices"),
)
_add("stream_without_done", Kind.READABLE, "no [DONE] at the end", StreamStyle(done=False))
_add("stream_crlf", Kind.READABLE, "lines that end in CR LF", StreamStyle(line_end="\r\n"))


def stream_events(body: Any, style: StreamStyle | None = None) -> Iterator[bytes]:
    """The events of one answer; a body without choices becomes a single event."""
    style = style or StreamStyle()
    for line in _lines(body, style):
        yield f"{line}{style.line_end}{style.line_end}".encode()


def _lines(body: Any, style: StreamStyle) -> Iterator[str]:
    yield COMMENT
    if not isinstance(body, dict) or not body.get("choices"):
        yield _data(body if isinstance(body, dict) else {})
    else:
        yield from _chunks(body, style)
    if style.done:
        yield "data: [DONE]"


def _chunks(body: dict[str, Any], style: StreamStyle) -> Iterator[str]:
    choice = body["choices"][0]
    content = (choice.get("message") or {}).get("content")
    text = content if isinstance(content, str) else ""
    for start in range(0, len(text), PIECE_CHARS):
        yield _data(_chunk(body, {"role": "assistant", "content": text[start : start + PIECE_CHARS]}))
        yield COMMENT  # they come between chunks as well
        if style.error:
            yield _data(_failure(body, style.error))
            return
    finish = choice.get("finish_reason")
    error = {"error": choice["error"]} if "error" in choice else {}
    yield _data({**_chunk(body, {"content": ""}, finish), **error})
    if body.get("usage"):
        yield _data({**_usage_chunk(body, style, finish), "usage": body["usage"]})


def _usage_chunk(body: dict[str, Any], style: StreamStyle, finish: str | None) -> dict[str, Any]:
    if style.usage == "alone":
        return _chunk(body, None)
    return _chunk(body, {"content": ""}, finish if style.usage == "repeated" else None)


def _failure(body: dict[str, Any], told_by: str) -> dict[str, Any]:
    error = {
        "code": 502,
        "message": "Network connection lost.",
        "metadata": {"error_type": "provider_unavailable"},
    }
    delta = None if told_by == "no_choices" else {"content": ""}
    return {**_chunk(body, delta, "error" if told_by == "error" else None), "error": error}


def _chunk(body: dict[str, Any], delta: dict[str, str] | None, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": finish}
    return {
        "id": body.get("id"),
        "provider": body.get("provider"),
        "model": body.get("model"),
        "object": "chat.completion.chunk",
        "created": body.get("created"),
        "choices": [] if delta is None else [{**choice, "logprobs": None}],
    }


def _data(data: Any) -> str:
    return "data: " + orjson.dumps(data).decode()
