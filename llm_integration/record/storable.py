"""The one place where values are made safe for PostgreSQL. Pure.

PostgreSQL takes no NUL in text, no lone surrogates, and neither in JSON; JSON knows no NaN; an indexed
text must be short. Whatever comes in here comes out storable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import orjson

from llm_integration.domain import to_price
from llm_integration.record.errors import BadRowError

__all__ = [
    "LONGEST_ANSWER",
    "LONGEST_NAME",
    "LONGEST_NOTE",
    "LONGEST_REPLY",
    "clean_key",
    "clean_text",
    "json_bytes",
    "json_rows",
    "json_text",
    "one_array",
    "shown",
]

LONGEST_KEY = 512
"""Bytes of an id; longer ones, and those with unstorable characters, get a digest in place of a tail."""
LONGEST_NAME = 500
LONGEST_NOTE = 4_000
LONGEST_ANSWER = 50_000
LONGEST_REPLY = 500_000
"""Characters of a prompt or a reply."""
DEEPEST_JSON = 20


def clean_text(value: object, limit: int = LONGEST_NOTE) -> str | None:
    """``value`` as text PostgreSQL can store: NUL and lone surrogates become U+FFFD, the rest is cut at
    ``limit`` characters with a note of how many there were. None stays None.
    """
    if value is None:
        return None
    if type(value) is str and value.isascii() and len(value) <= limit and "\0" not in value:
        return value  # most of what comes, after one look at it
    text = value if type(value) is str else shown(value)
    if len(text) > limit:
        note = f"… [cut: {len(text)} characters]"
        text = text[: max(0, limit - len(note))] + note[:limit]
    return _storable(text)


def _storable(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_key(key: str) -> str:
    """A storable, indexable id for ``key``: itself if it is one, else its beginning and its digest.

    Different keys stay different, and a key that was stored once stays as it is.
    """
    text = _storable(key)
    if text == key and (len(key) <= LONGEST_KEY // 4 or len(key.encode()) <= LONGEST_KEY):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:80]}~{digest[:32]}"


def may_be_digest(key: str) -> bool:
    """Whether ``clean_key`` may have made this key of another one."""
    return key[-33:-32] == "~"


def json_text(value: object) -> str:
    """``value`` as JSON for a JSONB column; NaN and infinities become null, unknown objects their text."""
    return json_bytes(value).decode()


def json_bytes(value: object) -> bytes:
    """``json_text`` in UTF-8."""
    try:
        encoded = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        encoded = orjson.dumps(_json_safe(value, 0))
    if b"\\u0000" in encoded:  # the one escape that JSONB refuses
        encoded = orjson.dumps(_json_safe(value, 0))
    return encoded


def json_rows(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows of storable values as a JSON array in UTF-8, for ``json_to_recordset``.

    What JSON has no word for goes as the text that PostgreSQL reads it from: decimals and times exactly as
    they are, bytes as hexadecimal digits. Raises BadRowError for what has no such text and for an integer
    of more than 64 bits.
    """
    try:
        return orjson.dumps(rows, default=_as_text)
    except TypeError as error:
        raise BadRowError(str(error)) from error


def one_array(arrays: Sequence[bytes]) -> bytes:
    """JSON arrays, none of them empty, put together into one."""
    if len(arrays) == 1:
        return arrays[0]
    parts: list[bytes | memoryview] = []
    for array in arrays:
        parts += (b",", memoryview(array)[1:-1])
    return b"".join((b"[", *parts[1:], b"]"))


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"a {type(value).__name__} is nothing to store")


def _json_safe(value: object, depth: int) -> object:
    if depth < DEEPEST_JSON and isinstance(value, Mapping):
        return {_json_key(key): _json_safe(item, depth + 1) for key, item in value.items()}
    if depth < DEEPEST_JSON and isinstance(value, (list, tuple, set, frozenset)):
        return [_json_safe(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if isinstance(value, int) and abs(value) < 2**63 else to_price(value)
    return clean_text(value.isoformat() if isinstance(value, datetime) else value, LONGEST_ANSWER)


def _json_key(key: object) -> str:
    return clean_text(key, LONGEST_NAME) or ""


def shown(value: object) -> str:
    """``str(value)``, or the name of its type when that fails."""
    try:
        return str(value)
    except Exception:  # a foreign object may do anything
        return type(value).__name__
