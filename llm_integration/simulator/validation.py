"""What OpenRouter refuses before any model is asked, in its order. Pure.

Order: key, JSON, messages, parameter ranges, ``provider`` keys, the form of
``response_format``, model, parameters the model lacks, a schema that its provider does not take, context
length. Credit and free limits come after this, then whatever a script wants to happen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llm_integration.simulator.catalogue import Catalogue, Model, RetiredModelError, UnknownModelError
from llm_integration.simulator.error_bodies import PROVIDER_SAYS, plain_error
from llm_integration.simulator.exchange import SimulatedAnswer, estimate_tokens
from llm_integration.simulator.response_formats import format_fault, schema_fault

__all__ = ["Ask", "RefusedError", "check_key", "parse_body", "read_ask"]

PROVIDER_KEYS = frozenset(
    {
        "order",
        "only",
        "ignore",
        "allow_fallbacks",
        "require_parameters",
        "data_collection",
        "zdr",
        "quantizations",
        "sort",
        "max_price",
        "preferred_max_latency",
        "preferred_min_throughput",
        "enforce_distillable_text",
        "options",
    }
)
MODEL_PARAMETERS = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_tokens",
        "min_p",
        "presence_penalty",
        "reasoning",
        "repetition_penalty",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_a",
        "top_k",
        "top_logprobs",
        "top_p",
    }
)


class RefusedError(Exception):
    """The request is refused with ``answer``."""

    def __init__(self, answer: SimulatedAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _refuse(status: int, message: str, **parts: Any) -> RefusedError:
    return RefusedError(plain_error(status, message, **parts))


def check_key(authorization: str | None, keys: Collection[str] | None) -> str:
    """The key that was sent. ``keys`` None accepts any. Raises RefusedError, 401."""
    if authorization is None:
        raise _refuse(401, "Missing Authentication header")
    scheme, _, key = authorization.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise _refuse(401, "No cookie auth credentials found")
    if keys is not None and key not in keys:
        raise _refuse(401, "User not found.")
    return key


def parse_body(data: bytes) -> dict[str, Any]:
    """The request's JSON object. Raises RefusedError, 400."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        body = _lenient(data)
    if not isinstance(body, dict):
        raise _refuse(400, "Invalid JSON: expected an object")
    return body


def _lenient(data: bytes) -> Any:
    """JSON with halves of surrogate pairs, which the real server accepts and orjson does not."""
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _refuse(400, "Invalid JSON in request body") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that passed: what was asked, of which model, within which bounds."""

    asked: str
    model: Model
    prompt: str
    max_tokens: int | None
    effort: str | None
    stream: bool


def read_ask(body: Mapping[str, Any], catalogue: Catalogue) -> Ask:
    """Understand the request's body. Raises RefusedError: 400 or 404."""
    prompt = _prompt(body)
    _check_ranges(body)
    _check_provider(body.get("provider"))
    if fault := format_fault(body.get("response_format")):
        raise _refuse(400, f"Invalid request parameters: {fault}")
    asked, model = _model(body, catalogue)
    effort = _effort(body, model)
    _check_support(body, model)
    _check_schema(body, model)
    max_tokens = body.get("max_tokens") or body.get("max_completion_tokens")
    tokens = estimate_tokens(prompt)
    if tokens + (max_tokens or 0) > model.context_length:
        raise _refuse(
            400,
            f"This endpoint's maximum context length is {model.context_length} tokens. However, you requested"
            f" about {tokens + (max_tokens or 0)} tokens.",
            metadata={"error_type": "context_length_exceeded"},
        )
    return Ask(asked, model, prompt, max_tokens, effort, body.get("stream") is True)


def _prompt(body: Mapping[str, Any]) -> str:
    messages = body.get("messages")
    if messages is None and isinstance(body.get("prompt"), str):
        return str(body["prompt"])
    if not messages:
        raise _refuse(400, 'Input required: specify "prompt" or "messages"')
    if not isinstance(messages, list) or not all(isinstance(item, dict) for item in messages):
        raise _refuse(400, "Invalid request parameters: messages must be a list of messages")
    return "\n".join(_message_text(item) for item in messages)


def _message_text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if not isinstance(message.get("role"), str):
        raise _refuse(400, "Invalid request parameters: every message needs a role")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    raise _refuse(400, "Invalid request parameters: every message needs content")


def _check_ranges(body: Mapping[str, Any]) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise _refuse(400, f"Invalid request parameters: {name} must be an integer from 1 up")
    value = body.get("temperature")
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2
    ):
        raise _refuse(400, "Invalid request parameters: temperature must be a number from 0 to 2")


def _check_provider(provider: Any) -> None:
    if provider is None:
        return
    if not isinstance(provider, dict):
        raise _refuse(400, "Invalid request parameters: provider must be an object")
    strange = [key for key in provider if key not in PROVIDER_KEYS]
    if strange:
        names = ", ".join(f"'{key[:60]}'" for key in strange[:5])
        raise _refuse(400, f"Unrecognized key(s) in object: {names}")


def _model(body: Mapping[str, Any], catalogue: Catalogue) -> tuple[str, Model]:
    """The first of ``model`` and ``models`` that can be served; the first one's refusal if none can."""
    fallbacks = body.get("models") if isinstance(body.get("models"), list) else []
    wanted = [body.get("model"), *(fallbacks or [])]
    names = [name for name in wanted if isinstance(name, str) and name]
    if not names:
        return catalogue.default.id, catalogue.default
    refusal: RefusedError | None = None
    for name in names:
        try:
            return name, catalogue.find(name)
        except UnknownModelError:
            refusal = refusal or _refuse(400, f"{name[:200]} is not a valid model ID")
        except RetiredModelError:
            refusal = refusal or _refuse(404, f"No endpoints found for {name[:200]}.")
    raise refusal or _refuse(400, "Invalid request parameters")


def _effort(body: Mapping[str, Any], model: Model) -> str | None:
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else body.get("reasoning_effort")
    if effort == "none" and model.reasoning_mandatory:
        raise _refuse(400, "Reasoning is mandatory for this endpoint and cannot be disabled")
    return effort if isinstance(effort, str) else None


def _check_support(body: Mapping[str, Any], model: Model) -> None:
    provider = body.get("provider")
    if isinstance(provider, dict) and provider.get("require_parameters") is True:
        missing = (MODEL_PARAMETERS & body.keys()) - set(model.supported_parameters)
        if missing:
            raise _refuse(404, "No endpoints found that can handle the requested parameters.")


def _check_schema(body: Mapping[str, Any], model: Model) -> None:
    fault = schema_fault(body.get("response_format"), model)
    if fault is not None:
        metadata = {"raw": fault, "provider_name": model.provider, "is_byok": False}
        raise _refuse(400, PROVIDER_SAYS, metadata=metadata)
