"""Texts of several lines on a terminal: whole, and harmless."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable

__all__ = ["say_lines", "show_text", "visible"]

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """``text`` on one line in which every character can be seen: others stand there as ``\\x1b``.

    Tabs stay. Nothing is cut or left out, so that what was sent can be told from it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def say_lines(lines: Iterable[str]) -> None:
    """Each line on stdout, made visible."""
    for line in lines:
        sys.stdout.write(visible(line) + "\n")


def show_text(title: str, text: str) -> None:
    """A message under its title; lines end at ``\\n`` alone, whatever else a terminal would break at."""
    sys.stdout.write(f"--- {title} ---\n")
    say_lines(text.removesuffix("\n").split("\n"))


def _shown(char: str) -> str:
    if char == "\t" or unicodedata.category(char) not in _UNSAFE:
        return char if _encodable(char) else _escaped(char)
    return _escaped(char)


def _encodable(char: str) -> bool:
    try:
        char.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeError, LookupError):
        return False
    return True


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
