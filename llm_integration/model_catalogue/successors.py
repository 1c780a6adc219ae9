"""Which model to name to somebody whose own is gone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from llm_integration.config import DEFAULT_MODEL
from llm_integration.model_catalogue.listing import Listing, ModelInfo

__all__ = ["WARN_DAYS", "successor_of"]

WARN_DAYS = 30
"""A model that is announced to be gone within so many days is nobody's successor."""


def successor_of(model: str, listing: Listing, known: Mapping[str, str], today: date) -> str | None:
    """A model of ``listing`` to ask instead of ``model``: served, priced and not about to go.

    The one in ``known`` comes first, then that of the same author whose name begins most alike, then the
    default model. Where no price is listed at all, as by a local server, any model will do. None when nothing
    fits. Takes a fraction of a millisecond for a list of a thousand.
    """
    prices = any(info.price is not None for info in listing.models.values())
    fit = {
        name: info
        for name, info in listing.models.items()
        if name != model and _stays(info, today) and (not prices or _is_plain(info))
    }
    if known.get(model) in fit:
        return known[model]
    author = f"{model.partition('/')[0]}/"
    alike = [info for name, info in fit.items() if not prices or name.startswith(author)]
    if alike:
        return max(alike, key=lambda info: _likeness(model, info)).id
    return DEFAULT_MODEL if DEFAULT_MODEL in fit else None


def _stays(info: ModelInfo, today: date) -> bool:
    return info.expiration_date is None or info.expiration_date > today + timedelta(days=WARN_DAYS)


def _is_plain(info: ModelInfo) -> bool:
    """A model with a price, no variant (``:free``) and no alias (``~``) of one."""
    return info.price is not None and ":" not in info.id and not info.id.startswith(("~", "openrouter/"))


def _likeness(model: str, info: ModelInfo) -> tuple[int, bool, float]:
    """Letters in common at the beginning, then the default model, then the cheaper one."""
    cost = 0.0 if info.price is None else float(info.price.completion)
    return _common(model, info.id), info.id == DEFAULT_MODEL, -cost


def _common(one: str, other: str) -> int:
    """How many letters both begin with."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)
