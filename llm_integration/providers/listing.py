"""Reading a list of models as ``/models`` answers it: entry by entry, whatever stands in it. Pure.

An entry that is not understood is left out, a field that is not understood is unknown: a wrong price is
worse than none. Only entries are decoded, never the whole, so that another thread gets its turn in between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from llm_integration.calls import ModelInfo, Price

__all__ = ["read_models"]

MOST_ENTRY_CHARS = 65_536
MOST_MODELS = 10_000
MOST_ID_CHARS = 200
MOST_PARAMETERS = 200
DEAREST = Decimal(1)
"""USD per token or, for a request, ten of it; a listing that asks for more is nonsense."""

_DATA = re.compile(r'"data"\s*:\s*\[')
_GAP = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def read_models(text: str, *, between: Callable[[], object] = lambda: None) -> dict[str, ModelInfo]:
    """The models in ``text`` by id; ``between`` is called after each entry.

    Raises ValueError if there is no list, or no model in it.
    """
    found: dict[str, ModelInfo] = {}
    for entry in _entries(text):
        between()
        info = _model(entry)
        if info is not None:
            found.setdefault(info.id, info)
        if len(found) >= MOST_MODELS:
            break
    if not found:
        raise ValueError("there is no model in the list")
    return found


def _entries(text: str) -> Iterator[object]:
    start = _DATA.search(text)
    if start is None:
        raise ValueError("there is no list of models")
    position = start.end()
    while True:
        position = _end(_GAP.match(text, position))
        if text[position : position + 1] == "]":
            return
        try:  # of a window: an entry without an end is noticed before much of it is read
            entry, length = _DECODER.raw_decode(text[position : position + MOST_ENTRY_CHARS])
        except (ValueError, RecursionError):
            raise ValueError("an entry of the list is broken or too long") from None
        position += length
        yield entry


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0


def _model(entry: object) -> ModelInfo | None:
    if not isinstance(entry, dict):
        return None
    name = entry.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= MOST_ID_CHARS or not name.isprintable():
        return None
    top, reasoning = _object(entry.get("top_provider")), _object(entry.get("reasoning"))
    mandatory = reasoning.get("mandatory")
    return ModelInfo(
        id=name,
        context_length=_count(entry.get("context_length")),
        price=_price(entry.get("pricing")),
        supported_parameters=_parameters(entry.get("supported_parameters")),
        expiration_date=_date(entry.get("expiration_date")),
        max_completion_tokens=_count(top.get("max_completion_tokens")),
        reasoning_mandatory=mandatory if isinstance(mandatory, bool) else None,
    )


def _price(pricing: object) -> Price | None:
    """The highest price listed, long contexts and other times of day included; None if any is unclear."""
    if not isinstance(pricing, dict):
        return None
    others = pricing.get("overrides")
    tables = [pricing, *(others if isinstance(others, list) else [others] if others else [])]
    if not all(isinstance(table, dict) for table in tables):
        return None
    prompt = _dearest((table.get("prompt") for table in tables), DEAREST)
    completion = _dearest((table.get("completion") for table in tables), DEAREST)
    request = _dearest([*(table.get("request") for table in tables), "0"], 10 * DEAREST)
    cache_write = _dearest([*_named(tables, "input_cache_write"), "0"], DEAREST)
    reasoning = _dearest([*_named(tables, "internal_reasoning"), "0"], DEAREST)
    if prompt is None or completion is None or request is None or cache_write is None or reasoning is None:
        return None
    return Price(prompt, completion, request, cache_write, reasoning)


def _named(tables: Iterable[Mapping[str, Any]], name: str) -> Iterator[object]:
    """Every price whose name begins so: ``input_cache_write_1h`` is that of a cache that lasts longer."""
    for table in tables:
        yield from (value for key, value in table.items() if key.startswith(name))


def _dearest(values: Iterable[object], most: Decimal) -> Decimal | None:
    """The largest of the prices that are given; None without one, or if one of them is no price."""
    prices = [_money(value, most) for value in values if value is not None]
    known = [price for price in prices if price is not None]
    return max(known) if known and len(known) == len(prices) else None


def _money(value: object, most: Decimal) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    if not text or len(text) > 40 or not text.isascii():
        return None
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 <= price <= most else None


def _parameters(value: object) -> frozenset[str] | None:
    if not isinstance(value, list):
        return None
    return frozenset(item for item in value[:MOST_PARAMETERS] if isinstance(item, str) and len(item) <= 100)


def _count(value: object) -> int | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if number and isinstance(value, int) and 0 < value <= 2**31 else None


def _date(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
