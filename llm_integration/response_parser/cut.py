"""A reply that was cut at a limit: nobody knows what would have followed, so hardly anything of it counts.

Only an object that the reply begins with, closed thoughts and a fence aside, may be the answer: one that
was being written when the end came, or one behind which nothing stands. It counts as far as it is complete.
Prose may have been a draft, an object behind other text may have been one, and so may an object behind
which something else begins.
"""

from __future__ import annotations

import re
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.fairness import Steps
from llm_integration.response_parser.final import ends_reply
from llm_integration.response_parser.model import BLANK, Budget, OutOfWork, ParsedResponse, as_response
from llm_integration.response_parser.objects import Search, search
from llm_integration.response_parser.thoughts import without_thoughts

__all__ = ["read_cut"]

_FENCE: Final = re.compile(r"(?:(?:```|~~~)[ \t]{0,8}\w{0,12}\s{0,80})?")
_CUT_KEY: Final = re.compile(r"""[\s,]{0,80}["'“]?[\w .-]{0,60}["'”]?\s{0,20}:?""")


def read_cut(body: str, budget: Budget, notes: list[str]) -> Steps[ParsedResponse]:
    """What ``body``, the beginning of a reply, says for certain. ``notes`` become the first warnings."""
    notes.append("the reply was cut at its length limit")
    try:
        rest = yield from without_thoughts(body, budget, cut=True)
        if rest.unclosed:
            return as_response(None, ParseMethod.NONE, *notes, "the reply never leaves its draft")
        text = rest.text.strip(BLANK)
        fence = _FENCE.match(text)
        begin = fence.end() if fence else 0
        if rest.doubtful or not text.startswith("{", begin):
            return as_response(None, ParseMethod.NONE, *notes, "it does not begin with an answer")
        yield
        found = yield from search(text, budget)
    except OutOfWork:
        return as_response(None, ParseMethod.NONE, *notes, "the reply is too tangled to be read")
    if not _is_all(text, begin, found):
        return as_response(None, ParseMethod.NONE, *notes, "what it begins with may be a draft")
    if found.reading is None or found.reading.rating is None:
        notes.append("no complete rating came before")
    return as_response(found.reading, found.method, *notes)


def _is_all(text: str, begin: int, found: Search) -> bool:
    """True when the text is one object from ``begin`` on, whole or cut."""
    place = found.place
    if place is None:
        return len(found.spans) <= 1 and not found.rivals
    if place.start != begin or found.rivals:
        return False
    behind = text[place.end :]
    return ends_reply(behind) or (not place.closed and _CUT_KEY.fullmatch(behind) is not None)
