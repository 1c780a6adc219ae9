"""OpenRouter's error envelope, and the refusals that the simulator gives of its own accord. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llm_integration.simulator.exchange import SimulatedAnswer

__all__ = ["PER_DAY", "PER_MINUTE", "PROVIDER_SAYS", "error_body", "plain_error", "quota_error"]

USER = "user_simulated"
PROVIDER_SAYS = "Provider returned error"


def error_body(
    code: int | str | None,
    message: str,
    *,
    metadata: Mapping[str, Any] | None = None,
    availability: Mapping[str, Any] | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """OpenRouter's error envelope. ``code`` None leaves the code out, as availability errors do."""
    error: dict[str, Any] = {"message": message}
    if code is not None:
        error["code"] = code
    if metadata is not None:
        error["metadata"] = metadata
    if availability is not None:
        error["availability"] = availability
    return {"error": {**error, **extra}, "user_id": USER}


def plain_error(
    status: int, message: str, headers: Mapping[str, str] | None = None, **parts: Any
) -> SimulatedAnswer:
    """A refusal whose HTTP status and ``error.code`` agree."""
    return SimulatedAnswer(status, orjson.dumps(error_body(status, message, **parts)), headers or {})


def quota_error(message: str, limit: int, reset_ms: int) -> SimulatedAnswer:
    """429 of the free tier: the same X-RateLimit values as headers and, as strings, in the metadata."""
    values = {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(reset_ms),
    }
    return plain_error(429, message, values, metadata={"headers": values})


PER_MINUTE = "Rate limit exceeded: free-models-per-min. "
PER_DAY = (
    "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"
)
