"""Text from outside, as it may stand in a line of the log or in a message. Pure."""

from __future__ import annotations

import unicodedata

__all__ = ["one_line"]


def one_line(text: str, limit: int = 100) -> str:
    """``text`` in at most ``limit`` characters, without any that begins a line, commands a terminal or turns
    the direction of writing: ``?`` stands for each of these, so that it can forge no line of a log.
    """
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(map(_shown, text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if unicodedata.category(char) == "Zs" else "?"  # a space that does not break, as in « French »
