"""What goes over the wire: the request's body, and the reading of whatever comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from llm_integration.errors import CallError, LineStoppedError, NoCompletionError
from llm_integration.llm_processor.dialect import PLAIN, Dialect, Refusal
from llm_integration.llm_processor.envelope import RawReply, error_in
from llm_integration.llm_processor.failures import Reader
from llm_integration.llm_processor.message import finish_reason, read_message
from llm_integration.llm_processor.stream import assembled, is_stream
from llm_integration.llm_processor.usage import UNKNOWN, Usage, read_usage
from llm_integration.pieces import next_turn_with_reply
from llm_integration.tokens import estimated_tokens

__all__ = [
    "ONE_SLICE_BYTES",
    "Completion",
    "Failed",
    "Reply",
    "estimate_tokens",
    "prompt_tokens",
    "read_long_reply",
    "read_reply",
    "request_body",
]

MESSAGE_TOKENS = 16
"""What the frame around system and user message takes, at most."""

SLOW_JSON_BYTES = 65_536
"""Up to this size a body that orjson refuses gets a second reading by the tolerant standard parser."""
PLAIN_BYTES = 98_304
MOST_STRUCTURE = 50_000
"""A body longer than PLAIN_BYTES with more commas and brackets than this would hold up the event loop
for milliseconds while it is read; no chat completion looks like that."""
ONE_SLICE_BYTES = 16_384
"""A longer body is read in several turns of the event loop."""
UNREADABLE = object()


class Completion(NamedTuple):  # a frozen dataclass of as many fields costs ten times as much to make
    """One answered call.

    ``cost_usd`` sums what all attempts of this call reported; None when the answering attempt reported
    nothing. ``api_ms`` is the time of the answering attempt, ``wait_ms`` everything before it: waiting
    for the rate limit, earlier attempts, pauses between them. ``model_requested`` is the first model of the
    plan, ``model_sent`` the one that the answering request named: a fallback, or with ``downgraded`` what
    the budget allowed. ``model_served``, ``provider`` and ``service_tier`` are as the server named them; of
    the prompt tokens ``cached_tokens`` were read from a cache and ``cache_write_tokens`` written to one, and
    ``reasoning_tokens`` of the completion's were thoughts. ``warnings`` are for the person who reads the
    result: what the server said that could not be true, where the answer was found, fields that the server
    refuses and was not sent, an error beside the reply.
    """

    text: str
    finish_reason: str | None = None
    model_requested: str | None = None
    model_served: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    attempts: int = 1
    api_ms: float = 0.0
    wait_ms: float = 0.0
    model_sent: str | None = None
    downgraded: bool = False
    response_format: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None
    warnings: tuple[str, ...] = ()


class Reply(NamedTuple):
    """A usable completion."""

    text: str
    finish_reason: str | None
    model: str | None
    provider: str | None
    generation_id: str | None
    usage: Usage
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt without a usable completion; it may have cost something all the same.

    ``of_model``: the fault lies with the model or its provider, so that another model may answer.
    ``silent``: not even the head of a response came, and the wait was long enough to tell something.
    ``refusal``: the server may have refused a field of the request. ``too_long``: the prompt does not fit.
    """

    error: CallError
    usage: Usage = UNKNOWN
    of_model: bool = False
    silent: bool = False
    refusal: Refusal | None = None
    too_long: bool = False


@lru_cache(maxsize=32)
def _system_tokens(system: str) -> int:
    return estimated_tokens(system)  # the same few texts again and again


def prompt_tokens(prompt: str, system: str | None) -> int:
    """The tokens of a prompt, at most, which both the rate limit and the budget put aside."""
    return estimated_tokens(prompt) + _system_tokens(system or "") + MESSAGE_TOKENS


def estimate_tokens(prompt: str, system: str | None, max_tokens: int) -> int:
    """The tokens of one request, at most: its prompt, and the longest reply allowed."""
    return prompt_tokens(prompt, system) + max_tokens


def request_body(
    prompt: str,
    *,
    system: str | None,
    model: str,
    max_tokens: int,
    temperature: float,
    response_format: Mapping[str, Any] | orjson.Fragment,
    reasoning_effort: str | None,
    dialect: Dialect = PLAIN,
) -> bytes:
    """The JSON of one chat completion request, not streamed, in the server's ``dialect``."""
    messages = [{"role": "user", "content": prompt}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "response_format": response_format,
        "stream": False,
    }
    if reasoning_effort is not None:
        body["reasoning"] = {"effort": reasoning_effort}
    if dialect.changes:
        body = dialect.applied(body)
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate, which UTF-8 cannot carry
        for message in body["messages"]:
            message["content"] = message["content"].encode("utf-8", "replace").decode()
        return orjson.dumps(body)


def read_reply(raw: RawReply, reader: Reader) -> Reply | Failed:
    """What a response is worth: a completion, or the error it stands for.

    OpenRouter commits HTTP 200 early and pads the body while it waits, so a 200 says nothing yet: the
    error may be in the body, in the choice, or the completion may be missing or empty.
    """
    if is_stream(raw):
        steps = assembled(raw.body)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return _classify(raw, end.value.body, reader, end.value.warnings)
    return _classify(raw, _decode(raw.body), reader)


async def read_long_reply(raw: RawReply, reader: Reader) -> Reply | Failed:
    """The same in several turns of the event loop: decoding and judging each take most of a millisecond."""
    if is_stream(raw):
        return await _read_stream(raw, reader)
    body = _decode_quickly(raw.body)
    await next_turn_with_reply()
    if body is UNREADABLE:
        body = _decode_tolerantly(raw.body)
        await next_turn_with_reply()
    return _classify(raw, body, reader)


async def _read_stream(raw: RawReply, reader: Reader) -> Reply | Failed:
    steps = assembled(raw.body)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            await next_turn_with_reply()
            return _classify(raw, end.value.body, reader, end.value.warnings)
        await next_turn_with_reply()


GOOD_ENDS = frozenset({"stop", "length", "tool_calls", "end_turn", "eos", "stop_sequence", "completed"})
"""Finish reasons with which a reply stands, whatever else the server says beside it."""
NOTHING = frozenset({"", "0", "200", "none", "null", "ok", "success"})
WRAPPERS = ("result", "data", "response")


def _classify(raw: RawReply, body: object, reader: Reader, warnings: tuple[str, ...] = ()) -> Reply | Failed:
    if not 200 <= raw.status < 300:
        return _failed(raw, body, read_usage(body, reader.scrub), reader)
    if not isinstance(body, dict):
        return _failed(raw, body, UNKNOWN, reader) if error_in(body) else _no_object(raw, reader)
    return _read_completion(raw, _unwrapped(body), reader, warnings)


def _read_completion(
    raw: RawReply, body: dict[str, Any], reader: Reader, warnings: tuple[str, ...]
) -> Reply | Failed:
    """The completion in ``body``. An error beside a reply that came to its end is a warning."""
    usage, choice = read_usage(body, reader.scrub), _choice(body)
    error = _says_something(body.get("error"))
    if choice is None:
        return _without_choice(raw, body, usage, reader)
    if error and choice.get("finish_reason") not in GOOD_ENDS:
        return _failed(raw, body, usage, reader)
    if _says_something(choice.get("error")):
        return _failed(raw, choice, usage, reader)
    outcome = _read_choice(raw, body, choice, usage, reader)
    if isinstance(outcome, Failed):
        return _failed(raw, body, usage, reader) if error else outcome
    if error:
        beside = reader.error(raw, body).error
        warnings += (f"the server sent an error beside the reply: {beside}",)
    return outcome._replace(warnings=outcome.warnings + warnings) if warnings else outcome


def _without_choice(raw: RawReply, body: dict[str, Any], usage: Usage, reader: Reader) -> Failed:
    if _says_something(body.get("error")) or ("choices" not in body and error_in(body)):
        return _failed(raw, body, usage, reader)
    missing = NoCompletionError("HTTP 200 without a completion: it holds no choices", status=200)
    return Failed(missing, usage, of_model=True)


def _no_object(raw: RawReply, reader: Reader) -> Failed:
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


def _failed(raw: RawReply, body: object, usage: Usage, reader: Reader) -> Failed:
    fault = reader.error(raw, body)
    return Failed(fault.error, usage, fault.of_model, refusal=fault.refusal, too_long=fault.too_long)


def _read_choice(
    raw: RawReply, body: dict[str, Any], choice: dict[str, Any], usage: Usage, reader: Reader
) -> Reply | Failed:
    generation = body.get("id") or raw.headers.get("X-Generation-Id")
    finish, model, provider, generation = reader.scrub.names(
        [finish_reason(choice), body.get("model"), body.get("provider"), generation]
    )
    message = read_message(choice, finish, reader)
    if isinstance(message, CallError):
        return Failed(message, usage, of_model=message.retryable)
    return Reply(message.text, finish, model, provider, generation, usage, message.warnings)


def _decode(body: bytes) -> object:
    """The JSON value in ``body``; None if there is none."""
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


def _shape(raw: RawReply, reader: Reader) -> str:
    """In a few words, what stands there instead of a completion."""
    if not raw.body.strip():
        return "the body is empty" if not raw.body else "the body is only padding"
    kind = reader.scrub(raw.headers.get("Content-Type", "no content type"), 60)
    return f"the body is not a JSON object ({kind}, {len(raw.body)} bytes)"
