"""The three JSON layers below the first: which of the objects in a text is the answer.

The last schema-valid object of the best layer wins: fenced before embedded before repaired. It does not
win when something else in the text could mean another rating: a later object of a lower layer, any object
that had to be repaired, or a quoted ``"rating": n`` outside the objects that were read strictly. Objects
that echo the prompt's format, or that the words before them call an example, a condition or somebody
else's wish, are not the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.fairness import Steps
from llm_integration.response_parser.fields import as_rating, read_value
from llm_integration.response_parser.model import Budget, OutOfWork, Reading, lowered
from llm_integration.response_parser.scanner import Found, scan
from llm_integration.response_parser.strict import BAD, decode

__all__ = ["Search", "gaps", "has_lost_keys", "has_words", "is_quoted", "opens_fence", "search"]

_COST: Final = 10
"""Steps for decoding, reading and placing one object, beside those of the scanner."""
_RESERVE: Final = 250
"""Steps that scanning leaves for this, so that an object before an endless loop can still be read."""

_FENCE: Final = re.compile(r"(?:```|~~~)[ \t]*[A-Za-z0-9_-]{0,12}[ \t]*\n?\s*\Z")
_NO_WORDS: Final = re.compile(r"(?:\s++|(?:```|~~~)[A-Za-z0-9_-]{0,12}+)*+")
_CLAUSE_END: Final = re.compile(r"[.!?][\s\"'”)*]|\n\s*(?=\S)")
_QUOTED: Final = re.compile(
    r"\b(?:(?:for|an|the) example|example[^:\n]{0,20}:|e\.g|for instance|hypothetical\w{0,9}|if|unless"
    r"|sample (?:output|reply|response|answer)|would (?:be|look|have|need)|could be|might be|instead of"
    r"|rather than|ignore (?:all|any|previous|prior|your|my|the (?:rules|instructions|system))|disregard"
    r"|prompt injection)\b"
    r"|(?<!you )\b(?:told|tells?|telling|instruct(?:s|ed|ing)?|ask(?:s|ed|ing)?|demand\w{0,3}|wants?"
    r"|tr(?:y|ies|ied|ying)|attempt\w{0,3})(?: (?:me|us|you|the \w{1,20}))? to\b"
    r"|\b(?:says?|said|claim(?:s|ed)?|reads|contains)(?: that)?:?$"
    r"|(?:\bnot|\bnever|\bcannot|n['’]t)(?: [a-z]{1,10}){0,4}$",
    re.ASCII,
)
"""Words before an object that make it an example, a condition or somebody else's wish."""
_KEY_BEFORE: Final = re.compile(r"""["'“”]\s{0,8}\Z""")
_KEY_AFTER: Final = re.compile(r"""\s{0,8}["'“”]\s{0,8}:\s{0,8}["'“”]?(-?\d[^\s,}\]"'“”]{0,12})""")
_QUOTES: Final = "\"'“”"
_LOST_KEYS: Final = tuple(
    re.compile(key + r"""["'“”]\s{0,8}[:,="'\[{]""")
    for key in ("rating", "choppiness", "analysis", "recommendations")
)
"""One pattern for each key: a plain beginning makes the search several times as fast as alternatives do."""
_MEMBER: Final = re.compile(r"""["'“”]\s{0,8}:\s{0,8}\Z""")
_RATING_WORD: Final = re.compile("rating")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One object that says something in the answer's schema, and the layer it was read by."""

    found: Found
    layer: ParseMethod
    reading: Reading
    quoted: bool


@dataclass(slots=True)
class Search:
    """What the JSON layers made of a text.

    ``reading`` is None when no object says anything. ``prose`` is what lies outside of all objects, and
    ``debris`` is true when keys of the answer lie there: the remains of an object whose words are not prose.
    ``value`` is the answering object, or failing that the last one. ``place`` is where the answering object
    stands, ``spans`` are the places of all, and ``rivals`` what the others say as the reply's own.
    """

    method: ParseMethod
    reading: Reading | None
    prose: str
    value: dict[str, object] | None
    debris: bool
    place: Found | None
    spans: Sequence[tuple[int, int]]
    rivals: Sequence[Reading]


def search(text: str, budget: Budget) -> Steps[Search]:
    """Find the answer among the objects in ``text``."""
    scanning = Budget(max(budget.left - _RESERVE, 0))
    objects, reached = yield from scan(text, scanning)
    budget.spend(scanning.spent)
    yield
    candidates: list[_Candidate] = []
    spans = [(found.start, found.end) for found in objects]
    prose = "\n".join(gaps(text, spans))
    debris = has_lost_keys(prose)
    yield
    try:
        for found, floor in zip(objects, [0, *(item.end for item in objects)], strict=False):
            if budget.spend(_COST):
                yield
            candidates += _candidates(text, found, text[max(floor, found.start - 160) : found.start], prose)
        chosen = _choose(candidates, _loose(text, objects), debris, budget)
    except OutOfWork:
        reached = 0
        chosen = candidates[-1] if candidates else None
    reading = chosen.reading if chosen else None
    if reached < len(text) and "rating" in lowered(text[reached:]):
        reading = _tangled(reading)
    value = (reading.source if reading else None) or _last_object(objects)
    rivals = [other.reading for other in candidates if other is not chosen and not other.quoted]
    layer, place = (chosen.layer, chosen.found) if chosen else (ParseMethod.NONE, None)
    return Search(layer, reading, prose, value, debris, place, spans, rivals)


def _candidates(text: str, found: Found, lead: str, prose: str) -> list[_Candidate]:
    """The object as a candidate; nothing when it says nothing or only echoes the prompt."""
    value = decode(text[found.start : found.end]) if found.closed else BAD
    if value is not BAD:
        found.value, found.strict = value, True
    reading = read_value(found.value)
    if reading is None or reading.empty or reading.template:
        return []
    if reading.filler and has_words(prose):
        return []
    layer = ParseMethod.REPAIRED_JSON
    if found.strict:
        layer = ParseMethod.FENCED_JSON if opens_fence(lead) else ParseMethod.EMBEDDED_JSON
    elif not found.closed and isinstance(found.value, dict) and reading.source is not found.value:
        _doubt(reading, "the reply was cut off where its own rating could have followed")
    if found.inside or _MEMBER.search(lead[-20:]):
        _doubt(reading, "the rating stands inside an object that cannot be read")
    quoted = is_quoted(lead) or (not found.strict and _in_string(lead))
    return [_Candidate(found, layer, reading, quoted)]


def _choose(
    candidates: Sequence[_Candidate], loose: Sequence[str], debris: bool, budget: Budget
) -> _Candidate | None:
    own = [candidate for candidate in candidates if not candidate.quoted]
    rated = [candidate for candidate in own if candidate.reading.rating is not None]
    if not rated:
        explicit = [candidate for candidate in own if candidate.reading.explicit]
        return (explicit or own)[-1] if own else None
    order = list(ParseMethod)
    best = min((candidate.layer for candidate in rated), key=order.index)
    chosen = [candidate for candidate in rated if candidate.layer is best][-1]
    disputed = len({candidate.reading.rating for candidate in rated}) > 1
    if debris and (disputed or chosen.layer is ParseMethod.REPAIRED_JSON):
        _doubt(chosen.reading, "the rating stands among the remains of a broken object")
    elif _contradicted(chosen, candidates, loose, budget):
        chosen.reading.rating = chosen.reading.choppiness = None
        chosen.reading.warnings.append("the reply gives different ratings")
    elif any(candidate.reading.explicit for candidate in own if candidate is not chosen):
        chosen.reading.warnings.append("several objects in the reply; the last valid one counts")
    return chosen


def _contradicted(
    chosen: _Candidate, candidates: Sequence[_Candidate], loose: Sequence[str], budget: Budget
) -> bool:
    rating = chosen.reading.rating
    rated = [other for other in candidates if other.reading.rating is not None]
    for other in rated:
        later = other.found.start > chosen.found.start and (other.quoted or other.layer is not chosen.layer)
        repaired = other.layer is ParseMethod.REPAIRED_JSON and not other.quoted
        if (later or repaired) and other.reading.rating != rating:
            return True
    return any(value != rating for part in loose for value in _quoted_keys(part, budget))


def _quoted_keys(text: str, budget: Budget) -> list[int | None]:
    """Every ``"rating": n`` in ``text`` whose n is a number, whatever stands around it."""
    low = lowered(text)
    values: list[int | None] = []
    for word in _RATING_WORD.finditer(low):
        budget.spend()
        after = _KEY_AFTER.match(low, word.end())
        if after and _KEY_BEFORE.search(low[max(0, word.start() - 10) : word.start()]):
            values.append(_number(after[1]))
    return [value for value in values if value != _SCALE]


_SCALE: Final = 0
"""Stands for ``1-5`` and the like: the format, not a rating."""


def _number(literal: str) -> int | None:
    if re.match(r"1(?:-|–|\||to)", literal):
        return _SCALE
    number, _, denominator = literal.partition("/")
    if not re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", number, re.ASCII):
        return None
    return as_rating(number, denominator or None)


def _doubt(reading: Reading, why: str) -> None:
    if reading.explicit:
        reading.rating = None
        reading.warnings.append(why)


def _in_string(lead: str) -> bool:
    return lead.rpartition("\n")[2].count('"') % 2 == 1


def opens_fence(lead: str) -> bool:
    """True when an object behind ``lead`` is the first thing in a code fence."""
    return bool(_FENCE.search(lead[-40:]))


def has_lost_keys(prose: str) -> bool:
    """True when ``prose`` has keys of the answer in it: remains of an object that could not be read."""
    if not any(quote in prose for quote in _QUOTES):
        return False
    low = lowered(prose)
    return any(key.search(low) for key in _LOST_KEYS)


def has_words(prose: str) -> bool:
    """True when ``prose`` is more than blanks and fences."""
    return _NO_WORDS.fullmatch(prose) is None


def is_quoted(lead: str) -> bool:
    """True when the clause before an object says that it is not the reply's own verdict."""
    lead = _FENCE.sub("", lead).rstrip(" \t\n\"'`[(")
    return bool(_QUOTED.search(_CLAUSE_END.split(lead)[-1].lower()))


def _loose(text: str, objects: Sequence[Found]) -> list[str]:
    """The parts of the text that were not read as plain JSON."""
    return gaps(text, [(found.start, found.end) for found in objects if found.strict])


def gaps(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """What of ``text`` lies before, between and behind ``spans``."""
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _tangled(reading: Reading | None) -> Reading:
    warning = "the reply is too tangled to be read to its end"
    if reading is None:
        return Reading(None, None, None, None, True, False, False, [warning])
    reading.rating = None
    reading.explicit = True
    reading.warnings.append(warning)
    return reading


def _last_object(objects: Sequence[Found]) -> dict[str, object] | None:
    value = objects[-1].value if objects else None
    if isinstance(value, list):
        value = next((item for item in reversed(value) if isinstance(item, dict)), None)
    return value if isinstance(value, dict) else None
