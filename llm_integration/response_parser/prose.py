"""What the layers for prose share: whose words are these, and are they meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from llm_integration.domain import Choppiness, ParseMethod
from llm_integration.response_parser.model import Budget

__all__ = ["Layer", "Verdicts", "after", "before", "clause", "gives_orders", "mentions"]

_BEFORE: Final = 160
_AFTER: Final = 80
_MENTION_COST: Final = 25
"""Steps for looking around one mention of a word."""

_SENTENCE: Final = re.compile(r"[.!?;]\s|\n")
_CLAUSE: Final = re.compile(r"[,:()]|\s[-–—]\s|\b(?:and|but)\b")
_ORDER_WORDS: Final = ("ignor", "disregard", "jailbreak", "system prompt", "prompt injection", "instruct")
_ORDER: Final = re.compile(
    r"(?:ignor(?:e|ing)|disregard(?:ing)?) (?:all|any|every|these|the|your|my|previous|prior|above)\b"
    r"|jailbreak|system prompt|prompt injection"
    r"|instruct(?:ed|s|ing|ions?)\b.{0,40}\b(?:rat(?:e|ing)|answer|output|respond|reply|[1-5])\b",
    re.ASCII,
)


@dataclass(slots=True)
class Verdicts:
    """What a piece of prose says. ``about_rating`` is true when it states a rating as such, be it one that
    is none, and ``last`` is where it has done so for the last time."""

    rating: int | None
    choppiness: Choppiness | None
    about_rating: bool
    warnings: list[str]
    last: int = 0


class Layer(NamedTuple):
    """One way to read prose.

    ``read`` takes a text in lower case and pays for its work from the budget, linear in the length; it raises
    OutOfWork when that is spent. ``hints`` are all the characters and words without which it finds nothing: a
    text around an object that has none of any layer's is not looked at.
    """

    method: ParseMethod
    read: Callable[[str, Budget], Verdicts]
    hints: tuple[str, ...]


def mentions(word: re.Pattern[str], text: str, budget: Budget) -> Iterator[re.Match[str]]:
    """Every place where ``word`` stands on its own; raises OutOfWork when there are too many to weigh."""
    for match in word.finditer(text):
        start = match.start()
        if start and (text[start - 1].isalnum() or text[start - 1] == "_"):
            budget.spend()
            continue
        budget.spend(_MENTION_COST)
        yield match


def before(text: str, at: int) -> str:
    """The sentence up to ``at``, as far as it is near."""
    return _SENTENCE.split(text[max(0, at - _BEFORE) : at])[-1]


def clause(sentence: str) -> str:
    """The last clause of a sentence."""
    return _CLAUSE.split(sentence)[-1]


def after(text: str, at: int) -> str:
    """What follows ``at``, as far as it is near."""
    return text[at : at + _AFTER]


def gives_orders(text: str, budget: Budget) -> bool:
    """True when ``text`` talks to, or about talking to, whoever rates: then its numbers prove nothing."""
    for word in _ORDER_WORDS:
        for match in re.finditer(word, text):
            budget.spend(2)
            if _ORDER.match(text[match.start() : match.start() + _AFTER]):
                return True
    return False
