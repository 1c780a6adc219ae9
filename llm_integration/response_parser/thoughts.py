"""Drafts: what stands inside ``<think>`` is not the reply."""

from __future__ import annotations

import re
from typing import Final

from llm_integration.response_parser.model import Budget

__all__ = ["without_thoughts"]

_TAG: Final = re.compile(
    r"<(/?)(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)\s{0,8}>", re.IGNORECASE | re.ASCII
)
_MAX_BRACKETS: Final = 2_000


def without_thoughts(text: str, budget: Budget) -> tuple[str, bool]:
    """``text`` without its drafts, and whether one of them was never closed.

    A draft that is never closed reaches to the end. A closing tag that nothing opened closes a draft that
    began with the reply (some servers put the opening tag into the prompt).
    """
    brackets = text.count("<")
    if not brackets:
        return text, False
    if brackets > _MAX_BRACKETS:
        budget.spend(brackets)
    kept: list[str] = []
    depth = position = 0
    for tag in _TAG.finditer(text):
        budget.spend()
        if not tag[1]:
            if depth == 0:
                kept.append(text[position : tag.start()])
            depth += 1
        elif depth == 0:
            kept.clear()
        else:
            depth -= 1
        position = tag.end()
    if depth == 0:
        kept.append(text[position:])
    return "\n".join(kept), depth > 0
