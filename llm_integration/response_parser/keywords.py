"""The last layer: a verdict in words. Only the two ends of the scale have words of their own in the prompt:
"avoid" is 1 and "excellent" is 5; whatever lies between needs a number. "Do not take this trade" is avoid.

A word counts when it judges this signal, without a condition, a doubt or a negation in its sentence. Both
ends in one reply, or an end that is also denied, are no verdict. Long essays are not read.
"""

from __future__ import annotations

import re
from typing import Final

from llm_integration.domain import Choppiness, ParseMethod
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

__all__ = ["LAYER", "keyword_choppiness"]

_MAX_CHARS: Final = 6_000

_THIS: Final = r"(?:(?:this|the) (?:[a-z]{1,10} ){0,2}?(?:signal|trade|setup|position|entry)|this|it|here)\b"
_STOP: Final = r"(?=[*_]{0,3}\s{0,2}(?:[.!,;]|\Z|\n|[–—-]))"
_REJECT: Final = re.compile(
    rf"(?:avoid(?:ing)?|skip|pass on|stay (?:out of|away from))(?: taking| entering| trading)? {_THIS}"
    rf"|(?P<bare>(?:avoid|no trade|stay out|stay away){_STOP})"
    rf"|(?:do not|don['’]t|should not|shouldn['’]t|would not|wouldn['’]t) (?:buy|take|enter|trade)"
    rf"(?: {_THIS}|{_STOP})",
    re.ASCII,
)
_BEFORE_BARE: Final = re.compile(
    r"(?:^[\s*_#>-]{0,8}|:[\s*_]{0,5}"
    r"|\b(?:i would|i['’]d|best to|better to|recommendation is to)\s[*_]{0,3})\Z",
    re.ASCII,
)
_PRAISE: Final = re.compile(r"excellent (?:[a-z]{1,10} )?(?:signal|trade|setup|opportunity)\b", re.ASCII)
_REJECT_HINTS: Final = (
    *("avoid", "skip", "pass on", "stay ", "no trade", "do not", "don't", "don’t"),
    *("should not", "shouldn", "would not", "wouldn"),
)
_PRAISE_HINTS: Final = ("excellent ",)
"""Without one of these a text is not searched by the slower pattern."""
_WEIGH: Final = re.compile(
    r"\b(?:if|unless|until|whether|suppose|could|may|might|would have|looks? like|almost|nearly|no reason"
    r"|often|usually|traders|some|others?|analysts?|example|told|tells?|says?|said|asks?|asked|wants?|must|please"
    r"|previous\w{0,2}|earlier|last|when|were|was|hardly|far from|lacks?|than)\b",
    re.ASCII,
)
_DENIED: Final = re.compile(r"\b(?:not|never|cannot|no|nor|without|isn|less)\b|n['’]t\b", re.ASCII)
_CONDITION: Final = re.compile(
    r"[\s,*_]{0,4}(?:and |but )?(?:if|unless|until|before|once|when|at|above|below|more|without|yet|into"
    r"|during|near|too|only|just|like|blindly|lightly|\?)(?!\w)|\?"
)

_CHOP: Final = re.compile(r"chop(?:py|piness)(?![a-z_])")
_MEASURE: Final = re.compile(r"[\s_-]?(?:index|ratio|measure|filter|value|indicator)|[*_]{0,3}\s?[:=?|]")
_CHOP_QUESTION: Final = re.compile(r"[^.!\n]{0,60}\?|\s(?:or|if|when|unless)\b")
_NOT_CHOPPY: Final = re.compile(
    r"(?:\b(?:not|never|no longer|without|lacks|no)|n['’]t)\s(?:[a-z]{1,10}\s){0,2}\Z|\bnon-\Z", re.ASCII
)
_CHOP_DOUBT: Final = re.compile(
    r"\b(?:if|could|may|might|becomes?|turns?|risks?|potentially|previous\w{0,2}|earlier|was|were|whether|or"
    r"|avoid|would|until|unless|when|hardly|less|slightly|somewhat|not sure|unclear|after)\b",
    re.ASCII,
)


def _verdicts(text: str, budget: Budget) -> Verdicts:
    """The verdict on the signal that ``text`` (lower case, 6,000 characters at most) gives in words."""
    if len(text) > _MAX_CHARS:
        return Verdicts(None, None, False, [])
    warnings: list[str] = []
    verdicts = {
        1: _meant(_REJECT, _REJECT_HINTS, text, budget),
        5: _meant(_PRAISE, _PRAISE_HINTS, text, budget),
    }
    named = [rating for rating, meant in verdicts.items() if meant]
    rating = named[0] if len(named) == 1 and False not in verdicts[named[0]] else None
    if named and rating is None:
        warnings.append("the text can be read both ways")
    if rating and gives_orders(text, budget):
        rating = None
        warnings.append("the text gives orders to the rater, so its words do not count")
    return Verdicts(rating, None, False, warnings)


def keyword_choppiness(text: str, budget: Budget) -> Choppiness | None:
    """Whether ``text`` (lower case) calls the market choppy or not; None when it does neither or both."""
    if len(text) > _MAX_CHARS:
        return None
    found = set()
    for word in mentions(_CHOP, text, budget):
        sentence = before(text, word.start())
        if _MEASURE.match(text, word.end()) or _CHOP_DOUBT.search(sentence):
            continue
        if _CHOP_QUESTION.match(after(text, word.end())):
            continue
        denied = bool(_NOT_CHOPPY.search(sentence))
        if denied or word[0] == "choppy":
            found.add(not denied)
    if len(found) != 1:
        return None
    return "yes" if found.pop() else "no"


def _meant(words: re.Pattern[str], hints: tuple[str, ...], text: str, budget: Budget) -> set[bool]:
    """True for each use of ``words`` that is meant, False for each denied one; doubtful ones are left out."""
    found: set[bool] = set()
    if not any(hint in text for hint in hints):
        return found
    for match in mentions(words, text, budget):
        sentence = before(text, match.start())
        if match.lastgroup and not _BEFORE_BARE.search(sentence):
            continue
        if _WEIGH.search(sentence) or _CONDITION.match(after(text, match.end())):
            continue
        found.add(not _DENIED.search(clause(sentence)))
    return found


LAYER: Final = Layer(ParseMethod.KEYWORDS, _verdicts, (*_REJECT_HINTS, *_PRAISE_HINTS))
