"""Text and numbers from outside, made fit for one line of a prompt."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

from llm_integration.domain import to_price

__all__ = ["clean", "decimals", "finite", "number", "price", "shown_time"]

MISSING = "missing"
MOST_DECIMALS = 12

_BRACKETS = {ord("<"): "‹", ord(">"): "›"}  # so that no text can end the data block it stands in


def clean(value: object, limit: int) -> str:
    """``value`` as one line of visible text, at most ``limit`` characters; "" for None.

    Control, invisible and direction-changing characters become blanks, angle brackets lose their meaning
    as markup. What was cut off is marked by "…". Never raises.
    """
    text = _text(value)
    if len(text) > limit * 4:  # a megabyte is not worth cleaning for the sake of its first line
        text = text[: limit * 4] + "…"
    if not (text.isascii() and text.isprintable()):
        text = "".join(char if _visible(char) else " " for char in text)
    text = " ".join(text.translate(_BRACKETS).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return str(value)
    except Exception:  # a foreign __str__ may do anything, and a huge integer has no text
        return ""


def _visible(char: str) -> bool:
    # Variation selectors count as printable, but carry nothing a reader sees. U+FFFD stands in PostgreSQL for
    # what it cannot store: a signal taken back from there gives the prompt that it gave before.
    hidden = char == "\ufffd" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return char.isprintable() and not hidden


def finite(value: object) -> float | None:
    """``to_price``, without its questions for what is a plain number already; zero has no sign."""
    return value + 0.0 if type(value) is float and isfinite(value) else to_price(value)


def decimals(value: float | None) -> int:
    """How many digits after the point ``value`` needs, looking at ten significant ones."""
    if value is None:
        return 0
    digits, point, places = f"{value:.10g}".partition(".")
    if "e" not in places and "e" not in digits:
        return len(places)
    count = len(places.partition("e")[0]) - int((digits + point + places).partition("e")[2])
    return min(max(count, 0), MOST_DECIMALS)


def price(value: float | None, places: int) -> str:
    """``value`` with ``places`` digits after the point, more if it needs them and fewer if it is huge."""
    if value is None:
        return MISSING
    if not -1e12 < value < 1e12:
        return f"{value:.10g}"
    text = f"{value:.{places}f}"
    return text if float(text) == value else f"{value:.{max(places, decimals(value))}f}"


def number(value: float | None) -> str:
    """``value`` in the fewest of at most ten significant digits."""
    return MISSING if value is None else f"{value:.10g}"


def shown_time(moment: datetime) -> str:
    """An aware UTC time as ``2017-01-02 10:00``, with seconds only when they are not zero."""
    if moment.second or moment.microsecond:
        return moment.isoformat(" ").removesuffix("+00:00")
    return moment.isoformat(" ", "minutes").removesuffix("+00:00")
