"""A tolerant scanner for objects in any text, linear by construction.

It reads what a model can only have meant: missing, trailing and stray commas, keys without quotes or in
single or typographic ones, line breaks and lone quotes inside strings, illegal escapes, comments, Python's
True and None, missing brackets at the end. It never guesses a value.

Why it is linear: the position only moves forward, every look ahead is bounded (or runs over blanks that
no other look ahead will see again), every quantifier is bounded or possessive, and each turn of a loop
pays a step of the budget.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from llm_integration.fairness import Steps
from llm_integration.response_parser.fields import CutText
from llm_integration.response_parser.literals import literal, unescaped
from llm_integration.response_parser.model import Budget, JsonObject, OutOfWork, Scanned
from llm_integration.response_parser.strict import BAD, Decoder

__all__ = ["Found", "end_of_first", "scan"]

_MAX_LEVELS: Final = 24
_OBJECT_COST: Final = 3

_COMMENTS: Final = r"(?:(?://[^\n]{0,120}+|\#[^\n]{0,120}+|/\*[^*]{0,120}+\*/)[\s,]{0,80}+){0,3}+"
_BLANKS: Final = re.compile(rf"\s*+{_COMMENTS}")
_BLANKS_AND_COMMAS: Final = re.compile(rf"[\s,]*+{_COMMENTS}")
_KEY: Final = re.compile(
    r"""(?: "(?P<double>[^"\\\n]{0,80}+)"
          | '(?P<single>[^'\\\n]{0,80}+)'
          | [“”„](?P<smart>[^“”"\n]{0,80}+)[“”"]
          | [‘’](?P<curly>[^‘’\n]{0,80}+)[‘’]
          | ["'“”]? (?P<bare>[^\W\d][\w.-]{0,60}+) ["'“”]?
        ) \s*+ :""",
    re.VERBOSE,
)
_KEY_AHEAD: Final = (
    r"""(?:["'“”„‘’][^"'“”‘’\n]{0,80}+["'“”‘’]\s{0,20}+:|[^\W\d][\w.-]{0,60}+["'”]?\s{0,20}+:)"""
)
_AFTER_ITEM: Final = re.compile(
    rf"""\s*+ (?: [\}}\]] | \Z | //|/\*|\#|```
          | , \s*+ (?: {_KEY_AHEAD} | [\}}\],] | \Z | //|/\*|\#
                    | ["'“”‘’]?[\w .-]{{0,60}}+["'“”‘’]?\s{{0,20}}+\Z )
          | ["'“”„‘’][^"'“”‘’\n]{{0,80}}+["'“”‘’]\s{{0,20}}+: )
        | [ \t]*+\n\s*+ (?:[^\W\d][\w.-]{{0,60}}+\s{{0,20}}+:)""",
    re.VERBOSE,
)
_AFTER_ELEMENT: Final = re.compile(r"""\s*+(?:[\],}]|\Z|["'“”„\{\[]|//|\#)""")
_JSON_LIKE: Final = re.compile(r"""\{\s{0,80}(?:["'“”„]|\w{1,40}["'”]?\s{0,8}:)""")
_BARE: Final = re.compile(r"""[^,\}\]\n\r\{\[\"“”]{0,200}+""")

_DOUBLE, _SINGLE = re.compile('"'), re.compile("'")
_SMART, _CURLY = re.compile('[”“"]'), re.compile("[’‘]")
_CLOSERS: Final = {
    '"': _DOUBLE,
    "'": _SINGLE,
    "“": _SMART,
    "”": _SMART,
    "„": _SMART,
    "‘": _CURLY,
    "’": _CURLY,
}


class _Broken(Exception):  # noqa: N818  control flow inside this module
    """The object cannot be read any further from here."""


@dataclass(slots=True)
class Found:
    """One object, or list of objects, at the outermost level: ``text[start:end]``.

    ``closed`` is false when it could not be read to its end, ``strict`` true once it proved to be plain JSON.
    ``inside`` is true when it seems to stand inside an earlier object that could not be read.
    """

    start: int
    end: int
    value: object
    closed: bool
    strict: bool = False
    inside: bool = False


def scan(text: str, budget: Budget, decoder: Decoder | None = None) -> Steps[tuple[list[Found], int]]:
    """Every outermost object in ``text`` in order, and how far the budget reached (``len(text)``: all).

    With a ``decoder`` whatever is strict JSON is left to it, at every level; what is not comes as Scanned.
    """
    found: list[Found] = []
    debris = _Debris(text)
    position = 0
    try:
        while True:
            brace = text.find("{", position)
            if brace < 0:
                return found, len(text)
            if budget.spend(_OBJECT_COST):
                yield
            reader = _Reader(text, _list_before(text, position, brace), budget, decoder)
            position = yield from _read_one(reader, brace, found, debris)
    except OutOfWork:
        reached = max([position, *(item.end for item in found[-1:])])
        return found, reached


def end_of_first(text: str, budget: Budget) -> Steps[int]:
    """Where the first object in ``text`` ends, or could not be read any further; 0 without one."""
    brace = text.find("{")
    found: list[Found] = []
    if brace >= 0:
        reader = _Reader(text, _list_before(text, 0, brace), budget)
        yield from _read_one(reader, brace, found, _Debris(text))
    return found[0].end if found else 0


def _list_before(text: str, floor: int, brace: int) -> int:
    """Where the list that holds the object at ``brace`` begins; ``brace`` when there is none."""
    before = text[max(floor, brace - 40) : brace].rstrip()
    return text.rfind("[", floor, brace) if before.endswith("[") else brace


class _Debris:
    """Braces of an object that could not be read and are still open."""

    __slots__ = ("at", "depth", "open", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = self.depth = 0
        self.open = False

    def covers(self, position: int) -> bool:
        """True when ``position`` lies inside of such an object, as far as counting braces can tell."""
        if self.open:
            self.depth += self.text.count("{", self.at, position) - self.text.count("}", self.at, position)
            self.at = position
            self.open = self.depth > 0
        return self.open

    def add(self, start: int) -> None:
        """An object that looks like JSON begins at ``start`` and broke."""
        if not self.open and _JSON_LIKE.match(self.text, start):
            self.open, self.at, self.depth = True, start, 0


def _read_one(reader: _Reader, brace: int, found: list[Found], debris: _Debris) -> Steps[int]:
    """Read one object; returns where the search for the next one goes on."""
    start = reader.at
    root: list[object] = []
    closed = False
    try:
        yield from reader.value_into(root, 0)
        closed = True
    except _Broken:
        pass
    finally:
        kept = _has_keys(root)
        inside = debris.covers(start)
        if kept:
            strict = closed and reader.strict_from == start
            found.append(Found(start, reader.at, root[0], closed, strict, inside))
        if not closed:
            debris.add(brace)
    return max(reader.at, brace + 1) if kept or closed else brace + 1


def _has_keys(root: list[object]) -> bool:
    value = root[0] if root else None
    if isinstance(value, list):
        return any(isinstance(item, dict) and item for item in value[:3])
    return isinstance(value, dict) and bool(value)


class _Reader:
    """Reads one value. Containers join their parent before they are filled, so a break loses nothing."""

    __slots__ = ("at", "budget", "decoder", "size", "strict_from", "text")

    def __init__(self, text: str, start: int, budget: Budget, decoder: Decoder | None = None) -> None:
        self.text = text
        self.size = len(text)
        self.at = start
        self.budget = budget
        self.decoder = decoder
        self.strict_from = -1

    def value_into(self, target: JsonObject | list[object], level: int, key: str = "") -> Steps[None]:
        """Read the value at the current position and add it to ``target``."""
        if self.budget.spend():
            yield
        char = self.text[self.at]
        if char in "{[":
            if self.decoder and self._strict_into(target, key, self.decoder):
                return
            if level >= _MAX_LEVELS:
                raise _Broken
            child: Scanned | list[object] = Scanned(self.at) if char == "{" else []
            _add(target, key, child)
            self.at += 1
            if isinstance(child, Scanned):
                yield from self._items(child, level + 1)
            else:
                yield from self._elements(child, level + 1)
        elif char in _CLOSERS:
            after = _AFTER_ITEM if isinstance(target, JsonObject) else _AFTER_ELEMENT
            _add(target, key, (yield from self._string(after)))
        else:
            _add(target, key, self._bare())

    def _strict_into(self, target: JsonObject | list[object], key: str, decoder: Decoder) -> bool:
        value, end = decoder.at(self.at)
        if value is BAD:
            return False
        _add(target, key, value)
        self.strict_from, self.at = self.at, end
        return True

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Move over blanks and comments; returns the character there. Breaks at the end of the text."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        if self.at >= self.size:
            raise _Broken
        return self.text[self.at]

    def _items(self, target: Scanned, level: int) -> Steps[None]:
        while True:
            if self.budget.spend():
                yield
            char = self._skip(_BLANKS_AND_COMMAS)
            if char == "}":
                self.at += 1
                target.end = self.at
                return
            if char == "]" and level > 1:
                return
            match = _KEY.match(self.text, self.at)
            if match is None:
                raise _Broken
            self.at = match.end()
            self._skip(_BLANKS)
            yield from self.value_into(target, level, match[match.lastgroup or 0].strip())

    def _elements(self, target: list[object], level: int) -> Steps[None]:
        while True:
            if self.budget.spend():
                yield
            char = self._skip(_BLANKS_AND_COMMAS)
            if char == "]":
                self.at += 1
                return
            if char == "}":
                return
            yield from self.value_into(target, level)

    def _string(self, after: re.Pattern[str]) -> Steps[str]:
        """A string up to the first quote of its kind behind which an item can end."""
        text, start = self.text, self.at + 1
        closers = _CLOSERS[text[self.at]]
        position = start
        while True:
            if self.budget.spend():
                yield
            match = closers.search(text, position)
            if match is None:
                self.at = self.size
                return CutText(unescaped(text[start:]))
            quote = match.start()
            if not _escaped(text, position, quote) and after.match(text, quote + 1):
                self.at = quote + 1
                return unescaped(text[start:quote])
            position = quote + 1

    def _bare(self) -> object:
        """A word or number without quotes. One that touches the end of the text may have lost its rest."""
        match = _BARE.match(self.text, self.at)
        if match is None or match.end() == self.at:
            raise _Broken
        self.at = match.end()
        if self.at >= self.size:
            raise _Broken
        return literal(match[0])


def _add(target: JsonObject | list[object], key: str, value: object) -> None:
    if isinstance(target, JsonObject):
        target.pairs.append((key, value))
        target[key] = value
    else:
        target.append(value)


def _escaped(text: str, floor: int, quote: int) -> bool:
    if quote == floor or text[quote - 1] != "\\":
        return False
    segment = text[floor:quote]
    return (len(segment) - len(segment.rstrip("\\"))) % 2 == 1
