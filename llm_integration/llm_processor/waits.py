"""How long a server wants us to wait, in each of the ways it may say so. Pure; seconds throughout."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime

from llm_integration.llm_processor.envelope import Envelope, mapping

__all__ = ["wanted_wait"]

LONGEST_WAIT = 86_400.0
"""A server that asks for more is asked again after a day."""
_PER_DAY = re.compile(r"free-models-per-day", re.IGNORECASE)


def wanted_wait(envelope: Envelope, now: float) -> float | None:
    """The longest of the waits an error names; None if it names none. ``now`` is in epoch seconds."""
    waits = [
        _retry_after(envelope.headers.get("Retry-After"), now),
        _seconds(envelope.availability.get("retry_after")),
    ]
    if envelope.status == 429:
        copied = mapping(envelope.metadata.get("headers"))
        waits.append(_reset(envelope.headers.get("X-RateLimit-Reset"), now))
        waits.append(_reset(copied.get("X-RateLimit-Reset"), now))
        if _PER_DAY.search(envelope.text) and not any(waits):
            waits.append(86_400.0 - now % 86_400.0)  # the free quota starts anew at midnight UTC
    known = [wait for wait in waits if wait is not None]
    return min(max(known), LONGEST_WAIT) if known else None


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
