"""How long a server wants us to wait, in each of the ways it may say so. Pure; seconds throughout."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from llm_integration.providers.envelope import Envelope, mapping

__all__ = ["duration", "wanted_wait"]

LONGEST_WAIT = 86_400.0
"""A server that asks for more is asked again after a day."""
QUOTA_WAIT = 3_600.0
"""After a quota of the day without a word about its end the server is asked once an hour."""
SHORT_FOR_A_DAY = 60.0
"""Google names a wait of some seconds also where the quota of the whole day is used up."""
BODY_WAITS = (
    "retry_after",
    "retry_after_seconds",
    "retryAfter",
    "retryDelay",
    "retry_delay",
    "estimated_time",
)
"""Where in an error a wait may stand, in seconds or as ``20s``."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

_FREE_PER_DAY = re.compile(r"free-models-per-day", re.IGNORECASE)
_PART = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|hrs?|d|days?)"
    r"(?![a-z])",
    re.IGNORECASE,
)
_IN_WORDS = re.compile(
    r"(?:(?:retry|try) (?:your request )?(?:again )?(?:in|after)|wait(?: for)?|available (?:again )?in"
    r"|resets? (?:in|after)|retry[-_ ]after:?)\W{0,3}(?:about |approximately |at least )?"
    r"((?:\d{1,9}(?:\.\d{1,9})? ?(?:[a-z]{1,12})?(?:,| and)? {0,2}){1,4})",
    re.IGNORECASE,
)


def wanted_wait(envelope: Envelope, now: float, *, of_day: bool = False) -> float | None:
    """The longest of the waits an error names; None if it names none. ``now`` is in epoch seconds.

    ``of_day``: the quota of a day is used up, which is waited for even if no time is named.
    """
    known = [wait for wait in _named(envelope, now) if wait is not None]
    wait = min(max(known), LONGEST_WAIT) if known else None
    if not of_day:
        return wait
    if _FREE_PER_DAY.search(envelope.message):  # the free quota starts anew at midnight UTC
        return wait or LONGEST_WAIT - now % LONGEST_WAIT
    return QUOTA_WAIT if wait is None or wait < SHORT_FOR_A_DAY else wait


def _named(envelope: Envelope, now: float) -> Iterator[float | None]:
    headers = envelope.headers
    yield _retry_after(headers.get("Retry-After"), now)
    milliseconds = _seconds(headers.get("retry-after-ms"))
    yield None if milliseconds is None else milliseconds / 1_000
    for place in (envelope.availability, envelope.error, envelope.metadata, *_details(envelope.error)):
        yield from (duration(place.get(name)) for name in BODY_WAITS)
    if envelope.status != 429:
        return
    if found := _IN_WORDS.search(envelope.message):
        yield duration(found[1])
    copied = mapping(envelope.metadata.get("headers"))
    for place in (headers, copied):
        yield _reset(place.get("X-RateLimit-Reset"), now)
    for resource in ("requests", "tokens"):  # OpenAI, Groq and others: only the one that is used up counts
        if headers.get(f"x-ratelimit-remaining-{resource}") == "0":
            yield duration(headers.get(f"x-ratelimit-reset-{resource}"))


def _details(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    details = error.get("details")
    for each in details[:10] if isinstance(details, list) else (details,):
        if isinstance(each, dict):
            yield each


def duration(value: object) -> float | None:
    """Seconds in a number, its text, or text such as ``20s``, ``1m2.5s``, ``350ms``, ``2 minutes``."""
    seconds = _seconds(value)
    if seconds is not None or not isinstance(value, str):
        return seconds
    parts = _PART.findall(value[:200])
    if not parts:
        return _seconds(value.strip(" .,;").split(" ")[0]) if value.strip() else None
    return sum(float(number) * UNITS[_unit(unit.lower())] for number, unit in parts)


def _unit(name: str) -> str:
    return "ms" if name == "ms" or name.startswith("milli") else name[0]


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
        return duration(value)


def _reset(value: object, now: float) -> float | None:
    """``X-RateLimit-Reset``: a moment in epoch milliseconds or seconds, or so many seconds from now."""
    moment = _seconds(value)
    if moment is None:
        return duration(value)
    if moment >= 1e11:
        return max(0.0, moment / 1_000 - now)
    if moment >= 1e9:
        return max(0.0, moment - now)
    return moment if moment <= LONGEST_WAIT else None
