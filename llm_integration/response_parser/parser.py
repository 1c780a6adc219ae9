"""LLMResponseParser: the layers in their order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.pieces import Steps, at_once, in_turns
from llm_integration.response_parser.batch import BatchReading, Expected, read_batch, steps_for
from llm_integration.response_parser.fields import MAX_TEXT_CHARS, read_value
from llm_integration.response_parser.keywords import keyword_choppiness, keyword_verdicts
from llm_integration.response_parser.model import (
    BLANK,
    Budget,
    JsonObject,
    OutOfWork,
    ParsedResponse,
    Reading,
    as_response,
)
from llm_integration.response_parser.objects import Search, search
from llm_integration.response_parser.prose import Verdicts
from llm_integration.response_parser.stated import stated_verdicts
from llm_integration.response_parser.strict import BAD, decode
from llm_integration.response_parser.thoughts import without_thoughts

__all__ = ["LLMResponseParser"]


_SEAM: Final = "\x00[cut]\x00"
"""Joins head and tail of an overlong reply: no value, no number and no sentence reads across it."""


class LLMResponseParser:
    """Reads replies. Holds no state between calls and may be shared by threads.

    ``max_chars`` bounds how much of a reply is read: of a longer one, the first and the last half of that
    many characters. Reading never raises and costs time linear in the length, less than 5 ms for 65,536
    characters of anything.
    """

    def __init__(self, max_chars: int = 65_536) -> None:
        if max_chars < 1:
            raise ValueError(f"max_chars must be at least 1, not {max_chars}")
        self._max_chars = max_chars

    def parse(self, text: str | None) -> ParsedResponse:
        """What ``text`` says: a rating or none, choppiness, the texts, and which layer read it."""
        return at_once(self._parse(text, Budget()))

    async def parse_in_turns(self, text: str | None, turn: Callable[[], Awaitable[object]]) -> ParsedResponse:
        """``parse`` for an event loop: before each piece of a long reply but the first, ``turn`` is awaited.

        A piece of 65,536 characters of anything takes a third of a millisecond, a millisecond at most.
        """
        steps = self._parse(text, Budget())
        return await in_turns(steps, turn)

    def parse_batch(self, text: str | None, expected: Sequence[Expected]) -> BatchReading:
        """What ``text`` says of each signal of a batch, matched by label and never by position alone.

        Of a longer reply only the first 65,536 characters are read: as if it had been cut there.
        """
        return at_once(read_batch(text, expected, Budget(steps_for(len(expected)))))

    async def parse_batch_in_turns(
        self, text: str | None, expected: Sequence[Expected], turn: Callable[[], Awaitable[object]]
    ) -> BatchReading:
        """``parse_batch`` for an event loop, as ``parse_in_turns``."""
        return await in_turns(read_batch(text, expected, Budget(steps_for(len(expected)))), turn)

    def extract_json_data(self, text: str | None) -> dict[str, object] | None:
        """The JSON object in ``text`` that answers, with its keys as the model wrote them.

        The same object that ``parse`` would read, out of its wrappers; failing that, the last object there
        is; None without any. A key given twice with different values is left out: it has no value.
        """
        if not isinstance(text, str):
            return None
        cut, body = self._body(text)
        value = BAD if cut else _decoded(body)
        if value is BAD:
            found = at_once(_objects(body, Budget()))
            return _plain(found.value) if found and found.value is not None else None
        reading = read_value(value)
        if reading and reading.source:
            return _plain(reading.source)
        return _plain(value) if isinstance(value, dict) else None

    def _parse(self, text: str | None, budget: Budget) -> Steps[ParsedResponse]:
        if not isinstance(text, str):
            return as_response(None, ParseMethod.NONE, "the reply is empty")
        cut, body = self._body(text)
        if not body:
            return as_response(None, ParseMethod.NONE, "the reply is empty")
        if not cut and body[0] in '{["':
            value = _decoded(body)
            if value is not BAD:
                return _from_whole(value)
            yield
        notes = ["the reply was too long and was cut in the middle"] if cut else []
        return (yield from _from_parts(body, budget, notes))

    def _body(self, text: str) -> tuple[bool, str]:
        if len(text) <= self._max_chars:
            return False, text.strip(BLANK)
        head = (self._max_chars + 1) // 2
        tail = self._max_chars - head
        return True, (text[:head] + _SEAM + (text[-tail:] if tail else "")).strip(BLANK)


def _decoded(body: str) -> object:
    """The one JSON value the reply is; BAD otherwise. A string that holds JSON again is opened once."""
    if not body or body[0] not in '{["':
        return BAD
    value = decode(body)
    return decode(value.strip(BLANK)) if isinstance(value, str) else value


def _from_whole(value: object) -> ParsedResponse:
    reading = read_value(value)
    if reading is None or reading.empty:
        return as_response(None, ParseMethod.NONE, "no rating found in the reply")
    if reading.template and reading.rating is None:
        return as_response(None, ParseMethod.NONE, "the reply only repeats the requested format")
    return as_response(reading, ParseMethod.JSON)


def _from_parts(body: str, budget: Budget, notes: list[str]) -> Steps[ParsedResponse]:
    try:
        text, unclosed, doubtful = yield from without_thoughts(body, budget)
        if unclosed:
            notes.append("the reply never leaves its draft")
        yield
        found = yield from search(text, budget)
    except OutOfWork:
        return as_response(None, ParseMethod.NONE, *notes, "the reply is too tangled to be read")
    if doubtful and found.method not in (ParseMethod.FENCED_JSON, ParseMethod.EMBEDDED_JSON):
        return as_response(None, ParseMethod.NONE, *notes, "a draft ends in the middle of an object")
    if found.reading is not None and found.reading.explicit:
        return as_response(found.reading, found.method, *notes)
    yield
    return (yield from _from_prose(found, budget, notes))


def _objects(body: str, budget: Budget) -> Steps[Search | None]:
    try:
        text, _unclosed, _doubtful = yield from without_thoughts(body, budget)
        return (yield from search(text, budget))
    except OutOfWork:
        return None


def _from_prose(found: Search, budget: Budget, notes: list[str]) -> Steps[ParsedResponse]:
    """The rating from prose; whatever an object without a rating said stays as it is."""
    if found.debris or (found.reading is not None and found.method is ParseMethod.REPAIRED_JSON):
        return as_response(found.reading, found.method, *notes, "the reply is an object that cannot be read")
    try:
        method, verdicts = yield from _verdicts(found.prose.lower(), budget)
    except OutOfWork:
        method = ParseMethod.NONE
        verdicts = Verdicts(None, None, False, ["the reply mentions ratings too often to weigh them"])
    notes += verdicts.warnings
    if found.reading is not None:
        found.reading.rating = verdicts.rating
        return as_response(found.reading, method if verdicts.rating is not None else found.method, *notes)
    if verdicts.rating is None and verdicts.choppiness is None:
        return as_response(None, ParseMethod.NONE, *notes)
    text = found.prose[: MAX_TEXT_CHARS + 1_000].strip(BLANK)[:MAX_TEXT_CHARS] or None
    reading = Reading(verdicts.rating, verdicts.choppiness, text, None, True, False, False, [])
    return as_response(reading, method, *notes)


def _verdicts(text: str, budget: Budget) -> Steps[tuple[ParseMethod, Verdicts]]:
    """What is stated, else what the words say; the method is that of the rating, if there is one."""
    verdicts = stated_verdicts(text, budget)
    stated = verdicts.about_rating or verdicts.choppiness is not None
    yield
    if not verdicts.about_rating:
        words = keyword_verdicts(text, budget)
        stated = stated and words.rating is None
        verdicts = Verdicts(words.rating, verdicts.choppiness, False, verdicts.warnings + words.warnings)
    if verdicts.choppiness is None and not verdicts.warnings:
        yield
        verdicts.choppiness = keyword_choppiness(text, budget)
    return ParseMethod.REGEX if stated else ParseMethod.KEYWORDS, verdicts


def _plain(value: dict[str, object]) -> dict[str, object]:
    """``value`` without the keys that were given different values."""
    if not isinstance(value, JsonObject):
        return value
    disputed = {key for key, item in value.pairs if item != value[key] or type(item) is not type(value[key])}
    return {key: item for key, item in value.items() if key not in disputed}
