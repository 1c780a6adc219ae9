"""Names in settings: the nearest known one, model ids, and lists written as text."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator

__all__ = ["Names", "names_of", "normalise_model_id", "suggestion"]


def normalise_model_id(model: str) -> str:
    """The id OpenRouter knows: a leading ``openrouter/`` goes if the rest still contains ``/``.

    ``openrouter/google/gemini-2.5-flash`` becomes ``google/gemini-2.5-flash``; ``openrouter/auto``
    is an id of OpenRouter's own and stays.
    """
    model = model.strip()
    rest = model.removeprefix("openrouter/")
    return rest if rest != model and "/" in rest else model


def suggestion(key: str, names: Iterable[str]) -> str:
    """What to append to "unknown key": the nearest known name, or all of them."""
    known = list(names)
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"


def names_of(value: object) -> object:
    """Lists come from the environment as comma-separated text or JSON."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return value
    return [part.strip() for part in text.split(",") if part.strip()]


Names = Annotated[list[str], BeforeValidator(names_of)]
