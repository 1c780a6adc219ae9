"""Which part of a prompt its tokens go to. Pure; works on any stored prompt, whatever file it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from llm_integration.tokens import LETTERS_PER_TOKEN, estimated_tokens, thirds_of_tokens

__all__ = ["PromptParts", "estimated_tokens", "prompt_parts"]

_BAR: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?,")
_INDICATOR: Final = re.compile(r"[^:\n]{1,64}: (?:missing|-?[\d.]{1,24}(?:e[-+]\d{1,3})?)$")


@dataclass(frozen=True, slots=True)
class PromptParts:
    """Estimated tokens of a prompt by what they are spent on.

    ``instructions`` is everything that is the same for every signal: the system message and what stands
    outside of the data block. ``rest`` is the signal itself.
    """

    instructions: int
    bars: int
    indicators: int
    rest: int

    @property
    def total(self) -> int:
        """All tokens of the prompt."""
        return self.instructions + self.bars + self.indicators + self.rest


def prompt_parts(user: str, system: str | None = None) -> PromptParts:
    """The tokens of a request as it was sent, by part; together as many as its whole text has."""
    thirds = {"instructions": thirds_of_tokens(system or ""), "bars": 0, "indicators": 0, "rest": 0}
    inside = listing = False
    for line in user.splitlines(keepends=True):
        text = line.rstrip()
        if text == "</data>":
            inside = False
        listing = inside and (text == "Indicators:" or (listing and _INDICATOR.match(text) is not None))
        thirds[_kind(text, inside, listing)] += thirds_of_tokens(line)
        if text == "<data>":
            inside = True
    return _rounded(thirds)


def _kind(text: str, inside: bool, listing: bool) -> str:
    if not inside:
        return "instructions"
    if listing:
        return "indicators"
    return "bars" if _BAR.match(text) else "rest"


def _rounded(thirds: dict[str, int]) -> PromptParts:
    """Whole tokens, whose sum is that of the whole text."""
    parts, seen, given = {}, 0, 0
    for name, count in thirds.items():
        seen += count
        parts[name] = seen // LETTERS_PER_TOKEN - given
        given += parts[name]
    return PromptParts(**parts)
