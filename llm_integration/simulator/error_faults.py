"""Refusals with an HTTP status of their own: every row of OpenRouter's error table, and their variants."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import orjson

from llm_integration.simulator.error_bodies import (
    PER_DAY,
    PER_MINUTE,
    PROVIDER_SAYS,
    error_body,
    plain_error,
    quota_error,
)
from llm_integration.simulator.exchange import Exchange, SimulatedAnswer
from llm_integration.simulator.kinds import FaultInfo, Kind

__all__ = ["ERRORS"]

HTML = "text/html"

ErrorFault = Callable[[Exchange], SimulatedAnswer]


ERRORS: dict[str, tuple[FaultInfo, ErrorFault]] = {}


def _add(name: str, kind: Kind, text: str, make: ErrorFault, **defaults: Any) -> None:
    ERRORS[name] = (FaultInfo(name, "http", kind, text, defaults), make)


def _simple(name: str, kind: Kind, status: int, message: str, text: str, **parts: Any) -> None:
    """Register a refusal that depends on nothing but the model asked for, as ``{model}``."""

    def make(exchange: Exchange) -> SimulatedAnswer:
        return plain_error(status, message.replace("{model}", exchange.asked), **parts)

    _add(name, kind, text, make)


def _provider(
    name: str,
    kind: Kind,
    status: int,
    raw: object,
    text: str,
    **metadata: Any,
) -> None:
    """Register a refusal by the provider, its cause inside ``metadata.raw``."""

    def make(exchange: Exchange) -> SimulatedAnswer:
        said = raw.replace("{model}", exchange.asked) if isinstance(raw, str) else raw
        return plain_error(
            status,
            PROVIDER_SAYS,
            metadata={"raw": said, "provider_name": exchange.provider, "is_byok": False, **metadata},
        )

    _add(name, kind, text, make)


def _availability(name: str, kind: Kind, status: int, message: str, text: str, **parts: Any) -> None:
    """Register a refusal with an availability object and, as documented, without ``error.code``."""

    def make(exchange: Exchange) -> SimulatedAnswer:
        wait = exchange.params.get("retry_after")
        about: dict[str, Any] = {
            "code": parts.get("code", name),
            "retryable": kind is Kind.RETRYABLE,
            "requested_models": [exchange.asked],
            "docs_url": "https://openrouter.ai/docs/api/reference/errors",
        }
        if wait is not None:
            about["retry_after"] = float(wait)
        body = error_body(
            None,
            message.replace("{model}", exchange.asked),
            availability=about,
            http_status=status,
            error_type=parts["error_type"],
        )
        return SimulatedAnswer(status, orjson.dumps(body), {} if wait is None else {"Retry-After": str(wait)})

    defaults = {"retry_after": parts["retry_after"]} if "retry_after" in parts else {}
    _add(name, kind, text, make, **defaults)


def _html(name: str, status: int, title: str, text: str, kind: Kind = Kind.RETRYABLE) -> None:
    """Register an error page of the edge, which is HTML and not JSON."""
    page = (
        f"<!DOCTYPE html>\n<html><head><title>openrouter.ai | {status}: {title}</title></head>"
        f"<body><h1>Error {status}</h1><p>{title}</p><div>Cloudflare Ray ID</div></body></html>\n"
    ).encode()
    _add(name, kind, text, lambda _: SimulatedAnswer(status, page, {}, HTML))


# 400 -------------------------------------------------------------------------------------------------
_simple("bad_request", Kind.REJECTED, 400, "Invalid request parameters", "400 by OpenRouter itself")
_provider(
    "bad_request_provider",
    Kind.REJECTED,
    400,
    'data: {"error":{"message":"The content field is a required field."}}\n\n',
    "400 by the provider, the cause framed as an event stream in metadata.raw",
)
_provider(
    "schema_rejected",
    Kind.REJECTED,
    400,
    '{"error":{"code":400,"message":"The specified schema produces a constraint that has too many states'
    ' for serving.","status":"INVALID_ARGUMENT"}}',
    "400 by the provider, the cause as JSON inside a string",
    error_type="invalid_request",
)
_simple(
    "context_length",
    Kind.REJECTED,
    400,
    "This endpoint's maximum context length is 1048576 tokens. However, you requested about 1100000 tokens.",
    "400, the prompt is longer than the model reads",
    metadata={"error_type": "context_length_exceeded"},
)
_simple(
    "reasoning_mandatory",
    Kind.REJECTED,
    400,
    "Reasoning is mandatory for this endpoint and cannot be disabled",
    "400, the model cannot be told not to think",
)


def _string_code(_: Exchange) -> SimulatedAnswer:
    body = error_body("unsupported_value", "Unsupported value: 'temperature' does not support 0.")
    return SimulatedAnswer(400, orjson.dumps(body))


_add("error_code_string", Kind.REJECTED, "400 whose error.code is a word", _string_code)
_availability(
    "model_not_found",
    Kind.MODEL,
    400,
    "{model} is not a valid model ID",
    "400 with an availability object and no error.code",
    error_type="invalid_request",
)
# 401, 402, 403 ---------------------------------------------------------------------------------------
_simple("unauthorized", Kind.KEY, 401, "Missing Authentication header", "401, no key arrived")
_simple("no_cookie_auth", Kind.KEY, 401, "No cookie auth credentials found", "401, another wording")
_simple("unknown_key", Kind.KEY, 401, "User not found.", "401, the key is wrong or revoked")
_simple(
    "no_credits",
    Kind.KEY,
    402,
    "Insufficient credits. Add more using https://openrouter.ai/credits",
    "402, the account is empty",
)
_simple(
    "cannot_afford",
    Kind.KEY,
    402,
    "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only"
    " afford 3395. To increase, visit https://openrouter.ai/settings/credits and add more credits",
    "402, max_tokens reserves more than the balance",
    metadata={"provider_name": None},
)


def _in_flight(exchange: Exchange) -> SimulatedAnswer:
    message = (
        "This request would exceed your available credits given your current in-flight requests. "
        "Retry after in-flight requests settle, or add credits."
    )
    metadata = {
        "reason": "in_flight_budget_exhausted",
        "limit_source": "openrouter_in_flight_budget",
        "remedy_hint": "Retry after in-flight requests settle.",
    }
    headers = {"Retry-After": str(exchange.params["retry_after"])}
    return plain_error(402, message, headers, metadata=metadata)


_add(
    "in_flight_budget",
    Kind.RETRYABLE,
    "402 that passes: requests in flight reserve the balance; with Retry-After",
    _in_flight,
    retry_after=1,
)
_simple(
    "weight_exceeds_budget",
    Kind.KEY,
    402,
    "This request alone would exceed your available credits. Lower max_tokens or add credits.",
    "402 that does not pass: one request reserves more than there is",
    metadata={
        "reason": "weight_exceeds_budget",
        "limit_source": "openrouter_credits",
        "remedy_hint": "Lower max_tokens.",
    },
)


def _moderation(exchange: Exchange) -> SimulatedAnswer:
    prompt = exchange.prompt
    flagged = prompt if len(prompt) <= 100 else f"{prompt[:48]}...{prompt[-48:]}"
    metadata = {
        "reasons": ["violence"],
        "flagged_input": flagged.encode("utf-8", "replace").decode(),
        "provider_name": exchange.provider,
        "model_slug": exchange.asked,
    }
    message = f"{exchange.asked} requires moderation on {exchange.provider}. Your input was flagged."
    return plain_error(403, message, metadata=metadata)


_add("moderation", Kind.FILTERED, "403, the prompt was flagged", _moderation)
_simple(
    "guardrail_blocked",
    Kind.FILTERED,
    403,
    "Request blocked by guardrail",
    "403, a guardrail of the account matched the prompt",
    metadata={"patterns": ["account-number"], "error_type": "content_policy_violation"},
)
_simple(
    "key_limit",
    Kind.KEY,
    403,
    "Key limit exceeded (total limit). Manage it using https://openrouter.ai/keys",
    "403, the spending limit of the key is reached",
)
_simple(
    "workspace_budget",
    Kind.KEY,
    403,
    "Workspace budget exceeded",
    "403, the budget of the workspace is spent until it resets",
    metadata={
        "limit_source": "openrouter_workspace_budget",
        "limit_usd": 25,
        "spend_usd": 25.01,
        "resets_at": "2027-01-01T00:00:00Z",
    },
)
_availability(
    "region_restricted",
    Kind.MODEL,
    403,
    "{model} is not available in your region.",
    "403 with an availability object: not served in this region",
    error_type="permission_denied",
)
# 404 and other refusals of the request ---------------------------------------------------------------
_simple("model_retired", Kind.MODEL, 404, "No endpoints found for {model}.", "404, the model was withdrawn")
_availability(
    "model_deprecated",
    Kind.MODEL,
    404,
    "{model} has been deprecated.",
    "404 with an availability object and no error.code",
    error_type="not_found",
)
_simple(
    "no_endpoints_for_parameters",
    Kind.MODEL,
    404,
    "No endpoints found that can handle the requested parameters.",
    "404, no endpoint supports every parameter of the request",
)
_simple(
    "data_policy",
    Kind.MODEL,
    404,
    "No endpoints found matching your data policy (Free model publication). Configure:"
    " https://openrouter.ai/settings/privacy",
    "404, the account's privacy settings exclude every endpoint",
)
_simple(
    "no_allowed_providers",
    Kind.MODEL,
    404,
    "No allowed providers are available for the selected model.",
    "404, the provider preferences exclude every provider",
)
_simple("precondition_failed", Kind.REJECTED, 412, "Precondition failed", "412")
_simple("payload_too_large", Kind.REJECTED, 413, "Request payload too large", "413, the body is too big")
_simple("unprocessable", Kind.REJECTED, 422, "Invalid argument", "422, well-formed but senseless")
# 408, 429 --------------------------------------------------------------------------------------------
_simple(
    "request_timeout",
    Kind.RETRYABLE,
    408,
    "Operation timed out. Please try again later.",
    "408, OpenRouter gave up waiting",
)


def _limited(exchange: Exchange) -> SimulatedAnswer:
    headers = {"Retry-After": str(exchange.params["retry_after"])}
    return plain_error(429, "Rate limit exceeded", headers, metadata={"error_type": "rate_limit_exceeded"})


def _limited_until(exchange: Exchange) -> SimulatedAnswer:
    # rounded up, or the date could already lie in the past
    moment = formatdate(int(exchange.now + float(exchange.params["seconds"])) + 1, usegmt=True)
    return plain_error(429, "Rate limit exceeded", {"Retry-After": moment})


_add("rate_limited", Kind.RETRYABLE, "429 with Retry-After in seconds", _limited, retry_after=1)
_add("rate_limited_date", Kind.RETRYABLE, "429 with Retry-After as an HTTP date", _limited_until, seconds=1)
_add("rate_limited_hour", Kind.RETRYABLE, "429 with Retry-After: 3600", _limited, retry_after=3600)
_add(
    "rate_limited_garbage", Kind.RETRYABLE, "429 with an unreadable Retry-After", _limited, retry_after="soon"
)
_simple("rate_limited_bare", Kind.RETRYABLE, 429, "Rate limit exceeded", "429 that names no wait at all")


def _per_minute(exchange: Exchange) -> SimulatedAnswer:
    return quota_error(PER_MINUTE, 20, int((exchange.now + float(exchange.params["seconds"])) * 1000))


def _per_day(exchange: Exchange) -> SimulatedAnswer:
    midnight = (int(exchange.now) // 86_400 + 1) * 86_400
    return quota_error(PER_DAY, 50, midnight * 1000)


_add(
    "free_per_minute",
    Kind.RETRYABLE,
    "429 of the free tier, until the minute is over",
    _per_minute,
    seconds=1,
)
_add("free_per_day", Kind.RETRYABLE, "429 of the free tier, until midnight UTC", _per_day)
_provider(
    "upstream_429",
    Kind.RETRYABLE,
    429,
    "{model} is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate"
    " your rate limits: https://openrouter.ai/settings/integrations",
    "429 of the provider's shared pool, without Retry-After",
    limit_source="upstream_provider_shared_pool",
)
_availability(
    "capacity_exhausted",
    Kind.RETRYABLE,
    429,
    "All providers of {model} are at capacity.",
    "429 with an availability object and Retry-After",
    error_type="rate_limit_exceeded",
    retry_after=1,
)
_provider("cloudflare_1015", Kind.RETRYABLE, 429, "error code: 1015", "429, Cloudflare limits the provider")
_html("cloudflare_block", 429, "You are being rate limited", "429 as an HTML page of the edge")
# 5xx -------------------------------------------------------------------------------------------------
_simple(
    "server_error",
    Kind.RETRYABLE,
    500,
    "Internal Server Error",
    "500, cause masked",
    metadata={"error_type": "server"},
)
_provider(
    "bad_gateway",
    Kind.RETRYABLE,
    502,
    "upstream connect error or disconnect/reset before headers",
    "502, the model is down",
    error_type="provider_unavailable",
)
_provider(
    "bad_gateway_raw_object",
    Kind.RETRYABLE,
    502,
    {"error": {"message": "The model is overloaded.", "status": "UNAVAILABLE"}},
    "502 whose metadata.raw is an object",
)
_html("bad_gateway_html", 502, "Bad gateway", "502 as an HTML page")


def _unavailable(exchange: Exchange) -> SimulatedAnswer:
    headers = {"Retry-After": str(exchange.params["retry_after"])}
    metadata = {"error_type": "provider_overloaded", "provider_name": exchange.provider}
    return plain_error(503, "Service temporarily unavailable", headers, metadata=metadata)


_add("unavailable", Kind.RETRYABLE, "503 with Retry-After", _unavailable, retry_after=1)
_availability(
    "temporarily_unavailable",
    Kind.RETRYABLE,
    503,
    "{model} is temporarily unavailable.",
    "503 with an availability object and no error.code",
    error_type="provider_overloaded",
)
_html("unavailable_html", 503, "Service unavailable", "503 as an HTML page")
_simple(
    "gateway_timeout",
    Kind.RETRYABLE,
    504,
    "Upstream did not respond in time",
    "504, the provider was too slow",
    metadata={"error_type": "timeout"},
)
_simple(
    "edge_timeout",
    Kind.RETRYABLE,
    524,
    "Request timed out. Please try again later.",
    "524 as JSON",
)
_html("edge_timeout_html", 524, "A timeout occurred", "524 as an HTML page")
_html("edge_unknown_html", 520, "Web server is returning an unknown error", "520 as an HTML page")
_provider("overloaded", Kind.RETRYABLE, 529, "Overloaded", "529, the provider is overloaded")
