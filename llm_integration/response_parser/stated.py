"""A rating stated in prose: "Rating: 4/5", "**Rating:** 4", "I rate this 4 out of 5", "I give it a 4".

A number counts when the reply itself gives it, without a condition. It does not count in a range, a legend
("5 means excellent"), a count ("5 reasons"), a quotation, a negation, or as the rating of something else
("risk rating"). "score" needs a denominator. Two different ratings, or one that is off the scale, are none.
"""

from __future__ import annotations

import re
from typing import Final

from llm_integration.domain import Choppiness, ParseMethod
from llm_integration.response_parser.fields import as_rating
from llm_integration.response_parser.model import Budget
from llm_integration.response_parser.prose import (
    Layer,
    Verdicts,
    after,
    before,
    clause,
    gives_orders,
    mentions,
)

__all__ = ["LAYER", "stated_verdicts"]

_N: Final = (
    r"(?P<number>\d{1,9}(?:[.,]\d{1,9})?|one|two|three|four|five)[*_]{0,3}"
    r"(?:\s{0,2}(?:/|out of|of)\s{0,2}[*_]{0,3}(?P<out_of>\d{1,9}|five|ten)(?![\d.]*\d))?(?!\w)"
)
_OPENING: Final = r"[*_`\"'“(\[]{0,4}\s{0,3}"
_AFTER_NOUN: Final = re.compile(
    r"[*_`\"'”]{0,4}\s{0,3}"
    r"(?:[(\[]\s?1\s?(?:-|–|to|/)\s?5\s?[)\]]\s{0,3}|(?:for|of) this (?:signal|trade|setup)\s)?"
    r"[*_`\"'”]{0,4}\s{0,3}"
    r"(?:(?:[:=|>]|->|→|[-–—]\s|is|of|at)\s{0,3}(?:an? )?(?:solid |cautious |weak |strong )?)?"
    + _OPENING
    + _N,
    re.ASCII,
)
_AFTER_VERB: Final = re.compile(
    r"[:\s]\s{0,2}(?:(?:this|it|the|that)\s)?(?:(?:trading|current|buy|sell|long|short)\s)?"
    r"(?:(?:signal|trade|setup|opportunity|one)\s)?(?:(?:as|at|with|an?|is|the)\s){0,3}(?:rating of\s)?"
    + _OPENING
    + _N,
    re.ASCII,
)
_ALONE: Final = re.compile(rf"[*_`\s]{{0,8}}{_N}(?:\s{{0,2}}stars?)?[*_`.\s]{{0,8}}", re.ASCII)

_RATING: Final = re.compile(r"rating(?![a-z_])")
_SCORE: Final = re.compile(r"score(?![a-z_])")
_RATE: Final = re.compile(r"rate(?![a-z_])")
_RATED: Final = re.compile(r"rated(?![a-z_])")
_GIVE: Final = re.compile(r"give(?![a-z_])")
_CHOP: Final = re.compile(r"chop(?:py|piness)(?![a-z_])")

_OWN_NOUN: Final = re.compile(
    r"(?:^\s{0,8}|[^\w\s–-]\s{0,4}|\s[–—-]\s{1,3}|^[–—-]\s{1,3}|\b(?:my|the|an?|overall|final|signal|signal['’]s|quality"
    r"|trade|setup|total|this|and|with|is|deserves|earns|llm|numeric|numerical)[\s*_]{1,3})\Z",
    re.ASCII,
)
_FIRST_PERSON: Final = re.compile(r"\b(?:i|we)(?:['’]d| would| will|['’]ll)?\s\Z", re.ASCII)
_PASSIVE: Final = re.compile(r"(?:\b(?:signal|trade|setup|it|this) is |^[\s*_#]{0,6})\Z", re.ASCII)
_DOUBT: Final = re.compile(
    r"\b(?:if|unless|until|whether|suppose|assuming|should|were|hypothetical\w{0,4}|examples?|e\.g|instance"
    r"|instead|rather|format|ignore|disregard|instruct\w{0,6}|told|tells?|says?|said|asks?|asked|claims?|claimed"
    r"|wants?|requests?|requested|must|please|required?|requires|could|might|previous\w{0,2}|prior|earlier"
    r"|yesterday|last|others?|analysts?|user|notes?|maximum|minimum|highest|lowest|prompt)\b",
    re.ASCII,
)
_NEGATED: Final = re.compile(r"\b(?:not|never|cannot|nor|neither|hardly|without)\b|n['’]t\b", re.ASCII)

_QUOTES: Final = ('"', "'", "“", "”")
_OFF_SCALE: Final = re.compile(r"\s?(?:%|percent)|\.\d|,\d")
_RANGE: Final = re.compile(
    r"\s{0,2}(?:\([^)\n]{0,40}\)\s?)?(?:-|–|—|to|or|through|/)\s{0,2}(\d+|one|two|three|four|five)\b",
    re.ASCII,
)
_NOT_MEANT: Final = re.compile(
    r"[\s\"'”*)]{0,4}(?:[=+]|means?\b|meaning|would|could|might|require|need|indicat|stands?\b|is\b|was\b"
    r"|[\s,(]{0,3}(?:but |and )?(?:only |even )?(?:if|unless|once|when|only|provided|assuming|after|until"
    r"|in case)\b)"
)
_END: Final = re.compile(
    r"\Z|[.,;:!?)\]*_\"'”`|}\n–—-]|</?[a-z|]|\[/|&lt;|\s{1,3}(?:\Z|[(\n|*–—-]|(?:because|and|but|with|since|as|for|on|due|given"
    r"|stars?|overall|here|at|which|out)\b)"
)
_YES_NO: Final = re.compile(
    r"[*_`\"'”]{0,4}\??\s{0,2}(?:[:=|>]|->|→|[-–—]\s|is\s)?[*_`\"'“\s]{0,5}(yes|no|true|false)"
    r"(?![*_`\"'”]{0,3}\s?(?:/|or\b|\|\s?(?:yes|no|true|false)))"
    r"(?=\s{0,2}(?:[.,;!)*_\"'”`|}\n(–—-]|</?[a-z|]|\[/|&lt;|\Z))"
)


def stated_verdicts(text: str, budget: Budget) -> Verdicts:
    """The rating and the choppiness that ``text`` (lower case) states as such.

    Raises OutOfWork when it mentions ratings too often to weigh each.
    """
    warnings: list[str] = []
    stated = _ratings(text, budget)
    ratings: set[int | None] = _alone(text) or set().union(*stated.values())
    rating = next(iter(ratings)) if len(ratings) == 1 else None
    if len(ratings) > 1:
        warnings.append("the text states different ratings")
    elif ratings and rating is None:
        warnings.append("the text states a rating that is not an integer from 1 to 5")
    if ratings and gives_orders(text, budget):
        rating = None
        warnings.append("the text gives orders to the rater, so its numbers do not count")
    last = max(stated, default=0)
    return Verdicts(rating, _choppiness(text, budget, warnings), bool(ratings), warnings, last)


def _alone(text: str) -> set[int | None]:
    """A reply that is nothing but "4/5"."""
    match = _ALONE.fullmatch(text) if len(text) <= 40 else None
    return {_value(match)} if match and match["out_of"] else set()


def _ratings(text: str, budget: Budget) -> dict[int, set[int | None]]:
    """The ratings stated, by the place where each statement ends."""
    found: dict[int, set[int | None]] = {}
    for word in mentions(_RATING, text, budget):
        _statement(found, text, word, _AFTER_NOUN, (_OWN_NOUN,))
    for word in mentions(_SCORE, text, budget):
        _statement(found, text, word, _AFTER_NOUN, (_OWN_NOUN,), needs_denominator=True)
    for word in mentions(_RATE, text, budget):
        _statement(found, text, word, _AFTER_VERB, (_FIRST_PERSON,))
    for word in mentions(_RATED, text, budget):
        _statement(found, text, word, _AFTER_VERB, (_FIRST_PERSON, _PASSIVE))
    for word in mentions(_GIVE, text, budget):
        _statement(found, text, word, _AFTER_VERB, (_FIRST_PERSON,))
    return found


def _statement(
    found: dict[int, set[int | None]],
    text: str,
    word: re.Match[str],
    value: re.Pattern[str],
    own: tuple[re.Pattern[str], ...],
    *,
    needs_denominator: bool = False,
) -> None:
    """Add the rating stated behind ``word`` to ``found``: none, one, or None for one that is no rating."""
    match = value.match(text, word.end())
    if match is None or (needs_denominator and not match["out_of"]):
        return
    sentence = before(text, word.start())
    if sentence.endswith("/") or not any(pattern.search(sentence) for pattern in own):
        return  # behind a slash: the end of a tag
    if _DOUBT.search(sentence) or _NEGATED.search(clause(sentence)):
        return
    if match.end() == len(text) and sentence.endswith(("{", ",")):
        return  # the end of a cut object: the number may have lost its rest
    stated = _weighed(match, after(text, match.end()))
    if stated and sentence.endswith(_QUOTES) and text.startswith(_QUOTES, word.end()):
        stated = {None}  # a key among the remains of an object: whose, nobody can tell
    if stated:
        found.setdefault(match.end(), set()).update(stated)


def _weighed(match: re.Match[str], rest: str) -> set[int | None]:
    if _OFF_SCALE.match(rest):
        return {None}
    span = _RANGE.match(rest)
    if span:
        scale = match["number"] in ("1", "one") and span[1] in ("5", "five", "2")
        return set() if scale else {None}
    if _NOT_MEANT.match(rest) or not _END.match(rest):
        return set()
    return {_value(match)}


def _value(match: re.Match[str]) -> int | None:
    return None if "," in match["number"] else as_rating(match["number"], match["out_of"])


def _choppiness(text: str, budget: Budget, warnings: list[str]) -> Choppiness | None:
    found = set()
    for word in mentions(_CHOP, text, budget):
        match = _YES_NO.match(text, word.end())
        if match and not _DOUBT.search(before(text, word.start())):
            found.add(match[1] in ("yes", "true"))
    if len(found) > 1:
        warnings.append("the text states choppiness both ways")
    if len(found) != 1:
        return None
    return "yes" if found.pop() else "no"


LAYER: Final = Layer(ParseMethod.REGEX, stated_verdicts, (*"0123456789", "chop", "rat", "scor", "give"))
