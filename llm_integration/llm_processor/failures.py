"""From an error of OpenRouter, in any of its forms, to a leaf of our error tree. Pure.

The envelope is ``{"error": {"code", "message", "metadata"}}``, but codes come as numbers, digits, words
or not at all, the cause may be wrapped in ``metadata.raw`` (text, JSON in text, an SSE frame, an
object), and the same status means different things: a 429 for a minute or until midnight, a 402 for
this moment or for good, a 403 for this prompt or for the key, a 404 for the model or for the request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import orjson

from llm_integration.config import KEY_VARIABLE, URL_VARIABLE
from llm_integration.errors import (
    CallError,
    ContentFilteredError,
    KeyRefusedError,
    LineStoppedError,
    ModelUnavailableError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.llm_processor.scrub import Scrubber

__all__ = ["Reader", "page_text"]

LONGEST_WAIT = 86_400.0
"""Seconds; a server that asks for more is asked again after a day."""
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 529, *range(520, 525)})

WORD_CODES = {
    "server_error": 500,
    "server": 500,
    "internal_server_error": 500,
    "provider_unavailable": 502,
    "provider_overloaded": 503,
    "overloaded": 503,
    "timeout": 504,
    "rate_limit_exceeded": 429,
    "rate_limited": 429,
    "insufficient_quota": 402,
    "payment_required": 402,
    "authentication": 401,
    "invalid_api_key": 401,
    "permission_denied": 403,
    "not_found": 404,
    "payload_too_large": 413,
    "unprocessable": 422,
    "precondition_failed": 412,
    "context_length_exceeded": 400,
    "max_tokens_exceeded": 400,
    "token_limit_exceeded": 400,
    "string_too_long": 400,
    "invalid_request": 400,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "unsupported_value": 400,
    "content_policy_violation": 400,
    "refusal": 400,
    # error.availability.code
    "model_not_found": 400,
    "wrong_endpoint": 400,
    "no_endpoints": 404,
    "model_deprecated": 404,
    "model_unavailable_upstream": 404,
    "privacy_restricted": 404,
    "constraint_filtered": 404,
    "free_variant_ended": 404,
    "region_restricted": 403,
    "capacity_exhausted": 429,
    "temporarily_unavailable": 503,
}
MODEL_GONE_CODES = frozenset(
    {
        "model_not_found",
        "no_endpoints",
        "model_deprecated",
        "model_unavailable_upstream",
        "free_variant_ended",
        "region_restricted",
    }
)
FILTER_TYPES = frozenset({"content_policy_violation", "refusal"})

_MODEL_GONE = re.compile(
    r"no endpoints found for\b|is not a valid model|no allowed providers are available"
    r"|\bmodel\b.{0,220}\b(?:not found|does not exist|is not available)",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(r"can handle the requested parameters", re.IGNORECASE)
_DATA_POLICY = re.compile(r"data policy", re.IGNORECASE)
_REASONING = re.compile(r"reasoning is mandatory", re.IGNORECASE)
_FLAGGED = re.compile(r"\bflagged (?:for|as|by)\b|requires moderation|content policy", re.IGNORECASE)
_PER_DAY = re.compile(r"free-models-per-day", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,200})", re.IGNORECASE)


class _Response(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Envelope:
    """One error with its wrappings taken off. ``words`` are its type and availability code, if any."""

    status: int
    http_status: int
    text: str
    error_type: str
    metadata: Mapping[str, Any]
    availability: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def words(self) -> frozenset[str]:
        code = self.availability.get("code")
        return frozenset({self.error_type, code if isinstance(code, str) else ""})


class Reader:
    """Reads errors. Knows what to hide (``scrub``) and the time of day (``wall_clock``, epoch seconds)."""

    def __init__(self, scrub: Scrubber, wall_clock: Callable[[], float]) -> None:
        self.scrub = scrub
        self._wall_clock = wall_clock

    def error(self, response: _Response, body: object, model: str) -> CallError:
        """The leaf of the error tree for a failing response to a request for ``model``.

        ``body`` is the decoded JSON, or the choice that carries the error; anything else is tolerated.
        """
        envelope = self._open(response, body)
        cls, advice = _classify(envelope, model)
        text = f"{envelope.text}{'; ' if advice else ''}{advice}"
        wait = self._wait(envelope) if cls in (RateLimitedError, ServerError) else None
        return cls(text, status=envelope.status, retry_after=wait)

    def _open(self, response: _Response, body: object) -> _Envelope:
        error: Any = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            error = {"message": error if isinstance(error, str) else page_text(response.body)}
        metadata, availability = _mapping(error.get("metadata")), _mapping(error.get("availability"))
        error_type = next(
            (t for t in (metadata.get("error_type"), error.get("error_type")) if isinstance(t, str)), ""
        )
        status = _status(response.status, error, error_type, availability)
        seen = (
            f"HTTP {status}" if status == response.status else f"code {status} inside HTTP {response.status}"
        )
        text = self.scrub(_message(error, metadata), 220) or "no explanation"
        kind = f", {self.scrub(error_type, 40)}" if error_type else ""
        return _Envelope(
            status,
            response.status,
            f"{text} ({seen}{kind})",
            error_type,
            metadata,
            availability,
            response.headers,
        )

    def _wait(self, envelope: _Envelope) -> float | None:
        """Seconds the server wants us to wait, the longest of what it says; None if it says nothing."""
        now = self._wall_clock()
        waits = [
            _retry_after(envelope.headers.get("Retry-After"), now),
            _seconds(envelope.availability.get("retry_after")),
        ]
        if envelope.status == 429:
            waits.append(_reset(envelope.headers.get("X-RateLimit-Reset"), now))
            copied = _mapping(envelope.metadata.get("headers"))
            waits.append(_reset(copied.get("X-RateLimit-Reset"), now))
            if _PER_DAY.search(envelope.text) and not any(waits):
                waits.append(86_400.0 - now % 86_400.0)  # the free quota starts anew at midnight UTC
        known = [wait for wait in waits if wait is not None]
        return min(max(known), LONGEST_WAIT) if known else None


def _classify(envelope: _Envelope, model: str) -> tuple[type[CallError], str]:
    """The leaf, and what to do about it."""
    if _is_filter(envelope):
        return ContentFilteredError, ""
    if envelope.status in (400, 403, 404) and _is_model_gone(envelope):
        return ModelUnavailableError, f"the model {model!r} cannot be had"
    if envelope.status in (401, 402, 403):
        return _classify_key(envelope)
    if envelope.status in (404, 405, 410) or 300 <= envelope.status < 400:
        return _classify_address(envelope)
    if envelope.status == 429:
        return RateLimitedError, ""
    if envelope.status in RETRYABLE_STATUSES or envelope.status >= 500:
        refused = envelope.availability.get("retryable") is False
        return (RequestRejectedError if refused else ServerError), ""
    if envelope.availability.get("retryable") is True:
        return ServerError, ""
    if _REASONING.search(envelope.text):
        return LineStoppedError, "set reasoning_effort to minimal or higher"
    return RequestRejectedError, _advice_for_rejected(envelope)


def _classify_key(envelope: _Envelope) -> tuple[type[CallError], str]:
    source = envelope.metadata.get("limit_source")
    reason = envelope.metadata.get("reason")
    if envelope.status == 402 and (
        source == "openrouter_in_flight_budget" or reason == "in_flight_budget_exhausted"
    ):
        return RateLimitedError, ""
    if envelope.status == 402:
        return KeyRefusedError, "add credits or lower max_tokens"
    if envelope.status == 401:
        return KeyRefusedError, f"check {KEY_VARIABLE}"
    return KeyRefusedError, "check the limits and permissions of the key"


def _classify_address(envelope: _Envelope) -> tuple[type[CallError], str]:
    """404 and its like that are not about the model, and redirects, which would carry the key elsewhere."""
    if _PARAMETERS.search(envelope.text) or "constraint_filtered" in envelope.words:
        return LineStoppedError, "change response_format, reasoning_effort or model"
    if _DATA_POLICY.search(envelope.text) or "privacy_restricted" in envelope.words:
        return LineStoppedError, "change the privacy settings of the OpenRouter account, or model"
    if envelope.status < 400:
        return (
            LineStoppedError,
            f"redirects are not followed; set base_url ({URL_VARIABLE}) to the final address",
        )
    return LineStoppedError, f"check base_url ({URL_VARIABLE}) and model"


def _advice_for_rejected(envelope: _Envelope) -> str:
    if envelope.words & {"context_length_exceeded", "string_too_long"} or envelope.status == 413:
        return "lower lookback_periods or choose a model with a larger context"
    return ""


def _is_filter(envelope: _Envelope) -> bool:
    metadata = envelope.metadata
    if envelope.words & FILTER_TYPES or metadata.get("reasons") or metadata.get("flagged_input"):
        return True
    return bool(metadata.get("patterns")) or _FLAGGED.search(envelope.text) is not None


def _is_model_gone(envelope: _Envelope) -> bool:
    if _PARAMETERS.search(envelope.text) or _DATA_POLICY.search(envelope.text):
        return False
    return bool(envelope.words & MODEL_GONE_CODES) or _MODEL_GONE.search(envelope.text) is not None


def _status(
    http_status: int, error: Mapping[str, Any], error_type: str, availability: Mapping[str, Any]
) -> int:
    """The HTTP status, or inside a 200 the one the error names; 500 if it names none."""
    if http_status != 200:
        return http_status
    for value in (error.get("code"), error.get("http_status"), error_type, availability.get("code")):
        if isinstance(value, str):
            code = (
                int(value)
                if value.isascii() and value.isdigit() and len(value) == 3
                else WORD_CODES.get(value)
            )
        else:
            code = value if isinstance(value, int) and not isinstance(value, bool) else None
        if code is not None and 300 <= code < 600:
            return code
    return 500


def _message(error: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """``[provider] cause``: OpenRouter's own sentence for a provider's fault says nothing."""
    message = error.get("message")
    message = message if isinstance(message, str) else ""
    cause = _cause(metadata.get("raw"))
    if not cause or cause in message:
        text = message
    elif not message or message.strip().lower() == "provider returned error":
        text = cause
    else:
        text = f"{message}: {cause}"
    provider = metadata.get("provider_name")
    return f"[{provider}] {text}" if isinstance(provider, str) and provider else text


def _cause(raw: object, depth: int = 0) -> str:
    """The innermost message of ``metadata.raw``: plain text, JSON in text, an SSE frame or an object."""
    if isinstance(raw, dict) and depth < 4:
        inner = (raw.get(key) for key in ("error", "message", "detail", "msg"))
        return next((text for value in inner if (text := _cause(value, depth + 1))), "")
    if isinstance(raw, list) and raw and depth < 4:
        return _cause(raw[0], depth + 1)
    if not isinstance(raw, str):
        return ""
    text = raw[:20_000].strip().removeprefix("data:").strip()
    if text[:1] in ("{", "["):
        try:
            return _cause(orjson.loads(text), depth + 1) or text
        except (orjson.JSONDecodeError, UnicodeError):
            return text
    return text


def page_text(body: bytes) -> str:
    """The first words of a body that is not JSON; of an HTML page its title."""
    text = body[:4_000].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"an HTML page, {title[1].strip()!r}" if title else "an HTML page"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _seconds(value: object) -> float | None:
    """A wait in seconds, given as a number or as its text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _retry_after(value: str | None, now: float) -> float | None:
    """``Retry-After``: seconds, or a date."""
    seconds = _seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _reset(value: object, now: float) -> float | None:
    """``X-RateLimit-Reset``: epoch milliseconds."""
    moment = _seconds(value)
    return None if moment is None or moment < 1e11 else max(0.0, moment / 1000 - now)
