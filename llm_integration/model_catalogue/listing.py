"""A list of models as it was at a moment, and its copy on disk, which has the form of OpenRouter's. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llm_integration.calls import ModelInfo
from llm_integration.providers.listing import read_models

__all__ = ["MOST_LISTING_BYTES", "Listing", "ModelInfo", "read_head", "read_listing", "write_listing"]

MOST_LISTING_BYTES = 10 * 1_048_576


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of models as it was at ``as_of``. ``complete``: what is not in it is not offered.

    ``retired`` are ids known to be gone, ``successors`` what to ask instead of those and others.
    """

    models: Mapping[str, ModelInfo] = field(default_factory=dict)
    as_of: datetime | None = None
    complete: bool = False
    retired: frozenset[str] = frozenset()
    successors: Mapping[str, str] = field(default_factory=dict)


def read_listing(
    text: str,
    *,
    as_of: datetime | None = None,
    complete: bool = True,
    between: Callable[[], object] = lambda: None,
) -> Listing:
    """The models in ``text``; ``between`` is called after each entry. Raises ValueError without any."""
    return Listing(read_models(text, between=between), as_of, complete)


def write_listing(listing: Listing, source: str, *, between: Callable[[], object] = lambda: None) -> str:
    """``listing`` as JSON that ``read_listing`` reads; ``source`` says where it came from."""
    as_of = None if listing.as_of is None else listing.as_of.isoformat()
    entries = []
    for info in listing.models.values():
        entries.append(json.dumps(_entry(info)))
        between()
    head = f'{{"source": {json.dumps(source)}, "as_of": {json.dumps(as_of)}, "data": [\n'
    return head + ",\n".join(entries) + "\n]}\n"


def _entry(info: ModelInfo) -> dict[str, Any]:
    price = info.price
    return {
        "id": info.id,
        "context_length": info.context_length,
        "pricing": None
        if price is None
        else {
            "prompt": str(price.prompt),
            "completion": str(price.completion),
            "request": str(price.request),
            "input_cache_write": str(price.cache_write),
            "internal_reasoning": str(price.reasoning),
        },
        "supported_parameters": None
        if info.supported_parameters is None
        else sorted(info.supported_parameters),
        "expiration_date": None if info.expiration_date is None else info.expiration_date.isoformat(),
        "top_provider": {"max_completion_tokens": info.max_completion_tokens},
        "reasoning": {"mandatory": info.reasoning_mandatory},
    }


_HEAD = re.compile(r'\A\{\s*"source"\s*:\s*("(?:[^"\\]|\\.){0,2000}")\s*,\s*"as_of"\s*:\s*"([^"\\]{1,40})"')


def read_head(text: str) -> tuple[str, datetime] | None:
    """Where and when a copy on disk was read, or None if it does not say."""
    head = _HEAD.match(text)
    if head is None:
        return None
    try:
        moment = datetime.fromisoformat(head[2])
        return str(json.loads(head[1])), moment.replace(tzinfo=moment.tzinfo or UTC)
    except ValueError:
        return None
