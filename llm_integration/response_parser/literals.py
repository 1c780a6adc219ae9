"""What the words and strings of a tolerantly read object stand for."""

from __future__ import annotations

import re
from typing import Final

from llm_integration.response_parser.model import lowered

__all__ = ["literal", "unescaped"]

_MAX_RAW: Final = 12_000
_MAX_ESCAPES: Final = 500
_COMMENT: Final = re.compile(r"//|\#|/\*")
_NUMBER: Final = re.compile(r"-?\d{1,18}(\.\d{1,18})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_LITERALS: Final[dict[str, object]] = {"true": True, "false": False, "null": None, "none": None}
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def literal(word: str) -> object:
    """The value of an unquoted word: a number, a constant of JSON or Python, or else the word itself."""
    word = _COMMENT.split(word, 1)[0].strip()
    low = lowered(word)
    if low in _LITERALS:
        return _LITERALS[low]
    match = _NUMBER.fullmatch(word)
    if match is None:
        return word
    return int(word) if match[1] is None and "e" not in low else float(word)


def unescaped(raw: str) -> str:
    """The text that a string literal stands for; what JSON does not know keeps its letters."""
    raw = raw[:_MAX_RAW]
    if "\\" not in raw or raw.count("\\") > _MAX_ESCAPES:
        return raw
    text = _ESCAPE.sub(_replacement, raw)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _replacement(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    letter: str = match[2]
    if letter in _LETTERS:
        return _LETTERS[letter]
    return match[0] if letter.isalnum() else letter
