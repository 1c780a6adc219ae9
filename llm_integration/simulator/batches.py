"""Prompts about several signals: each is rated by the same rule, from its own lines. Pure.

A prompt asks for a batch when it names a key ``"signals"`` for the reply and holds lines ``Signal id: X``;
what stands between one such line and the next, a table of bars or the end of the data is that signal's.
The reply is ``{"signals": [{"id": X, "symbol": ..., "rating": ..., ...}, ...]}`` in the prompt's order.

``BATCHES`` are the ways in which such a reply goes wrong. On a prompt about one signal they change nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from llm_integration.simulator.kinds import FaultInfo, Kind
from llm_integration.simulator.rule import MAX_READ_CHARS, Reading, rate, read_facts

__all__ = ["BATCHES", "BATCH_CUT", "MAX_BATCH", "BatchReading", "Entry", "reading_of"]

MAX_BATCH = 200
"""Signals of one prompt that are read; bounds the work on the event loop."""
UNKNOWN_ID = "zzzzzz"

_LABEL = re.compile(r"^Signal id:[ \t]{0,4}([!-~]{1,64})[ \t]{0,4}$", re.MULTILINE)
_END = re.compile(r"^(?:Table \d{1,4}:|Signal \d{1,4} of \d{1,4}$|</data>)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """The honest answer about one signal of a batch."""

    label: str
    symbol: str
    reading: Reading

    def as_dict(self) -> dict[str, object]:
        """The entry in the reply."""
        return {"id": self.label, "symbol": self.symbol, **self.reading.as_dict()}

    def as_json(self) -> str:
        """The entry as text."""
        return json.dumps(self.as_dict(), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class BatchReading(Reading):
    """The honest answer to a prompt about several signals; as a Reading it is that about the first."""

    label: str
    symbol: str
    others: tuple[Entry, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them, in the prompt's order."""
        first = Reading(self.rating, self.choppiness, self.analysis, self.recommendations)
        return (Entry(self.label, self.symbol, first), *self.others)

    def as_dict(self) -> dict[str, object]:
        """The reply."""
        return {"signals": [entry.as_dict() for entry in self.entries]}

    def as_json(self) -> str:
        """The reply as a well-behaved model writes it."""
        return json.dumps(self.as_dict(), ensure_ascii=False)


def reading_of(prompt: str) -> Reading:
    """The rule applied to a prompt about one signal, or to each signal of a batch."""
    entries = _entries(prompt) if '"signals"' in prompt else []
    if not entries:
        return rate(prompt)
    first = entries[0]
    values = (first.reading.rating, first.reading.choppiness, first.reading.analysis)
    return BatchReading(*values, first.reading.recommendations, first.label, first.symbol, tuple(entries[1:]))


def _entries(prompt: str) -> list[Entry]:
    found = []
    for match in _LABEL.finditer(prompt):
        stop = match.end() + MAX_READ_CHARS
        end = _END.search(prompt, match.end(), stop)
        block = prompt[match.end() : end.start() if end else stop]
        found.append(Entry(match[1], read_facts(block).symbol or "", rate(block)))
        if len(found) == MAX_BATCH:
            break
    return found


# What goes wrong ---------------------------------------------------------------------------------------
Shape = Callable[[BatchReading], str]

BATCHES: dict[str, tuple[FaultInfo, Shape]] = {}
BATCH_CUT = frozenset({"batch_cut"})
"""Shapes that end with ``finish_reason: length``."""


def _add(name: str, kind: Kind, text: str, shape: Shape) -> None:
    BATCHES[name] = (FaultInfo(name, "batch", kind, text), shape)


def _change(name: str, kind: Kind, text: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Register a reply whose list of entries is changed in place, or replaced by what comes back."""

    def shape(batch: BatchReading) -> str:
        entries: list[dict[str, Any]] = [entry.as_dict() for entry in batch.entries]
        changed = change(entries)
        return json.dumps({"signals": entries if changed is None else changed}, ensure_ascii=False)

    _add(name, kind, text, shape)


def _middle(entries: list[Any]) -> int:
    return (len(entries) - 1) // 2


def _other_rating(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "rating": int(entry["rating"]) % 5 + 1}


def _drop(entries: list[dict[str, Any]]) -> None:
    del entries[_middle(entries)]


def _swap_ids(entries: list[dict[str, Any]]) -> None:
    if len(entries) > 1:
        entries[0]["id"], entries[1]["id"] = entries[1]["id"], entries[0]["id"]


def _set(entries: list[dict[str, Any]], **values: object) -> None:
    entries[_middle(entries)].update(values)


def _broken_entry(batch: BatchReading) -> str:
    texts = [entry.as_json() for entry in batch.entries]
    place = _middle(texts)
    texts[place] = (
        texts[place].replace('"choppiness": ', '"choppiness" ', 1).replace('"analysis"', "analysis", 1)
    )
    return f'{{"signals": [{", ".join(texts)}]}}'


def _cut(batch: BatchReading) -> str:
    """Whole up to the middle entry, which ends inside its analysis."""
    texts = [entry.as_json() for entry in batch.entries]
    place = _middle(texts)
    head = texts[place][: texts[place].index('"analysis"') + 30]
    return f'{{"signals": [{", ".join([*texts[:place], head])}'


def _with_text(batch: BatchReading) -> str:
    return f"Here are my ratings:\n\n```json\n{batch.as_json()}\n```\nI rated {len(batch.entries)} signals."


_change("batch_missing", Kind.EITHER, "the entry in the middle is missing", _drop)
_change("batch_only_first", Kind.EITHER, "only the first entry is there", lambda e: e[:1])
_change("batch_empty", Kind.UNREADABLE, "no entry at all", lambda _: [])
_change("batch_doubled", Kind.READABLE, "the first entry twice, word for word", lambda e: e.append(e[0]))
_change(
    "batch_contradiction",
    Kind.EITHER,
    "the first entry twice with different ratings",
    lambda e: e.append(_other_rating(e[0])),
)
_change("batch_reordered", Kind.READABLE, "the entries in reverse order", lambda e: e.reverse())
_change(
    "batch_swapped", Kind.EITHER, "the ids of the first two entries swapped, not their symbols", _swap_ids
)
_change(
    "batch_id_case",
    Kind.READABLE,
    "ids in capitals",
    lambda e: [{**entry, "id": str(entry["id"]).upper()} for entry in e],
)
_change(
    "batch_unknown_id",
    Kind.EITHER,
    "the entry in the middle has an id that nobody gave",
    lambda e: _set(e, id=UNKNOWN_ID),
)
_change(
    "batch_extra_entry",
    Kind.READABLE,
    "one entry more, with an id that nobody gave",
    lambda e: e.append({**e[0], "id": UNKNOWN_ID, "symbol": "NONE"}),
)
_change(
    "batch_no_ids",
    Kind.EITHER,
    "entries without ids",
    lambda e: [{key: value for key, value in entry.items() if key != "id"} for entry in e],
)
_change(
    "batch_unrated_entry", Kind.EITHER, "the rating in the middle is null", lambda e: _set(e, rating=None)
)
_change("batch_wrong_scale", Kind.EITHER, "the rating in the middle is 85", lambda e: _set(e, rating=85))
_change(
    "batch_keyed",
    Kind.EITHER,
    "an object with the ids as its keys instead of a list",
    lambda e: {str(entry.pop("id")): entry for entry in e},
)
_add("batch_broken_entry", Kind.EITHER, "the entry in the middle is no JSON", _broken_entry)
_add("batch_cut", Kind.EITHER, "cut in the middle, finish_reason length", _cut)
_add("batch_extra_text", Kind.READABLE, "in a fence with text around it", _with_text)
_add(
    "batch_array",
    Kind.READABLE,
    "a bare list without the key",
    lambda b: json.dumps([entry.as_dict() for entry in b.entries], ensure_ascii=False),
)
_add(
    "batch_lines",
    Kind.EITHER,
    "one object on each line, no list",
    lambda b: "\n".join(entry.as_json() for entry in b.entries),
)
_add(
    "batch_one_reading",
    Kind.EITHER,
    "one rating for all, without ids",
    lambda b: b.entries[0].reading.as_json(),
)
_add(
    "batch_quoted_rating",
    Kind.READABLE,
    "an analysis that quotes another signal's id and rating",
    lambda b: replace(
        b,
        analysis=f'{b.analysis} {{"id": "{b.entries[-1].label}", "rating": {b.entries[-1].reading.rating}}}',
    ).as_json(),
)
