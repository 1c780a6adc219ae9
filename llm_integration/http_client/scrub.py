"""Text from outside, made fit for a log line, a table and a terminal: short, plain, without the key."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

__all__ = ["Scrubber"]

_BLANKS = re.compile(r" {2,}")
_KEY_LIKE = re.compile(r"\b(?:sk-[\w-]{8,}|Bearer\s+\S+)", re.IGNORECASE)
HIDDEN = "[key hidden]"
MOST_NAME_CHARS = 200


class Scrubber:
    """Knows the key, so that it can be taken out of whatever a server sends back."""

    __slots__ = ("_disguises", "_key_length", "_secret")

    def __init__(self, secret: SecretStr | None) -> None:
        self._secret = secret
        self._key_length = len(secret.get_secret_value()) if secret is not None else 0
        self._disguises = () if secret is None else tuple(_disguises(secret.get_secret_value()))

    def __call__(self, text: object, limit: int = 300) -> str:
        """``text`` as at most ``limit`` characters of one plain line."""
        line = self.without_key(text if isinstance(text, str) else str(text))[: 4 * limit + 400]
        if not line.isprintable():  # control characters, line breaks, direction marks, lone surrogates
            line = "".join(char if char.isprintable() else " " for char in line)
        line = _BLANKS.sub(" ", line).strip()
        line = _KEY_LIKE.sub(HIDDEN, self._undisguised(self.without_key(line)))
        return line if len(line) <= limit else line[: limit - 3] + "..."

    def _undisguised(self, line: str) -> str:
        """``line`` without the key reversed, in hexadecimal or in base64."""
        for disguise in self._disguises:
            if disguise in line:
                line = line.replace(disguise, HIDDEN)
        return line

    def name(self, value: object) -> str | None:
        """An identifier the server reports (model, provider, generation id), or None if it is none."""
        if not isinstance(value, str) or not value:
            return None
        if len(value) <= MOST_NAME_CHARS and value.isascii() and value.isprintable():
            return self.without_key(value)
        return self(value, MOST_NAME_CHARS) or None

    def names(self, values: list[Any]) -> list[str | None]:
        """``name`` of each; at the price of one where all are as they should be, which is the usual case."""
        try:
            line = "".join(values)
        except TypeError:
            line = ""
        if (
            0 < len(line) <= MOST_NAME_CHARS
            and line.isascii()
            and line.isprintable()
            and all(values)
            and self.without_key(line) is line
        ):
            return values
        return [self.name(value) for value in values]

    def without_key(self, text: str) -> str:
        """``text`` with the key itself taken out, wherever it stands; nothing else changes."""
        if self._secret is None or len(text) < self._key_length:
            return text  # most names are shorter than a key
        key = self._secret.get_secret_value()
        return text.replace(key, HIDDEN) if key and key in text else text


def _disguises(key: str) -> Iterator[str]:
    """What a server might make of ``key`` that still gives it away; base64 at each of its three offsets."""
    data = key.encode()
    yield key[::-1]
    yield data.hex()
    yield data.hex().upper()
    for offset in range(3):
        whole = (len(data) + offset) // 3 * 3 - offset
        text = base64.b64encode(b"\0" * offset + data[:whole]).decode()
        yield text[4 if offset else 0 :]
