"""One CSV cell from one value: safe in a spreadsheet, on one line, read back by any CSV reader.

Text is hostile: it comes from a model, a feed or an embedding process. A spreadsheet runs a cell that
begins with ``= + - @`` (also behind blanks or quotes, also in full width) as a formula; such a cell
gets an apostrophe in front, which spreadsheets show as plain text. Where the list separator is a
semicolon the same could begin behind any ``;``, so it is cut off there too.
Numbers stay numbers: ``-1.5`` in a number column is never touched.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime

from llm_integration.domain import parse_time

__all__ = [
    "MAX_CELL_CHARS",
    "id_cell",
    "number_cell",
    "plain_text",
    "prose_cell",
    "quoted",
    "text_cell",
    "time_cell",
]

MAX_CELL_CHARS = 32_000
"""Longest prose in a cell; spreadsheets cut at 32,767 characters."""

_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
# Characters that show nothing but change how the rest is read or displayed: C0, DEL, C1, the marks that
# turn the direction of text, the byte order mark, and surrogates, which UTF-8 cannot hold.
_REMOVED = (
    "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd\ud800-\udfff"
)
_UNWANTED = re.compile(f"[{_BREAKS}{_REMOVED}]")
_BREAK = re.compile(f"\r\n|[{_BREAKS}]")
_REMOVE = re.compile(f"[{_REMOVED}]+")

_FORMULA = "=+\\-@＝＋－＠﹦﹢﹣﹫"
_IGNORED = "[\\s'\"`‘’“”\u00ad\u200b-\u200d\u2060]*"
_RUNS = re.compile(f"{_IGNORED}[{_FORMULA}]")
_RUNS_BEHIND_SEMICOLON = re.compile(f";(?={_IGNORED}[{_FORMULA}])")
_NEEDS_QUOTES = re.compile("[\",;'\\s]")


_PLAIN_ID = re.compile(r"[!-\[\]-~]+(?: [!-\[\]-~]+)*").fullmatch
# Printable by their category and yet nothing to see: fillers, a blank of braille, joiners and selectors.
_UNSEEN = re.compile(
    "[\ufffd\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def plain_text(value: str) -> str:
    """``value`` on one line: each break or tab becomes a blank, invisible controls are removed."""
    if _UNWANTED.search(value) is None:
        return value
    return _REMOVE.sub("", _BREAK.sub(" ", value))


def _harmless(text: str) -> str:
    if ";" in text:
        text = _RUNS_BEHIND_SEMICOLON.sub(";'", text)
    return "'" + text if _RUNS.match(text) else text


def quoted(text: str) -> str:
    """``text`` as it stands in the file: quoted when a reader could take it for more than one cell."""
    if _NEEDS_QUOTES.search(text) is None:
        return text
    return '"' + text.replace('"', '""') + '"'


def text_cell(value: str | None) -> str:
    """A name: on one line, never shortened."""
    return "" if not value else _harmless(plain_text(value))


def id_cell(value: str | None) -> str:
    r"""An id, such that different ids are different cells, to a program and to a reader.

    What cannot be seen, or not be told from another character, stands as ``\u{200b}``: marks that show
    nothing, breaks and tabs, blanks of other kinds, at an end or behind another one, and what Unicode holds
    to be the same as something else. A backslash that would begin such a mark is ``\u{5c}``.
    """
    if not value:
        return ""
    return _harmless(value if _PLAIN_ID(value) else _marked(value))


def _marked(value: str) -> str:
    composed = unicodedata.is_normalized("NFC", value)
    last = len(value) - 1
    marked = []
    for at, char in enumerate(value):
        if char == " ":
            plain = 0 < at < last and value[at - 1] != " "
        elif char == "\\":
            plain = not value.startswith("u{", at + 1)
        else:
            plain = _tells_itself(char, composed=composed)
        marked.append(char if plain else f"\\u{{{ord(char):x}}}")
    return "".join(marked)


def _tells_itself(char: str, *, composed: bool) -> bool:
    if char.isascii():
        return char.isprintable()
    if not char.isprintable() or _UNSEEN.match(char):
        return False
    return composed or not (unicodedata.combining(char) or unicodedata.normalize("NFC", char) != char)


def prose_cell(value: str | None) -> str:
    """Free text, without blanks around it and at most MAX_CELL_CHARS long (plus an ellipsis)."""
    if not value:
        return ""
    text = plain_text(value[: 2 * MAX_CELL_CHARS]).strip()
    if len(text) > MAX_CELL_CHARS:
        text = text[:MAX_CELL_CHARS] + "…"
    return _harmless(text)


def number_cell(value: float | None) -> str:
    """The shortest digits that read back as the same float; empty for missing, NaN and infinite."""
    if value is None:
        return ""
    number = float(value)  # numpy's floats have a repr of their own
    return repr(number) if math.isfinite(number) else ""


def time_cell(value: datetime | None) -> str:
    """ISO 8601 in UTC; empty for a missing time or something that is none."""
    if value is None:
        return ""
    if type(value) is datetime and value.tzinfo is UTC:
        return value.isoformat()
    moment = parse_time(value)
    return "" if moment is None else moment.isoformat()
