"""What an attempt took, as far as the server says; what cannot be read is unknown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from llm_integration.calls import UNKNOWN, Usage
from llm_integration.http_client.scrub import Scrubber

__all__ = ["read_usage"]

MOST_TOKENS = 2**31 - 1
"""A token count beyond this is no count (and would not fit the column it is stored in)."""
MOST_COST = 10_000
"""USD; a single call that reports more than this reports nonsense."""
MOST_TIER_CHARS = 60
SHOWN_CHARS = 40
UNKNOWN_PART = (
    "this was billed to your own key at the provider, whose part of the cost the server did not report; "
    "the cost is unknown"
)

_CACHED = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    (None, "cache_read_input_tokens"),
    (None, "prompt_cache_hit_tokens"),
)
_CACHE_WRITE = (
    ("prompt_tokens_details", "cache_write_tokens"),
    ("input_tokens_details", "cache_write_tokens"),
    (None, "cache_creation_input_tokens"),
)
_REASONING = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    (None, "reasoning_tokens"),
)


def read_usage(body: object, scrub: Scrubber) -> Usage:
    """The usage in a decoded body, whatever stands there; what cannot be read is unknown."""
    if not isinstance(body, dict):
        return UNKNOWN
    usage = body.get("usage")
    tier = body.get("service_tier")
    if not isinstance(usage, dict):
        return UNKNOWN if tier is None else Usage(service_tier=_tier(tier, scrub))
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    total = _count(usage.get("total_tokens"))
    if prompt is not None and completion is not None:
        total = max(total or 0, prompt + completion)
    cost = _money(usage.get("cost"))
    if cost is not None and usage.get("is_byok") is True:
        cost = _with_provider(cost, usage)
    found = Usage(
        prompt,
        completion,
        total,
        cost,
        _detail(usage, _CACHED),
        _detail(usage, _CACHE_WRITE),
        _detail(usage, _REASONING),
        _tier(usage.get("service_tier") if tier is None else tier, scrub),
    )
    if prompt is not None and completion is not None and cost is not None:
        return found  # the usual case
    return found._replace(warnings=_unreadable(usage, scrub))


def _with_provider(cost: Decimal, usage: dict[str, Any]) -> Decimal | None:
    """With a key of one's own at the provider, what the provider takes is reported apart and added.

    Without it the whole is unknown: ``cost`` is the fee alone, and mostly 0.
    """
    details = usage.get("cost_details")
    upstream = _money(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    return None if upstream is None else cost + upstream


def _money(value: object) -> Decimal | None:
    if type(value) is not float and type(value) is not int:  # a bool is neither
        return None
    return Decimal(repr(value)) if 0 <= value <= MOST_COST else None  # and NaN is not between


def _count(value: object) -> int | None:
    if type(value) is not int and type(value) is not float:
        return None
    return int(value) if 0 <= value <= MOST_TOKENS else None


def _detail(usage: Mapping[str, Any], places: tuple[tuple[str | None, str], ...]) -> int | None:
    """The first of the names under which servers report the same count."""
    for group, name in places:
        table = usage if group is None else usage.get(group)
        if isinstance(table, dict) and table.get(name) is not None:
            return _count(table[name])
    return None


def _tier(value: object, scrub: Scrubber) -> str | None:
    """No list of names: new ones come up, and a strict enumeration has broken other clients."""
    return None if not isinstance(value, str) or not value else scrub(value, MOST_TIER_CHARS) or None


def _unreadable(usage: Mapping[str, Any], scrub: Scrubber) -> tuple[str, ...]:
    """One line for each number that is given and is none, or not all of what it should be."""
    readers = (("prompt_tokens", _count), ("completion_tokens", _count), ("cost", _money))
    lines = [
        f"the server reported {name} {_shown(usage[name], scrub)}, which cannot be true; it counts as unknown"
        for name, read in readers
        if usage.get(name) is not None and read(usage[name]) is None
    ]
    if usage.get("is_byok") is True and _money(usage.get("cost")) is not None:
        lines.append(UNKNOWN_PART)
    return tuple(lines)


def _shown(value: object, scrub: Scrubber) -> str:
    """A value of a server's in a few characters; an integer may have more digits than Python prints."""
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**SHOWN_CHARS):
        return str(value)
    if isinstance(value, str):
        return repr(scrub(value, SHOWN_CHARS))
    return f"as {'a number of many digits' if isinstance(value, int) else type(value).__name__}"
