"""What an attempt took, as far as the server says, and how much of that can be believed.

A server may count wrongly, in another unit, or not at all. What cannot be read is unknown; what exceeds what
the request could have taken counts as the most it could have taken, and what was said stays as a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from llm_integration.llm_processor.scrub import Scrubber

__all__ = ["UNKNOWN", "Doubts", "Most", "Usage", "bounded", "read_usage"]

logger = logging.getLogger(__name__)

MOST_TOKENS = 2**31 - 1
"""A token count beyond this is no count (and would not fit the column it is stored in)."""
MOST_COST = 10_000
"""USD; a single call that reports more than this reports nonsense."""
MOST_TIER_CHARS = 60
DEAREST_TOKEN = Decimal("0.002")
"""USD; more than three times what any model takes for one. Bounds a bill where no price is known."""
MOST_DOUBTED_MODELS = 100
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


class Usage(NamedTuple):
    """What an attempt took, as far as the server says. Cost in USD; None is unknown, never zero.

    ``cached_tokens`` and ``cache_write_tokens`` are parts of the prompt's, ``reasoning_tokens`` of the
    completion's. ``service_tier`` is what the server called it. ``warnings`` tell what cannot be true.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None
    warnings: tuple[str, ...] = ()


UNKNOWN: Final = Usage()


class Most(NamedTuple):
    """What a request can have taken: a token for each byte sent, the longest reply, and the USD put aside
    for it (None or 0: its price is not known).
    """

    prompt_tokens: int
    completion_tokens: int
    usd: Decimal | None = None

    @property
    def cost(self) -> Decimal:
        """The most it can have cost; without a known price, what the dearest of all models would take."""
        return self.usd or (self.prompt_tokens + self.completion_tokens) * DEAREST_TOKEN


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


# What can be believed


def bounded(usage: Usage, most: Most, *, answered: bool) -> Usage:
    """``usage`` within what the request can have taken; with a warning for what exceeded it.

    Of an ``answered`` request a count of 0 is no count, and a cost of 0 at a known price is unknown: what
    was put aside for it then stays. A request that failed may have cost nothing.
    """
    prompt, completion, total, cost, cached, cache_write, reasoning, _, _ = usage
    if _plain(usage, most, answered=answered):
        return usage
    warnings = list(usage.warnings)

    def at_most(name: str, value: int | None, limit: int) -> int | None:
        if value is None or value <= limit:
            return value
        warnings.append(f"the server reported {value} {name}, this request can have taken {limit}")
        return limit

    if answered and (prompt == 0 or completion == 0):
        warnings.append("the server reported 0 tokens for a request that was answered; they are unknown")
        prompt, completion, total = prompt or None, completion or None, None
    prompt = at_most("prompt tokens", prompt, most.prompt_tokens)
    completion = at_most("completion tokens", completion, most.completion_tokens)
    if prompt is not None and completion is not None:
        total = prompt + completion
    return usage._replace(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=at_most("tokens", total or None, most.prompt_tokens + most.completion_tokens),
        cost=_believed_cost(cost, most, warnings, answered=answered),
        cached_tokens=at_most("cached tokens", cached, most.prompt_tokens),
        cache_write_tokens=at_most("tokens written to a cache", cache_write, most.prompt_tokens),
        reasoning_tokens=at_most("reasoning tokens", reasoning, most.completion_tokens),
        warnings=tuple(warnings),
    )


def _plain(usage: Usage, most: Most, *, answered: bool) -> bool:
    """Whether nothing about it is odd, which is the usual case."""
    prompt, completion, total, cost, cached, cache_write, reasoning, _, _ = usage
    if answered and (prompt == 0 or completion == 0 or total == 0 or (cost == 0 and most.usd)):
        return False
    return (
        (prompt or 0) <= most.prompt_tokens
        and (completion or 0) <= most.completion_tokens
        and (total or 0) <= most.prompt_tokens + most.completion_tokens
        and max(cached or 0, cache_write or 0) <= most.prompt_tokens
        and (reasoning or 0) <= most.completion_tokens
        and (cost is None or cost <= most.cost)
    )


def _believed_cost(
    cost: Decimal | None, most: Most, warnings: list[str], *, answered: bool
) -> Decimal | None:
    if cost is None:
        return None
    if answered and cost == 0 and most.usd:
        warnings.append("the server reported a cost of 0 USD for a model that has a price; it is unknown")
        return None
    if cost <= most.cost:
        return cost
    warnings.append(
        f"the server reported a cost of {cost:f} USD, this request can have cost {most.cost.normalize():f}"
    )
    return most.cost


class Doubts:
    """Says once per model that a server's numbers were not believed; each result has its own warnings."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def about(self, model: str, usage: Usage) -> None:
        """Log the first of the ``usage``'s warnings, if this model's were not told before."""
        if not usage.warnings or model in self._told or len(self._told) >= MOST_DOUBTED_MODELS:
            return
        self._told.add(model)
        logger.warning("model %s: %s; further ones stand in the results", model, usage.warnings[0])
