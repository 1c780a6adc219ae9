"""What the layers of the parser hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from llm_integration.domain import Choppiness, ParseMethod

__all__ = [
    "BLANK",
    "MAX_STEPS",
    "Budget",
    "JsonObject",
    "OutOfWork",
    "ParsedResponse",
    "Reading",
    "Scanned",
    "as_response",
    "lowered",
    "show",
]

BLANK: Final = " \t\r\n\ufeff\u200b\x00"
"""What may stand around a reply without meaning anything."""

MAX_STEPS: Final = 600
"""Work one reply may cost, in steps of about two microseconds; a broken reply of normal size needs 60."""

_STEPS_IN_ONE_GO: Final = 150
"""Work after which a reading in pieces pauses: about a third of a millisecond."""

_SHOWN_CHARS: Final = 40
_MAX_WARNINGS: Final = 8


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """What a reply says. ``rating`` is 1 (avoid) to 5 (excellent), or None: unrated, never a default.

    ``warnings`` are short sentences for the person who reads the row; an unrated reply has at least one.
    """

    rating: int | None
    choppiness: Choppiness | None
    analysis: str | None
    recommendations: str | None
    method: ParseMethod
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Reading:
    """What one object, or one piece of prose, says.

    ``explicit`` is true when it names a rating, usable or not; ``template`` when it is the prompt's own
    format example; ``filler`` when its texts are only dots, which is a template unless it is all there is.
    """

    rating: int | None
    choppiness: Choppiness | None
    analysis: str | None
    recommendations: str | None
    explicit: bool
    template: bool
    filler: bool
    warnings: list[str]
    source: dict[str, object] | None = None

    @property
    def empty(self) -> bool:
        """True when nothing of the answer's schema is in it."""
        return not self.explicit and self.choppiness is None and not (self.analysis or self.recommendations)


class JsonObject(dict[str, object]):
    """An object that remembers a key given more than once; ``pairs`` holds every item in order."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


class Scanned(JsonObject):
    """An object that the tolerant scanner read from ``text[start:end]``; ``end`` is 0 if it is not closed."""

    __slots__ = ("end", "start")

    def __init__(self, start: int) -> None:
        super().__init__([])
        self.start = start
        self.end = 0


class OutOfWork(Exception):  # noqa: N818  a signal between the layers, not an error; it never leaves the parser
    """The budget for this reply is spent."""


class Budget:
    """Steps left for one reply. Every loop in Python pays for each of its turns, so work is bounded."""

    __slots__ = ("_pause_at", "left", "limit")

    def __init__(self, limit: int = MAX_STEPS) -> None:
        self.limit = limit
        self.left = limit
        self._pause_at = limit - _STEPS_IN_ONE_GO

    def spend(self, steps: int = 1) -> bool:
        """Pay for ``steps``; True when whoever can should pause. Raises OutOfWork when they are not there."""
        self.left -= steps
        if self.left > self._pause_at:
            return False
        if self.left < 0:
            raise OutOfWork
        self._pause_at = self.left - _STEPS_IN_ONE_GO
        return True

    @property
    def spent(self) -> int:
        """Steps used so far, at most the limit."""
        return self.limit - max(self.left, 0)


def lowered(text: str) -> str:
    """``text`` with its ASCII letters, at least, in lower case.

    What ``str.lower`` does to some other scripts takes a tenth of a microsecond a character.
    """
    if text.isascii():
        return text.lower()
    try:
        return text.encode().lower().decode()
    except UnicodeEncodeError:  # lone surrogates, which have no lower case
        return text.lower()


def show(value: object) -> str:
    """``value`` for a warning: at most 40 characters of printable ASCII, whatever it is."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = ascii(value[:_SHOWN_CHARS] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def as_response(reading: Reading | None, method: ParseMethod, *notes: str) -> ParsedResponse:
    """``reading`` for the world outside, with ``notes`` before its own warnings."""
    if reading is None:
        notes = notes or ("no rating found in the reply",)
        return ParsedResponse(None, None, None, None, method, notes[:_MAX_WARNINGS])
    notes = (*notes, *reading.warnings)
    if reading.rating is None and not notes:
        notes = ("no rating found in the reply",)
    return ParsedResponse(
        reading.rating,
        reading.choppiness,
        reading.analysis,
        reading.recommendations,
        method,
        notes[:_MAX_WARNINGS],
    )
