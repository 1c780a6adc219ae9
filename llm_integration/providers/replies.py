"""What an HTTP response to a chat completion is worth: a reply, or the error it stands for. Pure.

Servers commit HTTP 200 early and pad the body while they wait, so a 200 says nothing yet: the error may be in
the body, in the choice, or the completion may be missing or empty.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from llm_integration.calls import Failed, RawReply, Reply, Usage
from llm_integration.errors import CallError, LineStoppedError, NoCompletionError
from llm_integration.fairness import ONE_SLICE_BYTES, Steps
from llm_integration.providers.envelope import error_in
from llm_integration.providers.failures import ErrorReader
from llm_integration.providers.message import finish_reason, read_message
from llm_integration.providers.stream import assembled, is_stream
from llm_integration.providers.usage import read_usage

__all__ = ["ONE_SLICE_BYTES", "classify", "json_of", "read_reply", "reading_of"]

SLOW_JSON_BYTES = 65_536
"""Up to this size a body that orjson refuses gets a second reading by the tolerant standard parser."""
PLAIN_BYTES = 98_304
MOST_STRUCTURE = 50_000
"""A body longer than PLAIN_BYTES with more commas and brackets than this would hold up the event loop
for milliseconds while it is read; no chat completion looks like that."""
UNREADABLE = object()


def read_reply(raw: RawReply, reader: ErrorReader) -> Reply | Failed:
    """What a response with a short body that is no stream is worth."""
    return classify(raw, json_of(raw.body), reader)


def reading_of(raw: RawReply, reader: ErrorReader) -> Steps[Reply | Failed]:
    """What any response is worth, in steps: decoding and judging a long one takes a millisecond each."""
    if is_stream(raw):
        whole = yield from assembled(raw.body)
        yield
        return classify(raw, whole.body, reader, whole.warnings)
    body = _decode_quickly(raw.body)
    yield
    if body is UNREADABLE:
        body = _decode_tolerantly(raw.body)
        yield
    return classify(raw, body, reader)


GOOD_ENDS = frozenset({"stop", "length", "tool_calls", "end_turn", "eos", "stop_sequence", "completed"})
"""Finish reasons with which a reply stands, whatever else the server says beside it."""
NOTHING = frozenset({"", "0", "200", "none", "null", "ok", "success"})
WRAPPERS = ("result", "data", "response")


def classify(
    raw: RawReply, body: object, reader: ErrorReader, warnings: tuple[str, ...] = ()
) -> Reply | Failed:
    """What a response is worth whose decoded ``body`` is a chat completion, or was made into one."""
    if not 200 <= raw.status < 300:
        return reader.failed(raw, body, read_usage(body, reader.scrub))
    if not isinstance(body, dict):
        return reader.failed(raw, body) if error_in(body) else _no_object(raw, reader)
    return _read_completion(raw, _unwrapped(body), reader, warnings)


def _read_completion(
    raw: RawReply, body: dict[str, Any], reader: ErrorReader, warnings: tuple[str, ...]
) -> Reply | Failed:
    """The completion in ``body``. An error beside a reply that came to its end is a warning."""
    usage, choice = read_usage(body, reader.scrub), _choice(body)
    error = _says_something(body.get("error"))
    if choice is None:
        return _without_choice(raw, body, usage, reader)
    if error and choice.get("finish_reason") not in GOOD_ENDS:
        return reader.failed(raw, body, usage)
    if _says_something(choice.get("error")):
        return reader.failed(raw, choice, usage)
    outcome = _read_choice(raw, body, choice, usage, reader)
    if isinstance(outcome, Failed):
        return reader.failed(raw, body, usage) if error else outcome
    if error:
        beside = reader.failed(raw, body).error
        warnings += (f"the server sent an error beside the reply: {beside}",)
    return outcome._replace(warnings=outcome.warnings + warnings) if warnings else outcome


def _without_choice(raw: RawReply, body: dict[str, Any], usage: Usage, reader: ErrorReader) -> Failed:
    if _says_something(body.get("error")) or ("choices" not in body and error_in(body)):
        return reader.failed(raw, body, usage)
    missing = NoCompletionError("HTTP 200 without a completion: it holds no choices", status=200)
    return Failed(missing, usage, of_model=True)


def _no_object(raw: RawReply, reader: ErrorReader) -> Failed:
    """What a 200 means that brings no JSON: a page of a web site, or nothing to read."""
    kind = raw.headers.get("Content-Type") or ""
    if kind.startswith("text/html") and raw.body.lstrip().startswith(b"<"):
        return Failed(
            LineStoppedError(
                "a web page came instead of an answer (HTTP 200); check base_url, whose path may be missing",
                status=raw.status,
            )
        )
    error = NoCompletionError(f"HTTP 200 without a completion: {_shape(raw, reader)}", status=raw.status)
    return Failed(error, of_model=not raw.body.strip())


def _unwrapped(body: dict[str, Any]) -> dict[str, Any]:
    """The completion itself, where a gateway has put it into an object of its own."""
    if "choices" not in body:
        for name in WRAPPERS:
            inner = body.get(name)
            if isinstance(inner, dict) and isinstance(inner.get("choices"), list):
                return inner
    return body


def _choice(body: dict[str, Any]) -> dict[str, Any] | None:
    """The first choice that is one, its message in its usual place; None without any."""
    choices = body.get("choices")
    if type(choices) is list and len(choices) == 1 and type(choices[0]) is dict and choices[0].get("message"):
        return choices[0]  # the usual case
    objects = [each for each in choices[:8] if isinstance(each, dict)] if isinstance(choices, list) else []
    if not objects:
        return None
    choice = next((each for each in objects if each.get("message") or each.get("delta")), objects[0])
    if not isinstance(choice.get("message"), dict):
        if isinstance(choice.get("delta"), dict):
            return choice | {"message": choice["delta"]}
        if isinstance(choice.get("text"), str):
            return choice | {"message": {"content": choice["text"]}}
    return choice


def _says_something(error: object) -> bool:
    """Whether an ``error`` is one: blocks of nothing but empty fields stand beside good replies."""
    if isinstance(error, dict):
        return any(_says_something(value) for value in error.values())
    if isinstance(error, list):
        return any(map(_says_something, error[:10]))
    return error is not None and error is not False and str(error).strip().lower() not in NOTHING


def _read_choice(
    raw: RawReply, body: dict[str, Any], choice: dict[str, Any], usage: Usage, reader: ErrorReader
) -> Reply | Failed:
    generation = body.get("id") or raw.headers.get("X-Generation-Id")
    finish, model, provider, generation = reader.scrub.names(
        [finish_reason(choice), body.get("model"), body.get("provider"), generation]
    )
    message = read_message(choice, finish, reader)
    if isinstance(message, CallError):
        return Failed(message, usage, of_model=message.retryable)
    return Reply(message.text, finish, model, provider, generation, usage, message.warnings)


def json_of(body: bytes) -> object:
    """The JSON value in ``body``, which may be anything, at a bounded cost; None if there is none."""
    value = _decode_quickly(body)
    return _decode_tolerantly(body) if value is UNREADABLE else value


def _decode_quickly(body: bytes) -> object:
    """The JSON value in ``body``; UNREADABLE if it is not quite JSON."""
    if len(body) > PLAIN_BYTES and sum(map(body.count, (b",", b"[", b"{"))) > MOST_STRUCTURE:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return UNREADABLE


def _decode_tolerantly(body: bytes) -> object:
    """The value in what is not quite JSON; None if there is none."""
    if len(body) > SLOW_JSON_BYTES:
        return None
    try:  # NaN as a price, a lone surrogate in the text, a stray byte: no reason to lose a paid reply
        return json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def _shape(raw: RawReply, reader: ErrorReader) -> str:
    """In a few words, what stands there instead of a completion."""
    if not raw.body.strip():
        return "the body is empty" if not raw.body else "the body is only padding"
    kind = reader.scrub(raw.headers.get("Content-Type", "no content type"), 60)
    return f"the body is not a JSON object ({kind}, {len(raw.body)} bytes)"
