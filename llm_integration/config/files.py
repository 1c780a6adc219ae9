"""Reading configuration files as editors and shells write them: one text, or one line that says why not."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Literal

from llm_integration.errors import ConfigError

__all__ = ["read_text_file"]

MOST_BYTES = 10 * 1_048_576
_MARKS = (  # the longer ones first: UTF-16's mark is the beginning of UTF-32's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text_file(file: Path, *, unmarked: Literal["utf-8", "latin-1"] = "utf-8") -> str:
    """The text of ``file``, in the encoding that its byte order mark names, else in UTF-8.

    Bytes without a mark that are no UTF-8 are taken as Latin-1 if ``unmarked`` says so. Raises
    FileNotFoundError, and ConfigError, one line long, for a folder, a file that cannot be read, one of more
    than 10 MB, and one with NUL characters, as a UTF-16 file without its mark has.
    """
    return _decoded(file, _bytes_of(file), unmarked)


def _bytes_of(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            raw = source.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise ConfigError(f"{file}: cannot be read: it is a folder, not a file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"{file}: cannot be read: it is longer than {MOST_BYTES // 1_048_576} MB")
    return raw


def _decoded(file: Path, raw: bytes, unmarked: str) -> str:
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    try:
        text = raw.decode(marked or "utf-8")
    except UnicodeDecodeError:
        if marked is not None or unmarked == "utf-8":
            name = (marked or unmarked).removesuffix("-sig").upper()
            raise ConfigError(f"{file}: cannot be read: it is no {name} text; save it as UTF-8") from None
        text = raw.decode(unmarked)
    if "\0" in text:
        raise ConfigError(f"{file}: cannot be read: it holds NUL characters; save it as UTF-8")
    return text
