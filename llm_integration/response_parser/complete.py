"""A reply that was not cut and is not one JSON value as a whole: its objects, its prose, and which counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llm_integration.domain import Choppiness, ParseMethod
from llm_integration.fairness import Steps
from llm_integration.response_parser.fields import MAX_TEXT_CHARS
from llm_integration.response_parser.final import ends_reply, hints_at_another
from llm_integration.response_parser.layers import may_say_something, opposed, prose_verdicts
from llm_integration.response_parser.model import (
    BLANK,
    Budget,
    OutOfWork,
    ParsedResponse,
    Reading,
    as_response,
    lowered,
)
from llm_integration.response_parser.objects import Search, gaps, has_words, search
from llm_integration.response_parser.prose import Verdicts
from llm_integration.response_parser.thoughts import Rest, Span, hidden_parts, without_thoughts

__all__ = ["read_complete"]

_STRICT: Final = (ParseMethod.FENCED_JSON, ParseMethod.EMBEDDED_JSON)
_TANGLED: Final = "the reply is too tangled to be read"
_TWO_RATINGS: Final = "the reply gives different ratings and none of them ends it"
_TWO_VERDICTS: Final = "the reply gives choppiness both ways and no object ends it"
_HIDDEN: Final = "the rating stands only inside marks that nobody knows: it may be a draft"


def read_complete(body: str, budget: Budget, notes: list[str]) -> Steps[ParsedResponse]:
    """What ``body`` says without its thoughts. ``notes`` become the first warnings."""
    try:
        rest = yield from without_thoughts(body, budget)
        if rest.unclosed:
            notes.append("the reply never leaves its draft")
        yield
        found = yield from search(rest.text, budget)
        parts: tuple[list[Span], str] = [], ""
        if rest.strange:
            yield
            parts = yield from hidden_parts(rest.text, found.spans, budget)
    except OutOfWork:
        return as_response(None, ParseMethod.NONE, *notes, _TANGLED)
    if not parts[0]:
        return (yield from _judged(rest.text, found, rest.doubtful, budget, notes))
    return (yield from _apart(rest, found, parts, budget, notes))


def _apart(
    rest: Rest, found: Search, parts: tuple[list[Span], str], budget: Budget, notes: list[str]
) -> Steps[ParsedResponse]:
    """A reply with marks that nobody knows: what stands behind the last one counts, if it is a reading.

    Otherwise the reply is read as if the marks were not there, and what it says must be said outside of
    them, too.
    """
    hidden, last = parts
    try:
        if has_words(last):
            behind = yield from search(last, budget)
            response = yield from _judged(last, behind, rest.doubtful, budget, list(notes))
            if response.rating is not None:
                return response
        whole = yield from _judged(rest.text, found, rest.doubtful, budget, list(notes))
        if whole.rating is None and whole.choppiness is None:
            return whole
        outside = "\n".join(gaps(rest.text, hidden))
        apart = yield from search(outside, budget)
        known = yield from _judged(outside, apart, rest.doubtful, budget, [])
    except OutOfWork:
        return as_response(None, ParseMethod.NONE, *notes, _TANGLED)
    return _agreeing(whole, known)


def _agreeing(whole: ParsedResponse, known: ParsedResponse) -> ParsedResponse:
    """``whole`` without what ``known``, the part of it outside of strange marks, does not say."""
    choppiness = whole.choppiness if whole.choppiness == known.choppiness else None
    if whole.rating == known.rating:
        return replace(whole, choppiness=choppiness)
    return replace(whole, rating=None, choppiness=choppiness, warnings=(_HIDDEN, *whole.warnings))


def _judged(
    text: str, found: Search, doubtful: bool, budget: Budget, notes: list[str]
) -> Steps[ParsedResponse]:
    """The reading of ``text``, whose objects are ``found``."""
    if doubtful and found.method not in _STRICT:
        return as_response(None, ParseMethod.NONE, *notes, "a draft ends in the middle of an object")
    if found.reading is not None and found.reading.explicit:
        if found.place is None or not ends_reply(text[found.place.end :]):
            yield
            yield from _against_the_rest(text, found, found.reading, budget)
        return as_response(found.reading, found.method, *notes)
    yield
    return (yield from _from_prose(found, budget, notes))


def _against_the_rest(text: str, found: Search, reading: Reading, budget: Budget) -> Steps[None]:
    """Take back what the object says and something else in the reply says otherwise: it does not end it."""
    ratings = {rival.rating for rival in found.rivals} | {reading.rating}
    choppiness = {rival.choppiness for rival in found.rivals} | {reading.choppiness}
    prose = lowered(found.prose)
    if may_say_something(prose):
        try:
            _, verdicts = yield from prose_verdicts(prose, budget)
        except OutOfWork:
            verdicts = Verdicts(None, None, True, [])
        if verdicts.about_rating:
            ratings.add(verdicts.rating or 0)
        elif reading.rating is not None and opposed(reading.rating, verdicts.rating):
            ratings.add(verdicts.rating)
        choppiness.add(verdicts.choppiness)
    behind = text[found.place.end :] if found.place else text
    if reading.rating is not None and (len(ratings - {None}) > 1 or hints_at_another(behind, reading.rating)):
        reading.rating = reading.choppiness = None
        reading.warnings.insert(0, _TWO_RATINGS)
    elif len(choppiness - {None}) > 1:
        reading.choppiness = None
        reading.warnings.append(_TWO_VERDICTS)


def _from_prose(found: Search, budget: Budget, notes: list[str]) -> Steps[ParsedResponse]:
    """The rating from prose; whatever an object without a rating said stays as it is."""
    if found.debris or (found.reading is not None and found.method is ParseMethod.REPAIRED_JSON):
        return as_response(found.reading, found.method, *notes, "the reply is an object that cannot be read")
    text = lowered(found.prose)
    try:
        method, verdicts = yield from prose_verdicts(text, budget)
        if verdicts.rating is not None and hints_at_another(text[verdicts.last :], verdicts.rating):
            verdicts.rating = None
            verdicts.warnings.append(_TWO_RATINGS)
    except OutOfWork:
        method = ParseMethod.NONE
        verdicts = Verdicts(None, None, False, ["the reply mentions ratings too often to weigh them"])
    notes += verdicts.warnings
    if found.reading is not None:
        own = found.reading
        own.rating = verdicts.rating
        own.choppiness = _one_of(own.choppiness, verdicts.choppiness, own.warnings)
        return as_response(own, method if verdicts.rating is not None else found.method, *notes)
    if verdicts.rating is None and verdicts.choppiness is None:
        return as_response(None, ParseMethod.NONE, *notes)
    words = found.prose[: MAX_TEXT_CHARS + 1_000].strip(BLANK)[:MAX_TEXT_CHARS] or None
    reading = Reading(verdicts.rating, verdicts.choppiness, words, None, True, False, False, [])
    return as_response(reading, method, *notes)


def _one_of(own: Choppiness | None, other: Choppiness | None, warnings: list[str]) -> Choppiness | None:
    """The verdict of an object, unless the prose around it has the other one."""
    if own is None or other is None or own == other:
        return own
    warnings.append(_TWO_VERDICTS)
    return None
