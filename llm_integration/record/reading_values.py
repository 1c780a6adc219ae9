"""Readings of a reply as they may stand in a table: what is none becomes None. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from llm_integration.domain import Choppiness, ParseMethod

__all__ = ["choppiness_of", "cost_of", "count_of", "method_of", "rating_of"]

LARGEST_INT = 2**31 - 1
SMALLEST_COST = Decimal("1e-15")
LARGEST_COST = Decimal("1e12")


def rating_of(value: object) -> int | None:
    """An integer from 1 to 5."""
    return value if type(value) is int and 1 <= value <= 5 else None


def count_of(value: object) -> int | None:
    """A number of things that is not negative and fits its column."""
    return value if type(value) is int and 0 <= value <= LARGEST_INT else None


def cost_of(value: object) -> Decimal | None:
    """An amount of dollars; digits nobody bills are rounded away."""
    if not isinstance(value, Decimal) or not value.is_finite() or abs(value) >= LARGEST_COST:
        return None
    return value if cast("int", value.as_tuple().exponent) >= -15 else value.quantize(SMALLEST_COST)


def method_of(value: object) -> ParseMethod:
    """The layer of the parser, NONE for one that is not known."""
    return ParseMethod(value) if isinstance(value, str) and value in set(ParseMethod) else ParseMethod.NONE


def choppiness_of(value: object) -> Choppiness | None:
    """Yes, no or None."""
    return value if value in ("yes", "no") else None
