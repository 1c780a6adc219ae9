"""The envelope of an error, with its wrappings taken off. Pure.

It is ``{"error": {"code", "message", "metadata"}}``, but codes come as numbers, digits, words or not at
all, and the cause may be wrapped in ``metadata.raw``: text, JSON in text, an SSE frame, an object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from llm_integration.llm_processor.scrub import Scrubber

__all__ = ["Envelope", "RawReply", "mapping", "open_envelope"]

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

_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,200})", re.IGNORECASE)


class RawReply(NamedTuple):
    """An HTTP response as it came; header names in any case are the mapping's business."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """One error. ``status`` is the HTTP status, or inside a 200 the one the error names.

    ``text`` is one plain line for people; ``words`` are its type and availability code, if any.
    """

    status: int
    text: str
    error_type: str
    metadata: Mapping[str, Any]
    availability: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def words(self) -> frozenset[str]:
        code = self.availability.get("code")
        return frozenset({self.error_type, code if isinstance(code, str) else ""})


def open_envelope(response: RawReply, body: object, scrub: Scrubber) -> Envelope:
    """The error in ``body`` (the decoded JSON, or the choice that carries it); anything is tolerated."""
    error: Any = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        error = {"message": _plain_message(response, body)}
    metadata, availability = mapping(error.get("metadata")), mapping(error.get("availability"))
    types = (metadata.get("error_type"), error.get("error_type"))
    error_type = next((value for value in types if isinstance(value, str)), "")
    status = _status(response.status, error, error_type, availability)
    seen = f"HTTP {status}" if status == response.status else f"code {status} inside HTTP {response.status}"
    kind = f", {scrub(error_type, 40)}" if error_type else ""
    text = scrub(_message(error, metadata), 220) or "no explanation"
    return Envelope(status, f"{text} ({seen}{kind})", error_type, metadata, availability, response.headers)


def _status(
    http_status: int, error: Mapping[str, Any], error_type: str, availability: Mapping[str, Any]
) -> int:
    """The HTTP status, or inside a 200 the one the error names; 500 if it names none."""
    if not 200 <= http_status < 300:
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


def _plain_message(response: RawReply, body: object) -> str:
    """The message of an error without an envelope: other servers' JSON, text, an HTML page."""
    fields = [body.get(name) for name in ("error", "message", "detail")] if isinstance(body, dict) else []
    text = next((field for field in fields if isinstance(field, str) and field), None)
    return text or _page_text(response.body)


def _page_text(body: bytes) -> str:
    """The first words of a body that is not JSON; of an HTML page its title."""
    text = body[:4_000].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"an HTML page, {title[1].strip()!r}" if title else "an HTML page"


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
