"""One reply about several signals: a reading for each that it answers, found by label, never by position.

The rules, beside those for a single reply:

- Every entry of the reply counts wherever it stands: in a list under any key, under its label as a key, on
  a line of its own, in a fence or among prose. Drafts inside ``<think>`` do not count.
- An entry is used only if it is complete, alone in claiming its label (or repeated word for word) and
  echoes nothing that contradicts its signal. A reply that breaks off gives its complete entries.
- An entry that had to be repaired is used only if nothing of a neighbour can have got into it.
- Where no structure is found there is no reading: prose about several signals is never weighed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.fairness import ENTRIES_AT_ONCE, Steps
from llm_integration.response_parser.batch_entries import Entry, Walk, quoting
from llm_integration.response_parser.batch_match import Expected, Roster, says, shown_id
from llm_integration.response_parser.final import hints_at_another
from llm_integration.response_parser.model import (
    BLANK,
    MAX_STEPS,
    Budget,
    OutOfWork,
    ParsedResponse,
    as_response,
    lowered,
    show,
)
from llm_integration.response_parser.objects import gaps, has_lost_keys, has_words, is_quoted, opens_fence
from llm_integration.response_parser.prose import Verdicts
from llm_integration.response_parser.scanner import Found, scan
from llm_integration.response_parser.stated import stated_verdicts
from llm_integration.response_parser.strict import BAD, Decoder
from llm_integration.response_parser.thoughts import Span, covered, hidden_parts, without_thoughts

__all__ = ["BatchReading", "Expected", "read_batch", "steps_for"]

_MAX_CHARS: Final = 65_536
_STEPS_EACH: Final = 25
_MAX_COUNTED: Final = 100
_MAX_LISTED: Final = 100
_MAX_WARNINGS: Final = 20

_NEW_ENTRY: Final = re.compile(r"(?:\A|[\[\]},]|\n)\s*\Z")
"""Before an object that does not stand in the middle of another one's text."""
_WORD: Final = re.compile(r"\w")
_FENCE_NAME: Final = re.compile(r"(?:```|~~~)[A-Za-z0-9_-]{0,12}")
_LABEL: Final = re.compile(r"[\w#-]{4,40}")
_MOST_WORDS: Final = 200
_MOST_CHARS_BEHIND: Final = 6_000
"""Of the text behind the entries, what is looked at for second thoughts."""


@dataclass(frozen=True, slots=True)
class BatchReading:
    """What a reply says of each signal of a batch. Every expected label is in exactly one of three places.

    ``readings`` holds, by label, what was matched beyond doubt, with a rating or honestly without one;
    ``unrated`` names those of them without. ``missing`` labels have no entry that could be used,
    ``duplicated`` ones have several that differ. ``unknown`` are ids that nobody gave out. ``method`` is
    the least trustworthy layer that was needed.
    """

    readings: Mapping[str, ParsedResponse]
    missing: tuple[str, ...]
    duplicated: tuple[str, ...]
    unknown: tuple[str, ...]
    unrated: tuple[str, ...]
    method: ParseMethod
    warnings: tuple[str, ...] = ()


def steps_for(count: int) -> int:
    """The work that a reply about ``count`` signals may cost."""
    return MAX_STEPS + _STEPS_EACH * min(count, _MAX_COUNTED)


def read_batch(
    text: str | None, expected: Sequence[Expected], budget: Budget, *, cut: bool = False
) -> Steps[BatchReading]:
    """What ``text``, which may have been ``cut`` at its end, says of each of ``expected``. Never raises."""
    verdict = _Verdict(Roster(expected))
    if not isinstance(text, str) or not text.strip(BLANK):
        verdict.warnings.append("the reply is empty")
        return verdict.reading()
    if len(text) > _MAX_CHARS:
        verdict.warnings.append(f"the reply was too long and was cut after {_MAX_CHARS} characters")
    try:
        entries = yield from _entries(text[:_MAX_CHARS].strip(BLANK), verdict, budget, cut=cut)
    except OutOfWork:
        verdict.warnings.append("the reply is too tangled to be read")
        return verdict.reading()
    yield
    yield from verdict.weigh(entries)
    return verdict.reading()


def _entries(body: str, verdict: _Verdict, budget: Budget, *, cut: bool) -> Steps[list[Entry]]:
    factor = 1 + min(len(verdict.roster.expected), _MAX_COUNTED) // 12
    walk = Walk(verdict.roster, budget)
    value = _whole(body, factor)
    yield
    if value is not BAD:
        yield from walk.visit(value, ParseMethod.JSON)
        return walk.entries
    rest = yield from without_thoughts(body, budget)
    walk.text = rest.text
    if rest.unclosed:
        verdict.warnings.append("the reply never leaves its draft")
    yield
    objects, reached = yield from scan(walk.text, budget, Decoder(walk.text, factor))
    if reached < len(walk.text):
        raise OutOfWork
    spans = [(found.start, found.end) for found in objects]
    between = gaps(walk.text, spans)
    walk.in_prose = has_words("\n".join(between))
    if not all(found.strict for found in objects):
        walk.style = quoting(walk.text)
    yield
    hidden = (yield from hidden_parts(walk.text, spans, budget))[0] if rest.strange else []
    yield from _visit_all(objects, between, walk, _Doubts(hidden, broken=rest.doubtful, cut=cut))
    return _not_taken_back(walk.entries, between[-1], verdict.roster, budget)


def _whole(body: str, factor: int) -> object:
    """The one JSON value the reply is; BAD otherwise. A string that holds JSON again is opened once."""
    value, end = Decoder(body, factor).at(0) if body[:1] in ("{", "[", '"') else (BAD, 0)
    if end < len(body):
        return BAD
    if isinstance(value, str):
        inner = value.strip(BLANK)
        value, end = Decoder(inner, factor).at(0)
        return value if end == len(inner) else BAD
    return value


@dataclass(frozen=True, slots=True)
class _Doubts:
    """What makes an object in a reply no answer: it stands in ``hidden``, the parts inside marks that nobody
    knows, among the remains of a ``broken`` entry before them all, or behind words in a ``cut`` reply."""

    hidden: Sequence[Span]
    broken: bool
    cut: bool


def _visit_all(objects: Sequence[Found], between: Sequence[str], walk: Walk, doubts: _Doubts) -> Steps[None]:
    """Visit the objects in their order; ``between`` is the text before each of them."""
    floor, broken, words = 0, doubts.broken, False
    for found, gap in zip(objects, between, strict=False):
        broken = broken or has_lost_keys(gap)
        words = words or (doubts.cut and _WORD.search(_FENCE_NAME.sub("", gap)) is not None)
        lead = walk.text[max(floor, found.start - 160) : found.start]
        method, flaw = ParseMethod.REPAIRED_JSON, None
        if is_quoted(lead):
            flaw = "the words before it do not make it an answer"
        elif words:
            flaw = "it stands behind other text of a reply that was cut"
        elif covered(found.start, doubts.hidden):
            flaw = "it stands inside marks that nobody knows"
        elif (broken or found.inside) and not (found.strict and _NEW_ENTRY.search(lead[-40:])):
            flaw = "it stands among the remains of another entry"
        if found.strict and not (broken or found.inside):
            method = ParseMethod.FENCED_JSON if opens_fence(lead) else ParseMethod.EMBEDDED_JSON
        yield from walk.visit(found.value, method, flaw)
        floor, broken = found.end, broken or not found.closed


def _not_taken_back(entries: list[Entry], behind: str, roster: Roster, budget: Budget) -> list[Entry]:
    """The entries; flawed are those that the text ``behind`` them all rates in another way.

    Of an entry whose label stands there, what is said around the label counts, else what is said of no label.
    """
    if not entries or not has_words(behind):
        return entries
    parts = _parts_by_label(behind[:_MOST_CHARS_BEHIND], roster, budget)
    said = {label: stated_verdicts(lowered(part), budget) for label, part in parts.items()}
    return [
        replace(entry, flaw=entry.flaw or "the text behind it rates it in another way")
        if _is_taken_back(entry, parts, said)
        else entry
        for entry in entries
    ]


def _is_taken_back(entry: Entry, parts: Mapping[str, str], said: Mapping[str, Verdicts]) -> bool:
    label = entry.signal.label if entry.signal and entry.signal.label in parts else ""
    rating, verdicts = entry.reading.rating, said.get(label)
    if verdicts is None or rating is None:
        return False
    if verdicts.about_rating and verdicts.rating != rating:
        return True
    return hints_at_another(parts[label], rating)


def _parts_by_label(text: str, roster: Roster, budget: Budget) -> dict[str, str]:
    """``text`` in parts: for each label all that is said from its sentence on up to the next label; under no
    label, the text if it names none."""
    places = []
    for word in islice(_LABEL.finditer(text), _MOST_WORDS):
        budget.spend()
        if signal := roster.find(word[0]):
            places.append((word.start(), signal.label))
    if not places:
        return {"": text}
    parts: dict[str, str] = {}
    edges = [max(text.rfind(". ", 0, start), text.rfind("\n", 0, start)) + 1 for start, _ in places]
    for (_, label), start, end in zip(places, edges, [*edges[1:], len(text)], strict=True):
        parts[label] = f"{parts.get(label, '')}\n{text[start : max(end, start)]}"
    return parts


@dataclass(slots=True)
class _Verdict:
    """Which entry counts for which label."""

    roster: Roster
    readings: dict[str, ParsedResponse] = field(default_factory=dict)
    duplicated: set[str] = field(default_factory=set)
    unknown: dict[str, None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def weigh(self, entries: Sequence[Entry]) -> Steps[None]:
        """Choose for each label the entry that counts, if one does."""
        claims = yield from self._claims(entries)
        strangers = [echo for claim in claims for echo in claim.symbols if claim.flaw == _CONTRADICTS]
        by_label: defaultdict[str, list[Entry]] = defaultdict(list)
        for claim in claims:
            if claim.signal is not None:
                by_label[claim.signal.label].append(claim)
        for number, signal in enumerate(self.roster.expected):
            if number % ENTRIES_AT_ONCE == 0:
                yield
            own = [claim for claim in by_label[signal.label] if claim.signal is signal]
            good = [claim for claim in own if claim.flaw is None]
            if len({_key(claim) for claim in good}) > 1 or _disputed(good, own):
                self.duplicated.add(signal.label)
                self._warn(signal, "it is answered more than once, differently")
            elif not good:
                for flaw in dict.fromkeys(claim.flaw for claim in own):
                    self._warn(signal, f"its entry is not used: {flaw}")
            elif not any(map(says, good[-1].symbols)) and self.roster.named_in(signal, strangers):
                self._warn(signal, "its entry is not used: another one echoes its symbol")
            else:
                if len(good) > 1:
                    self._warn(signal, "it is answered more than once, in the same words")
                self.readings[signal.label] = as_response(good[-1].reading, good[-1].method)

    def _claims(self, entries: Sequence[Entry]) -> Steps[list[Entry]]:
        """The entries about expected signals; the flaw of those that contradict theirs is noted."""
        claims: list[Entry] = []
        alone = len(self.roster.expected) == 1 and all(entry.anonymous for entry in entries)
        for number, entry in enumerate(entries):
            if number % ENTRIES_AT_ONCE == ENTRIES_AT_ONCE - 1:
                yield
            signal = self.roster.expected[0] if alone else entry.signal
            if signal is not None:
                clash = self.roster.contradicts(signal, entry.symbols, entry.sides)
                claims.append(replace(entry, signal=signal, flaw=_CONTRADICTS if clash else entry.flaw))
            elif not entry.anonymous and len(self.unknown) < _MAX_LISTED:
                self.unknown[shown_id(entry.said_id)] = None
        if not alone and any(entry.anonymous and entry.flaw is None for entry in entries):
            self.warnings.append("the reply has entries without an id")
        return claims

    def _warn(self, signal: Expected, what: str) -> None:
        if len(self.warnings) < _MAX_WARNINGS:
            self.warnings.append(f"{show(signal.label)}: {what}")

    def reading(self) -> BatchReading:
        """The outcome as it is handed on."""
        labels = list(dict.fromkeys(signal.label for signal in self.roster.expected))
        order = list(ParseMethod)
        methods = [reading.method for reading in self.readings.values()]
        return BatchReading(
            readings=MappingProxyType(self.readings),
            missing=tuple(
                label for label in labels if label not in self.readings and label not in self.duplicated
            ),
            duplicated=tuple(label for label in labels if label in self.duplicated),
            unknown=tuple(self.unknown),
            unrated=tuple(label for label, reading in self.readings.items() if reading.rating is None),
            method=max(methods, key=order.index, default=ParseMethod.NONE),
            warnings=tuple(self.warnings),
        )


_CONTRADICTS: Final = "it contradicts the signal"


def _key(claim: Entry) -> tuple[object, ...]:
    reading = claim.reading
    return reading.rating, reading.choppiness, reading.analysis, reading.recommendations


def _disputed(good: Sequence[Entry], own: Sequence[Entry]) -> bool:
    """True when an entry that cannot be used gives another rating than the one that can."""
    ratings = {claim.reading.rating for claim in own} - {None}
    return bool(good) and len(ratings | {good[-1].reading.rating}) > 1
