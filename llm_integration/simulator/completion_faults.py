"""HTTP 200 that is not what it seems: failures in a success's clothes, and harmless oddities. Pure.

Each shape is a function of the exchange that gives the body, as an object or as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from llm_integration.simulator.error_bodies import PROVIDER_SAYS, error_body
from llm_integration.simulator.exchange import Exchange
from llm_integration.simulator.kinds import FaultInfo, Kind

__all__ = ["COMPLETIONS", "late_error"]

Shape = Callable[[Exchange], Any]

COMPLETIONS: dict[str, tuple[FaultInfo, Shape]] = {}


def _add(group: str, name: str, kind: Kind, text: str, shape: Shape) -> None:
    COMPLETIONS[name] = (FaultInfo(name, group, kind, text), shape)


def late_error(exchange: Exchange) -> dict[str, Any]:
    """An error that came when status 200 had been sent already."""
    error = error_body(502, "Upstream error from Nvidia: Service temporarily overloaded")
    return {"id": exchange.generation_id, "error": error["error"]}


def _null_filled(exchange: Exchange) -> dict[str, Any]:
    about = {"raw": "Too Many Requests", "provider_name": exchange.provider}
    names = ("id", "choices", "created", "model", "object", "service_tier", "system_fingerprint", "usage")
    return {**dict.fromkeys(names), **error_body(429, PROVIDER_SAYS, metadata=about)}


def _nested(exchange: Exchange) -> dict[str, Any]:
    names = ("id", "choices", "created", "model", "object", "usage")
    return {**dict.fromkeys(names), "provider": exchange.success()}


def _partial(exchange: Exchange) -> dict[str, Any]:
    body = exchange.completion(exchange.reading.as_json()[:40], finish_reason="error")
    body["choices"][0]["error"] = {
        "code": 502,
        "message": "Provider disconnected mid-stream",
        "metadata": {"error_type": "provider_unavailable"},
    }
    return body


def _whole_with_error(exchange: Exchange) -> dict[str, Any]:
    body = exchange.success()
    body["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected mid-stream"}
    return body


def _thought_only(exchange: Exchange) -> dict[str, Any]:
    spent = exchange.max_tokens or exchange.model.max_completion_tokens
    return exchange.completion(
        "", finish_reason="length", native=exchange.model.native_length, reasoning_tokens=spent
    )


def _filtered(exchange: Exchange) -> dict[str, Any]:
    return exchange.completion("", finish_reason="content_filter", native="SAFETY", completion_tokens=0)


def _refused(exchange: Exchange) -> dict[str, Any]:
    return exchange.completion(None, refusal="I can't help with trading decisions.", completion_tokens=12)


def _with(change: Callable[[dict[str, Any]], object]) -> Shape:
    """A shape that is the ordinary reply with something changed in place."""

    def shape(exchange: Exchange) -> dict[str, Any]:
        body = exchange.success()
        change(body)
        return body

    return shape


def _no_choices(exchange: Exchange, choices: object) -> dict[str, Any]:
    return {**exchange.completion(""), "choices": choices}


def _unknown(body: dict[str, Any]) -> None:
    body.update(service_tier="galactic", openrouter_metadata={"pipeline": []}, novelty=[1, {"a": None}])
    body["choices"][0].update(native_finish_reason="FINISHED_WELL", novelty=True)
    body["choices"][0]["message"].update(
        reasoning_details=[{"type": "reasoning.text", "text": '{"rating": 1}'}], annotations=[], images=[]
    )


def _byok(body: dict[str, Any]) -> None:
    body["usage"].update(cost=0, is_byok=True)


def _surrogates(exchange: Exchange) -> bytes:
    reading = replace(exchange.reading, analysis=f"\ud800 {exchange.reading.analysis} \udfff")
    return json.dumps(exchange.completion(reading.as_json())).encode()


# The eight failing 200s ------------------------------------------------------------------------------
_add(
    "in200",
    "error_in_200",
    Kind.RETRYABLE,
    "200 with an error and nothing else",
    lambda _: error_body(500, "Internal Server Error"),
)
_add("in200", "late_error_in_200", Kind.RETRYABLE, "200 with an id and an error, no choices", late_error)
_add("in200", "null_filled_error", Kind.RETRYABLE, "200 with nulls and a provider's 429", _null_filled)
_add("in200", "choices_empty", Kind.RETRYABLE, "200 with choices []", lambda e: _no_choices(e, []))
_add(
    "in200", "choices_null", Kind.RETRYABLE, "200 with choices null, no error", lambda e: _no_choices(e, None)
)
_add("in200", "nested_under_provider", Kind.RETRYABLE, "200, the completion nested under provider", _nested)
_add("in200", "partial_with_error", Kind.RETRYABLE, "200, partial text and choices[0].error", _partial)
_add("in200", "blank_body", Kind.RETRYABLE, "200 with blanks only", lambda _: b"\n         \n" * 20)
_add(
    "in200",
    "content_null",
    Kind.RETRYABLE,
    "200, content null, finish_reason stop",
    lambda e: e.completion(None),
)
_add(
    "in200",
    "content_empty",
    Kind.RETRYABLE,
    "200, content empty, finish_reason stop",
    lambda e: e.completion(""),
)
# Their relatives -------------------------------------------------------------------------------------
_add(
    "in200", "whole_with_error", Kind.RETRYABLE, "200, complete text and choices[0].error", _whole_with_error
)
_add(
    "in200",
    "error_word_in_200",
    Kind.RETRYABLE,
    "200 with an error whose code is a word",
    lambda _: error_body("server_error", "Provider disconnected"),
)
_add(
    "in200",
    "key_error_in_200",
    Kind.KEY,
    "200 with a 402 inside",
    lambda _: error_body(402, "Insufficient credits. Add more using https://openrouter.ai/credits"),
)
_add(
    "in200",
    "rejected_in_200",
    Kind.REJECTED,
    "200 with a 400 inside",
    lambda _: error_body(400, "Token limit reached"),
)
_add("in200", "empty_body", Kind.RETRYABLE, "200 with no byte at all", lambda _: b"")
_add("in200", "null_body", Kind.RETRYABLE, "200 with null", lambda _: b"null")
_add("in200", "list_body", Kind.RETRYABLE, "200 with a list", lambda _: b"[]")
_add(
    "in200", "choice_empty", Kind.RETRYABLE, "200, a choice without a message", lambda e: _no_choices(e, [{}])
)
_add("in200", "content_blank", Kind.RETRYABLE, "200, content one line break", lambda e: e.completion("\n"))
_add(
    "in200",
    "finish_error",
    Kind.RETRYABLE,
    "200, finish_reason error with text and no error object",
    lambda e: e.completion(e.reading.as_json(), finish_reason="error"),
)
_add(
    "in200",
    "broken_json_body",
    Kind.RETRYABLE,
    "200, body cut in the middle",
    lambda e: orjson.dumps(e.success())[:90],
)
_add("in200", "not_utf8_body", Kind.RETRYABLE, "200, body not UTF-8", lambda _: b'{"id": "\xff\xfe\xfa"')
# How a completion ends -------------------------------------------------------------------------------
_add(
    "finish",
    "length_without_text",
    Kind.TRUNCATED,
    "finish_reason length, no text: all tokens went into reasoning",
    _thought_only,
)
_add("finish", "content_filter", Kind.FILTERED, "finish_reason content_filter, no text", _filtered)
_add("finish", "refusal", Kind.FILTERED, "message.refusal, content null", _refused)
_add(
    "finish",
    "finish_null",
    Kind.READABLE,
    "finish_reason null with a complete reply",
    lambda e: e.completion(e.reading.as_json(), finish_reason=None),
)
_add(
    "finish",
    "finish_unknown",
    Kind.READABLE,
    "a finish_reason nobody knows",
    lambda e: e.completion(e.reading.as_json(), finish_reason="satisfied"),
)
# Odd but sound ---------------------------------------------------------------------------------------
_add("odd", "usage_missing", Kind.READABLE, "no usage", _with(lambda b: b.pop("usage")))
_add("odd", "usage_null", Kind.READABLE, "usage null", _with(lambda b: b.update(usage=None)))
_add("odd", "cost_missing", Kind.READABLE, "usage without cost", _with(lambda b: b["usage"].pop("cost")))
_add("odd", "byok", Kind.READABLE, "own provider key: cost 0, real price in cost_details", _with(_byok))
_add("odd", "unknown_fields", Kind.READABLE, "fields and values nobody knows yet", _with(_unknown))
_add("odd", "provider_missing", Kind.READABLE, "no provider name", _with(lambda b: b.pop("provider")))
_add(
    "odd",
    "model_dated",
    Kind.READABLE,
    "served under a dated name",
    _with(lambda b: b.update(model=b["model"] + "-20260901")),
)
_add(
    "odd",
    "bom_body",
    Kind.READABLE,
    "a byte order mark before the body",
    lambda e: b"\xef\xbb\xbf" + orjson.dumps(e.success()),
)
_add("odd", "lone_surrogates", Kind.EITHER, "halves of surrogate pairs in the text", _surrogates)
