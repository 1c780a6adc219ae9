"""Drafts: what stands inside ``<think>`` is not the reply."""

from __future__ import annotations

import re
from typing import Final

from llm_integration.response_parser.model import Budget
from llm_integration.response_parser.scanner import end_of_first
from llm_integration.response_parser.strict import Decoder

__all__ = ["without_thoughts"]

_TAG: Final = re.compile(
    r"<(/?)(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)\s{0,8}>", re.IGNORECASE | re.ASCII
)
_ANSWER_FIRST: Final = re.compile(r"(?:(?:```|~~~)\w{0,12}\s{0,8})?[{\[]")
_MAX_BRACKETS: Final = 2_000
_ATTEMPT_COST: Final = 5


def without_thoughts(text: str, budget: Budget) -> tuple[str, bool]:
    """``text`` without its drafts, and whether one of them was never closed.

    A draft that is never closed reaches to the end. A closing tag that nothing opened closes a draft that
    began with the reply (some servers put the opening tag into the prompt), unless an object is open there.
    Tags inside an object are text: in a reply that begins with its object, and in plain JSON anywhere before
    the first draft.
    """
    brackets = text.count("<")
    if not brackets:
        return text, False
    if brackets > _MAX_BRACKETS:
        budget.spend(brackets)
    found = _TAG.search(text)
    if found is None:
        return text, False
    first = end_of_first(text, budget) if _ANSWER_FIRST.match(text) else _end_of_plain(text, found, budget)
    kept: list[str] = []
    depth = position = counted = braces = 0
    for tag in _TAG.finditer(text, first):
        budget.spend()
        braces += _balance(text, counted, tag.start())
        counted = tag.end()
        if not tag[1]:
            if depth == 0:
                kept.append(text[position : tag.start()])
            depth += 1
        elif depth:
            depth -= 1
        elif braces > 0:
            continue
        else:
            kept.clear()
        position, braces = tag.end(), 0
    if depth == 0:
        kept.append(text[position:])
    return "\n".join(kept), depth > 0


def _end_of_plain(text: str, tag: re.Match[str], budget: Budget) -> int:
    """Where the plain JSON object that ``tag`` stands in ends; 0 when it stands in none."""
    decoder, brace = Decoder(text, 1), text.find("{", 0, tag.start())
    while 0 <= brace < tag.start():
        budget.spend(_ATTEMPT_COST)
        end = decoder.at(brace)[1]
        if end > tag.start():
            return end
        brace = text.find("{", max(end, brace + 1), tag.start())
    return 0


def _balance(text: str, start: int, end: int) -> int:
    return text.count("{", start, end) - text.count("}", start, end)
