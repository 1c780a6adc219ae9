"""Text from outside, made safe to show on a terminal and in a log line."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean", "shown"]

CONTROL_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,32}[ -/]{0,4}[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]{0,256}(?:\x07|\x1b\\|\x9c)"  # OSC: window title, clipboard
)
BLANKS = re.compile(r"\s+")
UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
SCAN_FACTOR = 8
"""How much longer than its limit a text is looked at: the rest cannot be seen anyway."""


def clean(text: object, limit: int = 500) -> str:
    """``text`` on one line of at most ``limit`` characters that no terminal takes for a command.

    Removed are control sequences, every control and format character (C0, C1, bidirectional overrides,
    zero-width characters), surrogates and unassigned code points. Runs of blanks become one space. A text
    that was cut ends in an ellipsis.
    """
    raw = str(text)
    seen = CONTROL_SEQUENCE.sub("", raw[: limit * SCAN_FACTOR])
    if not (seen.isascii() and seen.isprintable()):
        seen = "".join(char for char in seen if char.isspace() or _safe(char))
    seen = BLANKS.sub(" ", seen).strip()
    cut = len(seen) > limit or len(raw) > limit * SCAN_FACTOR
    return seen[: limit - 1].rstrip() + "…" if cut else seen


def _safe(char: str) -> bool:
    return unicodedata.category(char) not in UNSAFE_CATEGORIES


def shown(text: object, limit: int = 40) -> str:
    """``text`` quoted for an error message: escapes visible, at most ``limit`` characters of it."""
    raw = str(text)
    return repr(raw if len(raw) <= limit else raw[: limit - 1] + "…")
