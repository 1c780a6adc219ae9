"""Streams of events, put together: whatever they are cut into, and however much they are made to hurt."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import SecretStr

from llm_integration.calls import RawReply, Reply
from llm_integration.providers import Compatible
from llm_integration.providers.stream import Assembled, assembled, is_stream
from tests.unit.provider_parts import decoded

SERVER = Compatible("http://127.0.0.1:1/v1", SecretStr("sk-or-v1-MARKERMARKER"), wall_clock=lambda: 1.8e9)
MOST_SLICE_SECONDS = 0.004
"""The work of a slice is half a millisecond; a machine that is shared may take a few times as much."""


def put_together(body: bytes) -> tuple[Assembled, float]:
    """The completion in ``body``, and the longest slice of the work, in seconds of this thread."""
    steps, longest = assembled(body), 0.0
    while True:
        started = time.thread_time()
        try:
            next(steps)
        except StopIteration as end:
            return end.value, max(longest, time.thread_time() - started)
        longest = max(longest, time.thread_time() - started)


def event(content: str | None, finish: str | None = None) -> str:
    delta = {} if content is None else {"content": content}
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


@given(
    parts=st.lists(st.text(max_size=20), max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
    comments=st.booleans(),
)
def test_a_text_is_the_same_however_it_is_cut(parts: list[str], end: str, comments: bool) -> None:
    """Deltas are joined in order; comments and line ends make no difference."""
    lines = [event(part) for part in parts] + [event(None, "stop"), "data: [DONE]"]
    text = "".join((f": ping{end}{end}" if comments else "") + line + end * 2 for line in lines)
    outcome = decoded(SERVER, RawReply(200, CIMultiDict(), text.encode("utf-8", "surrogatepass")))
    whole = "".join(parts)
    if whole.strip():
        assert isinstance(outcome, Reply)
        assert (outcome.text, outcome.finish_reason) == (whole, "stop")
    else:
        assert not isinstance(outcome, Reply)


@given(st.binary(max_size=300))
def test_nothing_that_begins_like_a_stream_breaks_the_reading(junk: bytes) -> None:
    """Some outcome always comes of it."""
    for start in (b"data:", b"data: {", b": x\ndata:", b'data: {"choices": [{"delta": ', b"event: e\ndata: "):
        body = start + junk
        assert is_stream(RawReply(200, CIMultiDict(), body))
        assert decoded(SERVER, RawReply(200, CIMultiDict(), body))


HOSTILE: dict[str, bytes] = {
    "empty events": b"data: {}\n",
    "broken events": b"data:{\n",
    "comments": b": x\n",
    "line ends": b"\n",
    "small deltas": b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
    "deep events": b"data: " + b"[" * 15_000 + b"\n",
    "wide events": b'data: {"choices":[{"delta":{"content":[' + b'{"text":"a"},' * 500 + b"{}]}}]}\n",
    "one wide event": b"data:" + b"1," * 500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_long_stream_is_read_in_short_slices(name: str) -> None:
    """A megabyte of the worst leaves the event loop its turns."""
    unit = HOSTILE[name]
    body = (unit * (1_048_576 // len(unit) + 1))[:1_048_576]
    assert min(put_together(body)[1] for _ in range(3)) < MOST_SLICE_SECONDS


@pytest.mark.parametrize(
    ("start", "kind", "streamed"),
    [
        (b"data: {}", "application/json", True),
        (b"\n         \n: x", "application/json", True),
        (b'{"choices": []}', "text/event-stream", False),
        (b"[{}]", "text/event-stream", False),
        (b"ping", "text/event-stream; charset=utf-8", True),
        (b'{"choices": []}', "application/json", False),
        (b"", "application/json", False),
    ],
)
def test_a_stream_is_known_by_its_beginning(start: bytes, kind: str, streamed: bool) -> None:
    """JSON stays JSON whatever it is called."""
    assert is_stream(RawReply(200, CIMultiDict({"Content-Type": kind}), start)) is streamed


WORDS = [
    "model ", "model id ", "it ", "deployment ", "route ", "quota ", "exceeds the ", "requested url ",
    "stream ", "supported values ", "first message ", "must begin with ", "retry in 1 1 1 1 ", "wait 1 2 3 ",
    "11111111 ",
    "1,111,", "max_tokens ", "not ", "invalid model ", "\u00e9 ", "a", "[", "{", "data: ", "violates ",
]  # fmt: skip


@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
@pytest.mark.parametrize("word", WORDS)
def test_no_text_of_an_error_is_long_in_reading(status: int, word: str) -> None:
    """Sixty thousand characters made of the words that are looked for cost no more than others."""
    body: dict[str, Any] = {"error": {"message": (word * 60_000)[:60_000]}}
    raw = RawReply(status, CIMultiDict(), json.dumps(body).encode())

    def seconds() -> float:
        started = time.thread_time()
        decoded(SERVER, raw)
        return time.thread_time() - started

    assert min(seconds() for _ in range(5)) < MOST_SLICE_SECONDS
