"""Bytes of a file that may still be growing as text, whatever the platform wrote it in."""

from __future__ import annotations

import codecs
from typing import Final

__all__ = ["Decoder"]

MOST_UNDECIDED: Final = 1 << 16
"""The first line is looked at to tell the encoding; a longer one is no header."""
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)


class Decoder:
    """UTF-8 unless a byte order mark, zero bytes or the first line say otherwise: UTF-16, or the western
    Windows code page, in which older spreadsheets write."""

    def __init__(self) -> None:
        self._raw = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self.encoding = ""

    def text(self, data: bytes, *, last: bool, lenient: bool = False) -> str:
        """The text of the next bytes; raises UnicodeDecodeError unless ``lenient``."""
        if self._decoder is None:
            self._raw += data
            if b"\n" not in self._raw and not last and len(self._raw) <= MOST_UNDECIDED:
                return ""
            data = self._decided()
        assert self._decoder is not None  # noqa: S101  chosen above
        self._decoder.errors = "replace" if lenient else "strict"
        return self._decoder.decode(data, last)

    def _decided(self) -> bytes:
        raw, self._raw = self._raw, b""
        for mark, name, shown in MARKS:
            if raw.startswith(mark):
                return self._chosen(name, shown, raw[len(mark) :])
        if raw[1:2] == b"\0" or raw[:1] == b"\0":
            return self._chosen("utf-16-le" if raw[1:2] == b"\0" else "utf-16-be", "UTF-16", raw)
        try:
            raw.partition(b"\n")[0].decode("utf-8")
        except UnicodeDecodeError:
            return self._chosen("cp1252", "Windows-1252", raw)
        return self._chosen("utf-8", "UTF-8", raw)

    def _chosen(self, name: str, shown: str, raw: bytes) -> bytes:
        self._decoder = codecs.getincrementaldecoder(name)()
        self.encoding = shown
        return raw
