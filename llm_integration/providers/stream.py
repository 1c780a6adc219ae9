"""A stream of server-sent events, asked for or not, put together into one chat completion. Pure.

Comments, blank lines and CRLF are as the protocol has them; the final usage comes in a chunk without choices,
in one that repeats the finish reason, or in one without; the last finish reason that is not null holds.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import orjson

from llm_integration.calls import RawReply
from llm_integration.fairness import STREAM_LINE_BYTES, STREAM_LINES_AT_ONCE

__all__ = ["Assembled", "assembled", "is_stream"]

MOST_STRUCTURE = 20_000
"""An event with more commas and brackets than this would hold the loop; no piece of a reply has so many."""
MOST_LINES = 65_536
MOST_PADDING = 65_536
MOST_JOINED = 8
"""Lines of one event that together are one JSON value."""
MARKS = (b"data:", b":", b"event:", b"id:", b"retry:")
TEXTS = ("content", "reasoning", "reasoning_content", "refusal")


class Assembled(NamedTuple):
    """The completion as a body without streaming would have been, and what was odd about its coming."""

    body: dict[str, Any]
    warnings: tuple[str, ...]


def is_stream(raw: RawReply) -> bool:
    """Whether a response is a stream of events, by its beginning, or by its type if it is not JSON."""
    if raw.body[:1] == b"{":
        return False  # the usual case
    start = raw.body[:MOST_PADDING].lstrip()
    if start.startswith(MARKS):
        return True
    kind = raw.headers.get("Content-Type") or ""
    return "event-stream" in kind and not start.startswith((b"{", b"["))


def assembled(body: bytes) -> Generator[None, None, Assembled]:
    """Put the stream in ``body`` together; yields whenever the event loop should get its turn."""
    parts = _Parts()
    at = work = 0
    for _ in range(MOST_LINES):
        if at >= len(body) or parts.done:
            break
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        work += 1 + (end - at) // STREAM_LINE_BYTES
        if work >= STREAM_LINES_AT_ONCE:
            work = 0
            yield
        parts.take_line(body[at:end].strip())
        at = end + 1
    return parts.together()


class _Parts:
    """What the events of one stream have brought so far."""

    def __init__(self) -> None:
        self.done = False
        self._pending: list[bytes] = []
        self._facts: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._arguments: list[str] = []
        self._choice: dict[str, Any] | None = None
        self._error: object = None

    def take_line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            if not line:
                self._pending.clear()
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.done = True
            return
        if len(data) > MOST_STRUCTURE and sum(map(data.count, (b",", b"[", b"{"))) > MOST_STRUCTURE:
            return
        self._pending.append(data)
        try:
            chunk = orjson.loads(b"\n".join(self._pending))
        except orjson.JSONDecodeError:
            if len(self._pending) >= MOST_JOINED:
                self._pending.clear()
            return
        self._pending.clear()
        if isinstance(chunk, dict):
            self._take(chunk)

    def _take(self, chunk: dict[str, Any]) -> None:
        for name in ("id", "model", "provider", "created", "service_tier"):
            if chunk.get(name) is not None:
                self._facts.setdefault(name, chunk[name])
        extra = chunk.get("x_groq")
        usage = chunk.get("usage") or (extra.get("usage") if isinstance(extra, dict) else None)
        if isinstance(usage, dict):
            self._facts["usage"] = usage
        self._error = self._error or chunk.get("error")
        choices = chunk.get("choices")
        for choice in choices[:4] if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (None, 0):
                self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        self._choice = self._choice or {"index": 0, "finish_reason": None}
        for name in ("finish_reason", "native_finish_reason"):
            if choice.get(name) is not None:
                self._choice[name] = choice[name]
        self._error = self._error or choice.get("error")
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._take_delta(delta)
        elif isinstance(choice.get("text"), str):
            self._texts.setdefault("content", []).append(choice["text"])

    def _take_delta(self, delta: dict[str, Any]) -> None:
        for name in TEXTS:
            value = delta.get(name)
            if isinstance(value, list):
                value = "".join(
                    part["text"]
                    for part in value
                    if isinstance(part, dict) and isinstance(part.get("text"), str)
                )
            if isinstance(value, str) and value:
                self._texts.setdefault(name, []).append(value)
        calls = delta.get("tool_calls")
        for call in calls[:1] if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            arguments = function.get("arguments") if isinstance(function, dict) else None
            if isinstance(arguments, str):
                self._arguments.append(arguments)

    def together(self) -> Assembled:
        """One completion. A stream that ends without a word about its end was cut."""
        body = dict(self._facts)
        warnings: tuple[str, ...] = ("the reply came as a stream",)
        if self._error:
            body["error"] = self._error
        if self._choice is None:
            return Assembled(body | {"choices": []}, warnings)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {name: "".join(texts) for name, texts in self._texts.items()}
        if self._arguments:
            message["tool_calls"] = [
                {"type": "function", "function": {"arguments": "".join(self._arguments)}}
            ]
        choice = self._choice | {"message": message}
        if choice["finish_reason"] is None and not self.done and not self._error and message["content"]:
            choice["finish_reason"] = "length"
            warnings += ("the stream broke off before its end",)
        return Assembled(body | {"choices": [choice]}, warnings)
