"""From a decoded object to a reading: which keys count, and which values are ratings.

Rules, beside the plain ones:

- Keys count whatever their case, blanks, hyphens or underscores. ``score`` and the compounds in
  ``_SCORE_KEYS`` stand for the rating only where no ``rating`` is and another key of the schema is there.
- A rating is an integer 1 to 5: ``4``, ``4.0``, ``"4"``, ``"4/5"``, ``"four"``, ``"4 - good"``. A mark out of
  10 counts if half of it is one (``"8/10"`` is 4, ``"7/10"`` is none). Nothing else is rounded, clamped or
  scaled. Only ASCII digits are digits.
- Choppiness is yes or no, also as boolean, ``choppy``, ``not choppy``, ``trending``, or a sentence that
  begins with the one and does not mention the other. All else (``low``, ``1``, ``maybe``) is unknown.
- An object with none of these keys itself may wrap one that has them (three levels, a list counts as one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from llm_integration.domain import Choppiness
from llm_integration.response_parser.model import JsonObject, Reading, show

__all__ = [
    "MAX_TEXT_CHARS",
    "QUOTED_WRAPPER",
    "CutText",
    "as_rating",
    "read_value",
    "to_choppiness",
    "to_rating",
]

MAX_TEXT_CHARS: Final = 10_000
"""Longest analysis or recommendation that is handed on."""
_MAX_ITEMS: Final = 50
_MAX_LEVELS: Final = 3
_RATINGS: Final = frozenset({1, 2, 3, 4, 5})

_FIELDS: Final = {
    "rating": "rating",
    "choppiness": "choppiness",
    "choppy": "choppiness",
    "is_choppy": "choppiness",
    "analysis": "analysis",
    "recommendations": "recommendations",
    "recommendation": "recommendations",
}
_SCORE_KEYS: Final = frozenset(
    {"score", "overall_rating", "signal_rating", "quality_rating", "trade_rating", "signal_quality"}
)
QUOTED_WRAPPER: Final = re.compile(
    r"example|format|template|schema|draft|sample|previous|properties|instruction|input|prompt|if_|scenario"
    r"|think|thought|reasoning|reflection|scratch|initial|first_"
)

WORDS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_RATING: Final = re.compile(
    r"(?!0\d)(\d{1,9}(?:\.\d{1,9})?)(?:\s{0,3}(?:/|out of|of)\s{0,3}(\d{1,9})(?:\.0)?)?(?:\s{0,3}stars?)?",
    re.ASCII,
)
_LABELLED: Final = re.compile(r"([1-5])\s{0,3}(?:[-–—:,]\s{1,3}|\()[^\d<>|]{1,60}", re.ASCII)
_LABEL_DOUBT: Final = re.compile(
    r"\b(?:if|or|maybe|would|not|out|one|two|three|four|five|half|to)\b", re.ASCII
)
_SCALE: Final = re.compile(
    r"[<\[({]?\s?(?:an? )?(?:integer|int|number|rating|your[ _].{0,30}|x|n|\.{2,4}|…|.{0,20}"
    r"1\s?(?:-|–|to|through|\.\.\.?)\s?5.{0,20}|1\s?([|/,])\s?2\s?\1.{0,12}|<.{0,40}>)\s?[>\])}]?",
    re.ASCII | re.DOTALL,
)
_FILLER: Final = re.compile(
    r"\s*(?:\.{2,4}|…|string|text|str|<.{0,80}>|\[.{0,80}\]"
    r"|your (?:analysis|recommendations?|text)(?: here)?)\s*",
    re.IGNORECASE | re.DOTALL,
)

_YES: Final = frozenset({"yes", "y", "true", "choppy"})
_NO: Final = frozenset({"no", "n", "false", "not choppy", "non-choppy", "trending"})
_LEADING: Final = re.compile(r"(yes|no)\s?[,.;:(–—-](?!/)", re.ASCII)
_VERDICTS: Final = re.compile(r"\b(yes|no|not|maybe|but|if|or)\b", re.ASCII)


class CutText(str):
    """A string that the end of the reply cut off: good as text, not as a verdict."""

    __slots__ = ()


def read_value(value: object, level: int = 0) -> Reading | None:
    """What a decoded JSON value says; None when it is no object and wraps none."""
    if isinstance(value, dict):
        own = _read_object(value)
        return own if own.explicit or level >= _MAX_LEVELS else _unwrap(own, value, level)
    if isinstance(value, list) and level < _MAX_LEVELS:
        inner = (read_value(item, level + 1) for item in value[:_MAX_ITEMS])
        return _merge([reading for reading in inner if reading is not None])
    return None


def _items(value: dict[str, object]) -> Iterable[tuple[str, object]]:
    return value.pairs if isinstance(value, JsonObject) else value.items()


def _unwrap(own: Reading, value: dict[str, object], level: int) -> Reading:
    if any(_is_field(key) and not isinstance(item, dict) for key, item in _items(value)):
        return own
    inner = [
        read_value(item, level + 1)
        for key, item in list(_items(value))[:_MAX_ITEMS]
        if isinstance(item, (dict, list)) and not QUOTED_WRAPPER.search(key[:40].casefold())
    ]
    found = _merge([reading for reading in inner if reading is not None and reading.explicit])
    return found or own


def _is_field(key: str) -> bool:
    return key in _FIELDS or _drifted(key) is not None


def _merge(readings: list[Reading]) -> Reading | None:
    """One reading of several objects side by side; unrated when they disagree."""
    readings = [reading for reading in readings if not reading.template] or readings
    rated = [reading for reading in readings if reading.explicit] or readings
    if not rated:
        return None
    chosen = rated[-1]
    if len({reading.rating for reading in rated}) > 1:
        chosen.rating = None
        chosen.warnings.append("several objects give different ratings")
    if len({reading.choppiness for reading in rated} - {None}) > 1:
        chosen.choppiness = None
        chosen.warnings.append("several objects differ on choppiness")
    return chosen


def _read_object(value: dict[str, object]) -> Reading:
    found: dict[str, list[object]] = {}
    for key, item in _items(value):
        name = _FIELDS.get(key) or _drifted(key)
        if name:
            found.setdefault(name, []).append(item)
    scores = found.pop("score", None)
    if scores and found and "rating" not in found:
        found["rating"] = scores
    warnings: list[str] = []
    ratings, texts = found.get("rating", []), [*found.get("analysis", ()), *found.get("recommendations", ())]
    return Reading(
        rating=_agreed_rating(ratings, warnings),
        choppiness=_agreed_choppiness(found.get("choppiness", []), warnings),
        analysis=_text(found.get("analysis")),
        recommendations=_text(found.get("recommendations")),
        explicit=bool(ratings),
        template=bool(ratings) and all(_is_placeholder(item) for item in ratings),
        filler=bool(texts) and all(_is_filler(item) for item in texts),
        warnings=warnings,
        source=value,
    )


def _drifted(key: str) -> str | None:
    if len(key) > 40:
        return None
    name = key.strip().strip("\"'*`").casefold().replace(" ", "_").replace("-", "_")
    return "score" if name in _SCORE_KEYS else _FIELDS.get(name)


def _agreed_rating(values: list[object], warnings: list[str]) -> int | None:
    if not values:
        return None
    ratings = {to_rating(value) for value in values}
    if len(ratings) > 1:
        warnings.append("the rating is given twice with different values")
        return None
    rating = ratings.pop()
    if rating is None:
        warnings.append(f"rating is not an integer from 1 to 5: {show(values[-1])}")
    return rating


def to_rating(value: object) -> int | None:
    """``value`` as an integer 1 to 5 by the rules at the head of this module; None for anything else."""
    if isinstance(value, str):
        return (
            None if isinstance(value, CutText) or len(value) > 80 else _worded_rating(value.strip().lower())
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if value in _RATINGS else None


def _worded_rating(text: str) -> int | None:
    match = _RATING.fullmatch(text)
    if match:
        return as_rating(match[1], match[2])
    labelled = _LABELLED.fullmatch(text)
    if labelled and not _LABEL_DOUBT.search(text):
        return int(labelled[1])
    return WORDS.get(text)


def as_rating(number: str, denominator: str | None) -> int | None:
    """A number in words or digits, on the scale of 5 unless ``denominator`` says 10."""
    value = float(WORDS.get(number) or number)
    if denominator in ("10", "ten"):
        value /= 2
    elif denominator not in (None, "5", "five"):
        return None
    return int(value) if value in _RATINGS else None


def _agreed_choppiness(values: list[object], warnings: list[str]) -> Choppiness | None:
    verdicts = {to_choppiness(value) for value in values}
    if len(verdicts) > 1:
        warnings.append("choppiness is given twice with different values")
        return None
    verdict = verdicts.pop() if verdicts else None
    if verdict is None and values:
        warnings.append(f"choppiness is neither yes nor no: {show(values[-1])}")
    return verdict


def to_choppiness(value: object) -> Choppiness | None:
    """``value`` as yes or no; None when it is neither or could be both."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str) or isinstance(value, CutText):
        return None
    text = value[:400].strip().rstrip(".!").lower()
    if text in _YES:
        return "yes"
    if text in _NO:
        return "no"
    match = _LEADING.match(text)
    others = set(_VERDICTS.findall(text, match.end())) if match else set()
    if match is None or others:
        return None
    return "yes" if match[1] == "yes" else "no"


def _is_placeholder(value: object) -> bool:
    if isinstance(value, dict):
        return "type" in value
    return isinstance(value, str) and len(value) <= 80 and bool(_SCALE.fullmatch(value.strip().lower()))


def _is_filler(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) and _is_filler(item) for item in value[:_MAX_ITEMS])
    return isinstance(value, str) and len(value) <= 120 and bool(_FILLER.fullmatch(value))


def _text(values: list[object] | None) -> str | None:
    if not values:
        return None
    value = values[-1]
    text = value if isinstance(value, str) else _lines(value, 0)
    return str(text[: MAX_TEXT_CHARS + 1_000].strip()[:MAX_TEXT_CHARS]) or None


def _lines(value: object, level: int) -> str:
    """Lists become lines, objects lines of ``key: value``; what lies deeper than that is left out."""
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS]
    if value is None or level > 2:
        return ""
    if isinstance(value, list):
        parts = [_lines(item, level + 1) for item in value[:_MAX_ITEMS]]
    elif isinstance(value, dict):
        named = ((key[:80], _lines(item, level + 1)) for key, item in list(value.items())[:_MAX_ITEMS])
        parts = [f"{key}: {text}" for key, text in named if text]
    else:
        return str(value)
    return "\n".join(part for part in parts if part)
