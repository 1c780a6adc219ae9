"""Drafts: what stands inside ``<think>`` or any other mark of thinking is not the reply."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from llm_integration.fairness import Steps
from llm_integration.response_parser.marks import Kind, Mark, find_marks, may_have_marks
from llm_integration.response_parser.model import BLANK, Budget
from llm_integration.response_parser.objects import has_lost_keys
from llm_integration.response_parser.scanner import end_of_first
from llm_integration.response_parser.strict import Decoder

__all__ = ["Rest", "Span", "covered", "hidden_parts", "without_thoughts"]

Span: TypeAlias = tuple[int, int]
"""Where a part of a text begins and ends."""
_ANSWER_FIRST: Final = re.compile(r"(?:(?:```|~~~)\w{0,12}\s{0,8})?[{\[]")
_ATTEMPT_COST: Final = 5
_LOOK_COST: Final = 2
_SHORTEST_KEY: Final = len('rating":')
_LONGEST_LEAD: Final = 40
_FAR: Final = 1 << 62
_UNKNOWN: Final = frozenset({Kind.OPENS_UNKNOWN, Kind.CLOSES_UNKNOWN})


class Rest(NamedTuple):
    """A reply without its thoughts.

    ``unclosed``: a thought was never closed. ``doubtful``: a draft may have ended in the middle of an
    object. ``strange``: there are marks in ``text`` that nobody knows.
    """

    text: str
    unclosed: bool = False
    doubtful: bool = False
    strange: bool = False


def without_thoughts(text: str, budget: Budget, *, cut: bool = False) -> Steps[Rest]:
    """``text`` without its drafts.

    A draft that is never closed reaches to the end. A closing mark that nothing opened closes a draft that
    began with the reply (some servers put the opening mark into the prompt), unless an object is open there.
    So does a mark that the answer begins; but in a reply that was ``cut`` a plain ``<answer>`` does not:
    words before it are no thoughts for certain. Marks inside an object are text: in a reply that begins with
    its object, and in plain JSON anywhere outside of drafts. What is left is doubtful when a draft begins
    inside an open object, or a closing mark that nothing opened took keys of an answer away: they may have
    stood in the texts of a broken object.
    """
    if not may_have_marks(text):
        return Rest(text)
    marks = yield from find_marks(text, budget)
    if not marks:
        return Rest(text)
    strange = any(mark.kind in _UNKNOWN for mark in marks)
    if all(mark.kind in _UNKNOWN or mark.kind is Kind.MESSAGE_END for mark in marks):
        return Rest(text, strange=strange)
    begins = marks[0].start > 0 and _ANSWER_FIRST.match(text) is not None
    first = (yield from end_of_first(text, budget)) if begins else 0
    cutter = _Cutter(text, budget, cut, plain=first)
    for mark in marks:
        if budget.spend():
            yield
        if mark.start >= first and mark.kind not in _UNKNOWN:
            cutter.meet(mark)
    return Rest(cutter.kept_text(), bool(cutter.opened), cutter.doubtful, strange)


@dataclass(slots=True)
class _Cutter:
    """Walks from mark to mark and keeps what is not thought.

    ``opened`` are the families of the marks that opened the thoughts around ``position``, ``plain`` is where
    the last plain JSON object ends, and ``braces`` counts those open since the last mark that counted.
    """

    text: str
    budget: Budget
    cut: bool
    plain: int
    decoder: Decoder = field(init=False)
    kept: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    position: int = 0
    counted: int = 0
    braces: int = 0
    doubtful: bool = False

    def __post_init__(self) -> None:
        self.decoder = Decoder(self.text, 1)

    def meet(self, mark: Mark) -> None:
        """Begin or end a thought at ``mark``, if it is one of the reply's own."""
        if not self.opened and mark.start >= self.plain:
            self.plain = _end_of_plain(self.decoder, self.plain, mark.start, self.budget)
        if mark.start < self.plain or mark.start < self.position:
            return
        self.braces += _balance(self.text, self.counted, mark.start)
        self.counted = mark.end
        if self._counts(mark):
            self.position, self.braces = mark.end, 0

    def _counts(self, mark: Mark) -> bool:
        if mark.kind is Kind.OPENS_THOUGHT:
            if not self.opened:
                self.kept.append(self.text[self.position : mark.start])
                self.doubtful = self.doubtful or self.braces > 0
            self.opened.append(mark.family)
            return True
        if mark.kind in (Kind.CLOSES_THOUGHT, Kind.MESSAGE_END) and self.opened:
            self.opened.pop()
            return True
        if mark.kind is Kind.MESSAGE_END or (mark.kind is Kind.ANSWER_TAG and self.opened):
            return False
        if self.opened:  # the answer begins: it ends a thought of its own family
            if mark.family not in self.opened:
                return False
            self.opened.clear()
            self.kept.clear()
            return True
        return self._drop_what_was_before(mark)

    def _drop_what_was_before(self, mark: Mark) -> bool:
        if self.braces > 0:
            return False
        before = "".join([*self.kept, self.text[self.position : mark.start]])
        if self.cut and mark.kind is Kind.ANSWER_TAG and before.strip(BLANK):
            return False
        self.doubtful = self.doubtful or _has_keys(before, self.budget)
        self.kept.clear()
        return True

    def kept_text(self) -> str:
        """What is left of the text, once every mark was met."""
        if not self.opened:
            self.kept.append(self.text[self.position :])
        return "\n".join(self.kept)


def hidden_parts(text: str, objects: Sequence[Span], budget: Budget) -> Steps[tuple[list[Span], str]]:
    """What of ``text`` stands inside marks that nobody knows, and the text behind the last closing one.

    A pair hides what is between it, a closing mark that nothing opened all that is before it if anything
    follows, and a mark at the beginning of a line that is never closed hides the rest. Marks inside
    ``objects`` are text.
    """
    marks = _outside((yield from find_marks(text, budget)), objects)
    end_of_words = len(text.rstrip(" \t\r\n`~"))
    pairs: list[Span] = []
    opened: defaultdict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        if mark.kind is Kind.OPENS_UNKNOWN:
            opened[mark.name].append(mark)
        elif mark.kind is Kind.CLOSES_UNKNOWN:
            if opened[mark.name]:
                pairs.append((opened[mark.name].pop().start, mark.end))
            elif mark.end < end_of_words:
                pairs.append((0, mark.end))
    hidden = _merged(pairs)
    behind = hidden[-1][1] if hidden else len(text)
    left = (mark for marks in opened.values() for mark in marks if _opens_a_part(text, mark))
    loose = [start for start in sorted(mark.start for mark in left) if not covered(start, hidden)]
    if not loose:
        return hidden, text[behind:]
    rest = text[behind : loose[0]] if loose[0] > behind else ""
    return _merged([*hidden, (loose[0], len(text))]), rest


def _outside(marks: Sequence[Mark], objects: Sequence[Span]) -> list[Mark]:
    return [mark for mark in marks if not covered(mark.start, objects)]


def covered(place: int, spans: Sequence[Span]) -> bool:
    """True when ``place`` lies in one of ``spans``, which are in order and apart."""
    index = bisect_right(spans, (place, _FAR)) - 1
    return index >= 0 and place < spans[index][1]


def _merged(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(pairs):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _opens_a_part(text: str, mark: Mark) -> bool:
    """True for a mark at the beginning of a line. In square brackets it is more often a mere label, unless it
    is in capitals and the text touches it."""
    before = text[max(text.rfind("\n", 0, mark.start) + 1, mark.start - _LONGEST_LEAD) : mark.start]
    if before.strip(" \t>*_-#`"):
        return False
    label = text[mark.start : mark.end]
    return not mark.square or (label.isupper() and not text[mark.end : mark.end + 1].isspace())


def _has_keys(taken: str, budget: Budget) -> bool:
    if len(taken) < _SHORTEST_KEY:
        return False
    budget.spend(_LOOK_COST)
    return has_lost_keys(taken)


def _end_of_plain(decoder: Decoder, floor: int, tag: int, budget: Budget) -> int:
    """Where the plain JSON object behind ``floor`` ends that has ``tag`` in it; up to ``tag`` without one."""
    while decoder.allowance > 0:
        brace = decoder.text.find("{", floor, tag)
        if brace < 0:
            break
        budget.spend(_ATTEMPT_COST)
        floor = max(decoder.at(brace)[1], brace + 1)
        if floor > tag:
            return floor
    return tag


def _balance(text: str, start: int, end: int) -> int:
    return text.count("{", start, end) - text.count("}", start, end)
