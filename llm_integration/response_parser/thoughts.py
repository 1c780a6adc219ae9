"""Drafts: what stands inside ``<think>`` is not the reply."""

from __future__ import annotations

import re
from typing import Final

from llm_integration.pieces import Steps
from llm_integration.response_parser.model import Budget
from llm_integration.response_parser.objects import has_lost_keys
from llm_integration.response_parser.scanner import end_of_first
from llm_integration.response_parser.strict import Decoder

__all__ = ["without_thoughts"]

_TAG: Final = re.compile(
    r"<(/?)(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)\s{0,8}>", re.IGNORECASE | re.ASCII
)
_ANSWER_FIRST: Final = re.compile(r"(?:(?:```|~~~)\w{0,12}\s{0,8})?[{\[]")
_MAX_BRACKETS: Final = 2_000
_ATTEMPT_COST: Final = 5
_LOOK_COST: Final = 2
_SHORTEST_KEY: Final = len('rating":')


def without_thoughts(text: str, budget: Budget) -> Steps[tuple[str, bool, bool]]:
    """``text`` without its drafts, whether one was never closed, and whether what is left is doubtful.

    A draft that is never closed reaches to the end. A closing tag that nothing opened closes a draft that
    began with the reply (some servers put the opening tag into the prompt), unless an object is open there.
    Tags inside an object are text: in a reply that begins with its object, and in plain JSON anywhere
    outside of drafts. What is left is doubtful when a draft begins inside an open object, or a closing tag
    that nothing opened took keys of an answer away: they may have stood in the texts of a broken object.
    """
    brackets = text.count("<")
    if brackets > _MAX_BRACKETS:
        budget.spend(brackets)
    if not brackets or _TAG.search(text) is None:
        return text, False, False
    first = (yield from end_of_first(text, budget)) if _ANSWER_FIRST.match(text) else 0
    decoder, plain = Decoder(text, 1), first
    kept: list[str] = []
    depth = position = counted = braces = 0
    doubtful = False
    for tag in _TAG.finditer(text, first):
        if budget.spend():
            yield
        if depth == 0 and tag.start() >= plain:
            plain = _end_of_plain(decoder, plain, tag.start(), budget)
        if tag.start() < plain:
            continue
        braces += _balance(text, counted, tag.start())
        counted = tag.end()
        if not tag[1]:
            if depth == 0:
                kept.append(text[position : tag.start()])
                doubtful = doubtful or braces > 0
            depth += 1
        elif depth:
            depth -= 1
        elif braces > 0:
            continue
        else:
            doubtful = doubtful or _has_keys("".join([*kept, text[position : tag.start()]]), budget)
            kept.clear()
        position, braces = tag.end(), 0
    if depth == 0:
        kept.append(text[position:])
    return "\n".join(kept), depth > 0, doubtful


def _has_keys(taken: str, budget: Budget) -> bool:
    if len(taken) < _SHORTEST_KEY:
        return False
    budget.spend(_LOOK_COST)
    return has_lost_keys(taken)


def _end_of_plain(decoder: Decoder, floor: int, tag: int, budget: Budget) -> int:
    """Where the plain JSON object behind ``floor`` ends that has ``tag`` in it; up to ``tag`` without one."""
    while decoder.allowance > 0:
        brace = decoder.text.find("{", floor, tag)
        if brace < 0:
            break
        budget.spend(_ATTEMPT_COST)
        floor = max(decoder.at(brace)[1], brace + 1)
        if floor > tag:
            return floor
    return tag


def _balance(text: str, start: int, end: int) -> int:
    return text.count("{", start, end) - text.count("}", start, end)
