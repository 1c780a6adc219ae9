"""LLMResponseParser: the layers in their order."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from llm_integration.domain import ParseMethod
from llm_integration.fairness import Steps, at_once, in_turns
from llm_integration.finish_reason import is_cut
from llm_integration.response_parser.batch import BatchReading, Expected, read_batch, steps_for
from llm_integration.response_parser.complete import read_complete
from llm_integration.response_parser.cut import read_cut
from llm_integration.response_parser.fields import read_value
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
from llm_integration.response_parser.strict import BAD, decode
from llm_integration.response_parser.thoughts import without_thoughts

__all__ = ["LLMResponseParser"]


_SEAM: Final = "\x00[cut]\x00"
"""Joins head and tail of an overlong reply: no value, no number and no sentence reads across it."""


_FENCE: Final = re.compile(r"(```|~~~)[ \t]{0,8}[A-Za-z0-9_-]{0,12}[ \t]{0,8}\n?\s*+(?=\{)")


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

    def parse(self, text: str | None, finish_reason: str | None = None) -> ParsedResponse:
        """What ``text`` says: a rating or none, choppiness, the texts, and which layer read it.

        With a ``finish_reason`` that says that the reply was cut (``length`` and its like), only an object
        counts that the reply begins with, closed thoughts and a fence aside.
        """
        return at_once(self._parse(text, is_cut(finish_reason), Budget()))

    async def parse_in_turns(
        self, text: str | None, turn: Callable[[], Awaitable[object]], finish_reason: str | None = None
    ) -> ParsedResponse:
        """``parse`` for an event loop: before each piece of a long reply but the first, ``turn`` is awaited.

        A piece of 65,536 characters of anything takes a third of a millisecond, a millisecond at most.
        """
        return await in_turns(self._parse(text, is_cut(finish_reason), Budget()), turn)

    def parse_batch(
        self, text: str | None, expected: Sequence[Expected], finish_reason: str | None = None
    ) -> BatchReading:
        """What ``text`` says of each signal of a batch, matched by label and never by position alone.

        Of a longer reply only the first 65,536 characters are read: as if it had been cut there. Of a reply
        that was cut, entries behind other text do not count.
        """
        budget = Budget(steps_for(len(expected)))
        return at_once(read_batch(text, expected, budget, cut=is_cut(finish_reason)))

    async def parse_batch_in_turns(
        self,
        text: str | None,
        expected: Sequence[Expected],
        turn: Callable[[], Awaitable[object]],
        finish_reason: str | None = None,
    ) -> BatchReading:
        """``parse_batch`` for an event loop, as ``parse_in_turns``."""
        budget = Budget(steps_for(len(expected)))
        return await in_turns(read_batch(text, expected, budget, cut=is_cut(finish_reason)), turn)

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

    def _parse(self, text: str | None, cut: bool, budget: Budget) -> Steps[ParsedResponse]:
        if not isinstance(text, str):
            return as_response(None, ParseMethod.NONE, "the reply is empty")
        too_long, body = self._body(text)
        if not body:
            return as_response(None, ParseMethod.NONE, "the reply is empty")
        if not too_long and body[0] in '{["':
            value = _decoded(body)
            if value is not BAD:
                return _from_whole(value)
            yield
        elif not too_long and (reading := _from_fence(body)):
            return as_response(reading, ParseMethod.FENCED_JSON)
        notes = ["the reply was too long and was cut in the middle"] if too_long else []
        return (yield from (read_cut if cut else read_complete)(body, budget, notes))

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


def _from_fence(body: str) -> Reading | None:
    """What the one plain object says that a code fence around the whole reply holds; None without one."""
    fence = _FENCE.match(body)
    if fence is None:
        return None
    value = decode(body[fence.end() :].removesuffix(fence[1]).strip(BLANK))
    reading = read_value(value) if isinstance(value, dict) else None
    return None if reading is None or reading.empty or reading.template else reading


def _from_whole(value: object) -> ParsedResponse:
    reading = read_value(value)
    if reading is None or reading.empty:
        return as_response(None, ParseMethod.NONE, "no rating found in the reply")
    if reading.template and reading.rating is None:
        return as_response(None, ParseMethod.NONE, "the reply only repeats the requested format")
    return as_response(reading, ParseMethod.JSON)


def _objects(body: str, budget: Budget) -> Steps[Search | None]:
    try:
        rest = yield from without_thoughts(body, budget)
        return (yield from search(rest.text, budget))
    except OutOfWork:
        return None


def _plain(value: dict[str, object]) -> dict[str, object]:
    """``value`` without the keys that were given different values."""
    if not isinstance(value, JsonObject):
        return value
    disputed = {key for key, item in value.pairs if item != value[key] or type(item) is not type(value[key])}
    return {key: item for key, item in value.items() if key not in disputed}
