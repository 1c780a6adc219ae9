"""From decoded JSON to entries: the objects in a reply that speak about one signal each.

An entry is an object with an id, or one that stands under a label as its key. Lists and wrappers of any
name may hold entries, four levels deep. What stands inside another entry, or under a key that calls it an
example, is a claim that is never used, but can cast doubt on another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.fairness import Steps
from llm_integration.response_parser.batch_match import Expected, Roster
from llm_integration.response_parser.fields import QUOTED_WRAPPER, read_value
from llm_integration.response_parser.model import Budget, JsonObject, Reading, Scanned

__all__ = ["Entry", "Walk", "quoting"]

_ENTRY_COST: Final = 10
_MAX_LEVELS: Final = 5

_ID_KEYS: Final = frozenset({"id", "signal_id", "signalid", "label", "signal_label"})
_OTHER_ID_KEYS: Final = frozenset({"signal", "key", "code", "ref", "identifier", "name"})
"""Keys that hold an id only where the value is a label that was given out."""
_SYMBOL_KEYS: Final = frozenset({"symbol", "ticker", "instrument"})
_SIDE_KEYS: Final = frozenset({"signal_type", "signaltype", "direction", "side"})
_WRAPPERS: Final = frozenset(
    {
        "signals",
        "results",
        "ratings",
        "analyses",
        "responses",
        "answers",
        "evaluations",
        "assessments",
        "output",
    }
    | {"signal", "result", "rating", "analysis", "response", "answer", "evaluation", "assessment", "data"}
)
"""Keys that say nothing about whose an object without an id is."""

_QUOTE: Final = "[\"'“”‘’]"
_ID_MENTION: Final = re.compile(
    rf"\b(?:id|signal_?id|label|signal_label)(?:{_QUOTE}|\s{{0,8}}:)", re.IGNORECASE
)
_RATING_MENTION: Final = re.compile(rf"(?:rating|score|signal_quality)(?:{_QUOTE}|\s{{0,8}}:)", re.IGNORECASE)
_QUOTED_WORD: Final = re.compile(rf"{_QUOTE}([\w#-]{{1,40}})(?={_QUOTE})")
_FIRST_KEY: Final = re.compile(r"\{\s{0,80}(?:([\"'“”„‘’])|[^\W\d][\w.-]{0,40}+\s{0,8}:)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object that claims to speak about a signal. ``flaw`` says why it cannot be used.

    ``signal`` is None when the id is not one that was given out, and ``anonymous`` true without any id.
    """

    signal: Expected | None
    said_id: object
    reading: Reading
    method: ParseMethod
    symbols: Sequence[object] = ()
    sides: Sequence[object] = ()
    flaw: str | None = None
    anonymous: bool = False


@dataclass(slots=True)
class Walk:
    """Collects the entries of one reply. ``text`` is what a Scanned object's places refer to; ``in_prose``
    is true when there are words around the objects, ``style`` says how the reply quotes its keys."""

    roster: Roster
    budget: Budget
    text: str = ""
    in_prose: bool = False
    style: str | None = None
    entries: list[Entry] = field(default_factory=list)

    def visit(self, value: object, method: ParseMethod, flaw: str | None = None) -> Steps[None]:
        """Collect the entries in ``value``, all of them unusable if there is a ``flaw``."""
        yield from self._visit(value, "", method, flaw, 0)

    def _visit(
        self, value: object, key: str, method: ParseMethod, flaw: str | None, level: int
    ) -> Steps[bool]:
        """Collect the entries in ``value``; true when there are any."""
        if self.budget.spend():
            yield
        if level >= _MAX_LEVELS:
            return False
        if isinstance(value, list):
            found = False
            for item in value:
                if _holds(item) and (yield from self._visit(item, key, method, flaw, level + 1)):
                    found = True
            return found
        if not isinstance(value, dict):
            return False
        if QUOTED_WRAPPER.search(key[:40].casefold()):
            flaw = flaw or "it stands in an example"
        return (yield from self._visit_object(value, key, method, flaw, level))

    def _visit_object(
        self, value: dict[str, object], key: str, method: ParseMethod, flaw: str | None, level: int
    ) -> Steps[bool]:
        if self.budget.spend(_ENTRY_COST):
            yield
        ids = self._ids(value, key)
        signals = {signal.label: signal for signal in map(self.roster.find, ids) if signal}
        within = "it stands inside another entry" if signals else flaw
        before = len(self.entries)
        found = False
        for name, item in _items(value):
            if _holds(item) and (yield from self._visit(item, name, method, flaw or within, level + 1)):
                found = True
        if found and not signals:
            return True
        reading = read_value(value)
        if reading is None or reading.empty or reading.template:
            return bool(signals)
        if len(signals) > 1:
            flaw = flaw or "it gives two ids"
        if reading.source is not value and any(not entry.anonymous for entry in self.entries[before:]):
            flaw = flaw or "its rating stands under another id"
        entry = Entry(
            None, ids[-1] if ids else None, reading, method,
            _values(value, _SYMBOL_KEYS), _values(value, _SIDE_KEYS), flaw, anonymous=not ids,
        )  # fmt: skip
        self._add(entry, value, list(signals.values()))
        return True

    def _ids(self, value: dict[str, object], key: str) -> list[object]:
        """Every id that the object gives, and the key it stands under if that is one."""
        ids = _values(value, _ID_KEYS)
        ids += [item for item in _values(value, _OTHER_ID_KEYS) if self.roster.find(item)]
        if key and (self.roster.find(key) or not (ids or _name(key) in _WRAPPERS)):
            ids.append(key)
        return ids

    def _add(self, entry: Entry, value: dict[str, object], signals: Sequence[Expected]) -> None:
        if self.in_prose and entry.reading.filler:
            entry = replace(entry, flaw=entry.flaw or "its texts are only dots")
        if isinstance(value, Scanned):
            flaw = entry.flaw or self._damage(value, signals)
            entry = replace(entry, flaw=flaw, method=ParseMethod.REPAIRED_JSON)
        self.entries += [replace(entry, signal=signal) for signal in signals] or [entry]

    def _damage(self, value: Scanned, signals: Sequence[Expected]) -> str | None:
        """Why an object that is no plain JSON might have parts of a neighbour in it."""
        if not value.end:
            return "it was cut off"
        span = self.text[value.start : value.end]
        if quoting(span) != self.style:
            return "it is quoted in another way than the reply"
        words = map(self.roster.find, _QUOTED_WORD.findall(span))
        if (
            len(_ID_MENTION.findall(span)) > 1
            or len(_RATING_MENTION.findall(span)) > 1
            or any(signal and signal not in signals for signal in words)
        ):
            return "it cannot be told from its neighbour"
        return None


def quoting(text: str) -> str | None:
    """How the first key in ``text`` is quoted: a mark, nothing, or None without a key."""
    match = _FIRST_KEY.search(text)
    return match[1] or "" if match else None


def _holds(item: object) -> bool:
    return isinstance(item, (dict, list))


def _items(value: dict[str, object]) -> Iterable[tuple[str, object]]:
    return value.pairs if isinstance(value, JsonObject) else value.items()


def _values(value: dict[str, object], keys: frozenset[str]) -> list[object]:
    return [item for key, item in _items(value) if _name(key) in keys and not isinstance(item, dict)]


def _name(key: str) -> str:
    return key[:40].strip().strip("\"'*`").casefold().replace(" ", "_").replace("-", "_")
