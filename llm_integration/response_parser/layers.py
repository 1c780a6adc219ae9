"""The layers that read a verdict out of prose, from most to least trustworthy: one table.

Objects are read before any prose is. A layer beside these: docs/how-to/add-a-parser-layer.md.
"""

from __future__ import annotations

import re
from typing import Final

from llm_integration.domain import Choppiness, ParseMethod
from llm_integration.fairness import Steps
from llm_integration.response_parser import keywords, stated
from llm_integration.response_parser.keywords import keyword_choppiness
from llm_integration.response_parser.model import Budget
from llm_integration.response_parser.prose import Verdicts

__all__ = ["LAYERS", "may_say_something", "opposed", "prose_verdicts"]


LAYERS: Final = (
    stated.LAYER,
    keywords.LAYER,
)  # fmt: skip
_HINTS: Final = tuple(hint for layer in LAYERS for hint in layer.hints)
_CHARACTERS: Final = re.compile(f"[{re.escape(''.join(hint for hint in _HINTS if len(hint) == 1))}]")
_WORDS: Final = tuple(hint for hint in _HINTS if len(hint) > 1)


def may_say_something(prose: str) -> bool:
    """False for the usual words around an object, which are then not looked at any closer."""
    return _CHARACTERS.search(prose) is not None or any(word in prose for word in _WORDS)


def prose_verdicts(text: str, budget: Budget) -> Steps[tuple[ParseMethod, Verdicts]]:
    """What ``text`` (lower case) says, and which layer found the rating, or failing that choppiness.

    The first layer that finds something about the rating has the say; a later one that says otherwise makes
    it none.
    """
    by: ParseMethod | None = None
    found = Verdicts(None, None, False, [])
    for layer in LAYERS:
        if layer is not LAYERS[0]:
            yield
        said = layer.read(text, budget)
        if found.about_rating or found.rating is not None:
            _weigh(found, said)
            continue
        if said.about_rating or said.rating is not None or (by is None and said.choppiness is not None):
            by = layer.method
        found = Verdicts(
            said.rating, found.choppiness or said.choppiness, said.about_rating,
            found.warnings + said.warnings, said.last,
        )  # fmt: skip
    if found.choppiness is not None or not found.warnings:
        yield
        _weigh_choppiness(found, keyword_choppiness(text, budget))
    return by or LAYERS[-1].method, found


def _weigh(found: Verdicts, said: Verdicts) -> None:
    """Take the rating back if another layer says otherwise."""
    if said.about_rating and said.rating != found.rating:
        found.rating = None
        found.warnings.append("the text states different ratings")
    elif opposed(found.rating, said.rating):
        found.rating = None
        found.warnings.append("the number and the words of the text contradict each other")


def _weigh_choppiness(found: Verdicts, said: Choppiness | None) -> None:
    if found.choppiness is None:
        found.choppiness = said
    elif said not in (None, found.choppiness):
        found.choppiness = None
        found.warnings.append("the text states choppiness both ways")


def opposed(number: int | None, words: int | None) -> bool:
    """True when the words for one end of the scale stand beside a number that is not near it."""
    return number is not None and words is not None and abs(number - words) > 1
