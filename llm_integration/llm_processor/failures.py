"""From an error of OpenRouter, in any of its forms, to a leaf of our error tree. Pure.

The same status means different things: a 429 for a minute or until midnight, a 402 for this moment or
for good, a 403 for this prompt or for the key, a 404 for the model, the request or the address.
"""

from __future__ import annotations

import re
from collections.abc import Callable

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
from llm_integration.llm_processor.envelope import Envelope, RawReply, open_envelope
from llm_integration.llm_processor.scrub import Scrubber
from llm_integration.llm_processor.waits import wanted_wait

__all__ = ["Reader"]

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 529, *range(520, 525)})

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
PROVIDER_WORDS = frozenset(
    {
        "provider_unavailable",
        "provider_overloaded",
        "timeout",
        "capacity_exhausted",
        "temporarily_unavailable",
    }
)
PROVIDER_STATUSES = frozenset({408, 502, 503, 504, 529})
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


class Reader:
    """Reads errors. Knows what to hide (``scrub``) and the time of day (``wall_clock``, epoch seconds)."""

    def __init__(self, scrub: Scrubber, wall_clock: Callable[[], float]) -> None:
        self.scrub = scrub
        self._wall_clock = wall_clock

    def error(self, response: RawReply, body: object) -> tuple[CallError, bool]:
        """The leaf of the error tree for a failing response, and whether the fault is the model's.

        ``body`` is the decoded JSON, or the choice that carries the error; anything else is tolerated.
        """
        envelope = open_envelope(response, body, self.scrub)
        leaf, advice = _classify(envelope)
        text = f"{envelope.text}{'; ' if advice else ''}{advice}"
        waits = leaf in (RateLimitedError, ServerError)
        wait = wanted_wait(envelope, self._wall_clock()) if waits else None
        error = leaf(text, status=envelope.status, retry_after=wait)
        return error, _is_of_model(envelope, error, in_200=200 <= response.status < 300, body=body)


def _classify(envelope: Envelope) -> tuple[type[CallError], str]:
    """The leaf, and what to do about it. What the error says of itself goes before its status."""
    if _is_filter(envelope):
        return ContentFilteredError, ""
    if envelope.status in (400, 403, 404) and _is_model_gone(envelope):
        return ModelUnavailableError, ""
    if envelope.status in (401, 402, 403):
        return _classify_key(envelope)
    if envelope.status in (404, 405, 410) or 300 <= envelope.status < 400:
        return _classify_address(envelope)
    return _classify_fault(envelope)


def _classify_fault(envelope: Envelope) -> tuple[type[CallError], str]:
    if envelope.status == 429:
        return RateLimitedError, ""
    passing = envelope.availability.get("retryable")
    if not isinstance(passing, bool):
        passing = envelope.status in RETRYABLE_STATUSES or envelope.status >= 500
    if passing:
        return ServerError, ""
    if _REASONING.search(envelope.text):
        return LineStoppedError, "set reasoning_effort to minimal or higher"
    return RequestRejectedError, _advice_for_rejected(envelope)


def _classify_key(envelope: Envelope) -> tuple[type[CallError], str]:
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


def _classify_address(envelope: Envelope) -> tuple[type[CallError], str]:
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


def _advice_for_rejected(envelope: Envelope) -> str:
    if envelope.words & {"context_length_exceeded", "string_too_long"} or envelope.status == 413:
        return "lower lookback_periods or choose a model with a larger context"
    return ""


def _is_filter(envelope: Envelope) -> bool:
    metadata = envelope.metadata
    if envelope.words & FILTER_TYPES or metadata.get("reasons") or metadata.get("flagged_input"):
        return True
    return bool(metadata.get("patterns")) or _FLAGGED.search(envelope.text) is not None


def _is_model_gone(envelope: Envelope) -> bool:
    if _PARAMETERS.search(envelope.text) or _DATA_POLICY.search(envelope.text):
        return False
    return bool(envelope.words & MODEL_GONE_CODES) or _MODEL_GONE.search(envelope.text) is not None


def _is_of_model(envelope: Envelope, error: CallError, *, in_200: bool, body: object) -> bool:
    """Whether the fault lies with this model or its provider, so that another model may answer.

    What concerns the key, the account or the address does not, nor does a page of the edge before the
    server, nor the server's own masked 500.
    """
    if isinstance(error, LineStoppedError):
        return (
            isinstance(error, ModelUnavailableError)
            or not envelope.words.isdisjoint({"constraint_filtered", "privacy_restricted"})
            or any(pattern.search(envelope.text) for pattern in (_PARAMETERS, _DATA_POLICY, _REASONING))
        )
    if not error.retryable:
        return False
    metadata, source = envelope.metadata, envelope.metadata.get("limit_source")
    if metadata.get("provider_name") or envelope.words & PROVIDER_WORDS:
        return True
    if isinstance(source, str):
        return source.startswith("upstream")
    if envelope.status == 429:
        return "upstream" in envelope.text
    return in_200 or (isinstance(body, dict) and envelope.status in PROVIDER_STATUSES)
