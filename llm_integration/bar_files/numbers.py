"""How a file writes numbers: the sign of the decimals, and what stands between the thousands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["NumberStyle", "number_style"]

_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}(\1\d{3})*", re.ASCII)
_NOISE: Final = str.maketrans("", "", " \u00a0\u202f\u2009'’$€£")
"""Blanks and apostrophes between thousands, and signs of currencies."""
_MULTIPLES: Final = {"k": 1e3, "m": 1e6, "b": 1e9}


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """``decimal`` is the sign before the decimals, ``grouping`` the one between thousands, if it is the
    other one of the two."""

    decimal: str = "."
    grouping: str = ""

    def number(self, cell: str) -> float:
        """The number of a cell; raises ValueError for what is none."""
        if self.decimal == "." and not self.grouping:
            try:
                return float(cell)
            except ValueError:
                pass  # perhaps the first one with thousands
        text = cell.translate(_NOISE)
        other = "," if self.decimal == "." else "."
        if self.grouping or -1 < text.rfind(other) < text.find(self.decimal):
            text = text.replace(other, "")
        return float(text.replace(",", ".") if self.decimal == "," else text)

    def volume(self, cell: str) -> float:
        """A volume, which may end in K, M or B; raises ValueError for what is none."""
        text = cell.translate(_NOISE)
        multiple = _MULTIPLES.get(text[-1:].casefold())
        if multiple is not None:
            return self.number(text[:-1]) * multiple
        groups = _THOUSANDS.fullmatch(text)
        return (
            float(text.replace(groups[1], "")) if groups and groups[1] != self.decimal else self.number(text)
        )


def number_style(cells: Iterable[str], delimiter: str) -> NumberStyle:
    """The style of a file's prices, judged by all of them; raises ValueError when there are two."""
    dotted: list[str] = []
    commaed: list[str] = []
    for cell in cells:
        text = cell.translate(_NOISE).strip()
        dot, comma = text.rfind("."), text.rfind(",")
        if dot >= 0 and comma >= 0:
            return NumberStyle(".", ",") if dot > comma else NumberStyle(",", ".")
        if comma >= 0:
            commaed.append(text)
        elif dot >= 0:
            dotted.append(text)
    if not commaed:
        return NumberStyle(",", ".") if any(text.count(".") > 1 for text in dotted) else NumberStyle()
    commas_group = all(map(_THOUSANDS.fullmatch, commaed))
    if any(text.count(",") > 1 for text in commaed) or (commas_group and dotted):
        return NumberStyle(".", ",")
    if commas_group and delimiter != ";":  # who separates by semicolons does so for the commas' sake
        raise ValueError(f"numbers such as {commaed[0]!r} can be read in two ways; write {commaed[0][:-4]}.5")
    return NumberStyle(",", "." if dotted else "")
