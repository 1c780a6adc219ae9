"""Strict JSON on bounded text: no NaN, no long number literal, no key lost to a second one."""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder
from typing import Any, Final

from llm_integration.response_parser.model import JsonObject

__all__ = ["BAD", "Decoder", "decode"]

BAD: Final = object()
"""Stands for text that is not JSON, or not worth decoding."""

_SMALL: Final = 4_096
_MAX_CONTAINERS: Final = 64
_MAX_MARKS: Final = 2_000
_MAX_DIGITS: Final = 18


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    return plain if len(plain) == len(pairs) else JsonObject(pairs)


def _integer(literal: str) -> object:
    return int(literal) if len(literal) <= _MAX_DIGITS else literal


def _real(literal: str) -> object:
    return float(literal) if len(literal) <= _MAX_DIGITS else literal


_DECODER: Final = JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_real, parse_constant=str
)


def decode(text: str) -> object:
    """The JSON value that ``text`` (without blanks around it) is, or BAD.

    Numbers too long to be anybody's rating, NaN and Infinity come back as text. Text too crowded to be a
    reply is BAD without a try, so that the cost stays linear and small.
    """
    if len(text) > _SMALL and _crowded(text):
        return BAD
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return BAD
    return value if end == len(text) else BAD


class Decoder:
    """Decodes strict JSON at places inside ``text``, in time linear in its length.

    ``factor`` times as many containers and marks are allowed as in a reply about one signal. Failed attempts
    together may run over five times the length of the text; after that there are no more.
    """

    __slots__ = ("allowance", "text")

    def __init__(self, text: str, factor: int) -> None:
        self.text = text
        self.allowance = 0 if _crowded(text, factor) else 5 * len(text) + 1

    def at(self, start: int) -> tuple[object, int]:
        """The value that begins at ``start`` and where it ends; BAD and ``start`` if there is none."""
        if self.allowance <= 0:
            return BAD, start
        reached = len(self.text)
        try:
            return _DECODER.raw_decode(self.text, start)
        except JSONDecodeError as error:
            if not error.msg.startswith("Unterminated"):  # its place is then where the string begins
                reached = error.pos
        except (ValueError, RecursionError):
            pass
        self.allowance -= reached - start + 1
        return BAD, start


def _crowded(text: str, factor: int = 1) -> bool:
    containers = text.count("{") + text.count("[")
    if containers > _MAX_CONTAINERS * factor:
        return True
    return any(text.count(mark) > _MAX_MARKS * factor for mark in ',"\\')
