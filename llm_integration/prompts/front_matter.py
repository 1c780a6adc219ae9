"""The block of facts at the head of a prompt file, and the text below it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from llm_integration.errors import ConfigError

__all__ = ["SCALE", "FrontMatter", "normalised", "read_front_matter", "refuse"]

FENCE: Final = "---"
SCALE: Final = "1-5"
"""The only scale that the parser reads and the tables take."""
MOST_CHARS: Final = 65_536
"""Longest prompt file, in characters."""

_RULES: Final = {
    "name": (r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "letters, digits, '_', '.' and '-', at most 64 of them"),
    "version": (r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", "letters, digits, '_', '.' and '-', at most 32 of them"),
    "scale": (re.escape(SCALE), f"{SCALE}, the only scale there is"),
    "language": (r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", "a language code such as en or pt-BR"),
    "description": (r"[^\x00-\x1f\x7f]{0,200}", "one line of at most 200 characters"),
}
_REQUIRED: Final = ("name", "version", "scale", "language")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a prompt file says about itself. ``first_line`` is the line number at which its text begins."""

    name: str
    version: str
    scale: str
    language: str
    description: str = ""
    first_line: int = 1


def normalised(text: str) -> str:
    """``text`` as it is hashed: no byte order mark, ``\\n`` as line end, one of them at the end."""
    unified = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return unified.rstrip("\n") + "\n"


def refuse(where: str, line: int, message: str) -> NoReturn:
    """Raise the ConfigError of a fault in ``where`` at ``line``."""
    raise ConfigError(f"{where}:{line}: {message}") from None


def read_front_matter(text: str, where: str) -> tuple[FrontMatter, str]:
    """The facts and the body of a normalised prompt file; the body is led by as many empty lines as were
    read, so that line numbers stay those of the file.

    Raises ConfigError with ``where``, the line and what is allowed.
    """
    if len(text) > MOST_CHARS:
        refuse(where, 1, f"a prompt file has at most {MOST_CHARS} characters, this one has {len(text)}")
    lines = text.split("\n")
    if lines[0].rstrip() != FENCE:
        refuse(where, 1, f"a prompt file begins with a line {FENCE}, then name, version, scale and language")
    end = next((index for index, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), None)
    if end is None:
        refuse(where, 1, f"the block of facts has no closing line {FENCE}")
    facts = _facts(lines[1:end], where)
    missing = [key for key in _REQUIRED if key not in facts]
    if missing:
        refuse(where, end + 1, f"{missing[0]} is missing; it is {_RULES[missing[0]][1]}")
    return FrontMatter(**facts, first_line=end + 2), "\n" * (end + 1) + "\n".join(lines[end + 1 :])


def _facts(lines: list[str], where: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or key not in _RULES:
            refuse(where, number, f"expected one of {', '.join(_RULES)}, a colon and a value")
        if key in facts:
            refuse(where, number, f"{key} is given twice")
        pattern, allowed = _RULES[key]
        if not re.fullmatch(pattern, value):
            refuse(where, number, f"{key} should be {allowed}")
        facts[key] = value
    return facts
