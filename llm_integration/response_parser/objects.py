"""The three JSON layers below the first: which of the objects in a text is the answer.

The last schema-valid object of the best layer wins: fenced before embedded before repaired. It does not
win when somebody else in the text could mean another rating: a later object of a lower layer, any object
that had to be repaired, or a quoted ``"rating": n`` outside the objects that were read strictly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.response_parser.fields import read_value
from llm_integration.response_parser.model import Budget, Reading
from llm_integration.response_parser.scanner import Found, scan
from llm_integration.response_parser.strict import BAD, decode

__all__ = ["Candidate", "Search", "search"]

_LAYERS: Final = (ParseMethod.FENCED_JSON, ParseMethod.EMBEDDED_JSON, ParseMethod.REPAIRED_JSON)
_COST: Final = 25
"""Steps for decoding and reading one object, beside those of the scanner."""

_FENCE: Final = re.compile(r"(?:```|~~~)[ \t]*[A-Za-z0-9_-]{0,12}\s*\Z")
_CLAUSE: Final = re.compile(r"[.!?][\s\"'”)*]|\n\s*(?=\S)")
_QUOTED: Final = re.compile(
    r"\b(?:for example|an example|example[^:\n]{0,20}:|e\.g|for instance|sample|template|hypothetical\w*"
    r"|would (?:be|look|have|need)|could be|might be|if\b|unless|instead of|rather than|ignor\w+|disregard\w*"
    r"|refus\w+|inject\w*|do not|don['’]t|won['’]t|cannot|can['’]t|never|not"
    r"|(?:told|tells?|telling|instruct(?:s|ed|ing)?|ask(?:s|ed|ing)?|demand\w*|wants?|tr(?:y|ies|ied|ying)"
    r"|attempt\w*|said|says?|claim\w*)(?: (?:me|us|you|the \w{1,20}))?(?: to\b|:))",
    re.ASCII,
)
_QUOTED_KEY: Final = re.compile(
    r"""["'“”]\s{0,8}rating\s{0,8}["'“”]\s{0,8}:\s{0,8}["'“”]?(-?\d[^\s,}\]"'“”]{0,12})""", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One object that says something in the answer's schema, and the layer it was read by."""

    found: Found
    layer: ParseMethod
    reading: Reading


@dataclass(slots=True)
class Search:
    """What the JSON layers made of a text. ``prose`` is what lies outside of the objects."""

    method: ParseMethod
    reading: Reading | None
    prose: str
    complete: bool
    value: dict[str, object] | None = None


def search(text: str, budget: Budget) -> Search:
    """Find the answer among the objects in ``text``."""
    objects, reached = scan(text, budget)
    candidates = [candidate for candidate in _candidates(text, objects, budget) if candidate is not None]
    result = _choose(text, [candidate for candidate in candidates if not candidate.reading.template])
    if reached < len(text) and _mentions_rating(text, reached):
        _abstain(result, "the reply is too tangled to be read to its end")
        result.complete = False
    if result.reading is None and len(candidates) > 0:
        result.reading = None
    result.prose = _outside(text, objects)
    if result.value is None and objects:
        result.value = _plain(objects[-1].value)
    return result


def _candidates(text: str, objects: Sequence[Found], budget: Budget) -> Iterator[Candidate | None]:
    for found in objects:
        budget.spend(_COST)
        value = decode(text[found.start : found.end]) if found.closed else BAD
        if value is not BAD:
            found.value = value
        yield None
