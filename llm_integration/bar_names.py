"""Which column of a bar is which, by the names that platforms, libraries and languages give them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["PRICES", "Roles", "folded", "is_symbol_name", "price_role", "roles"]

PRICES: Final = ("open", "high", "low", "close")

_PRICE_NAMES: Final = (
    ("open", "o", "open price", "eroffnung", "eroeffnung", "eroffnungskurs", "eroffn", "erster", "ouverture",
     "ouv", "apertura", "abertura", "otwarcie", "openen"),
    ("high", "h", "high price", "hoch", "hochst", "hochstkurs", "tageshoch", "plus haut", "haut", "maximo",
     "max", "massimo", "maxima", "najwyzszy", "hoog"),
    ("low", "l", "low price", "tief", "tiefst", "tiefstkurs", "tagestief", "plus bas", "bas", "minimo", "min",
     "minima", "najnizszy", "laag"),
    ("close", "c", "close price", "close last", "schluss", "schlusskurs", "schlusspreis", "cloture",
     "cierre", "chiusura", "fechamento", "zamkniecie", "slot", "last", "zuletzt", "dernier", "ultimo"),
)  # fmt: skip
"""For open, high, low and close, in the order of preference. An adjusted close is not a close."""
_VOLUME_NAMES: Final = ("volume", "v", "vol", "real volume", "volumen", "volumes", "wolumen")
_TICK_NAMES: Final = ("tick volume", "tickvolume", "tickvol", "tick vol")
"""Counts of ticks, used where the volume itself is 0 or not there."""
_WHOLE_TIME_NAMES: Final = (
    "timestamp", "datetime", "date time", "time stamp", "open time", "opentime", "bar time", "start time",
    "ts event", "gmt time", "utc time", "time utc", "timestamp utc", "datetime utc", "date utc", "utc",
    "local time",
    "zeitstempel", "datum zeit", "date heure", "fecha hora", "unix", "unix time", "unix timestamp",
    "timestamp ms", "epoch", "ts",
)  # fmt: skip
_DAY_NAMES: Final = ("date", "datum", "fecha", "data", "dtyyyymmdd", "trade date", "day", "tag")
_CLOCK_NAMES: Final = ("time", "zeit", "uhrzeit", "heure", "hora", "ora", "godzina", "tijd")
_SYMBOL_NAMES: Final = ("symbol", "ticker", "instrument", "sym", "symbols", "tickers", "asset", "security",
                        "contract", "pair")  # fmt: skip
_MARKS: Final = re.compile(r"[\s_\-./()<>\[\]|\"']+")
_COUNT: Final = re.compile(r"\d+ ")


@dataclass(frozen=True, slots=True)
class Roles:
    """Places of columns. ``time`` has two when a date and a time stand apart; a price that is not there is
    None; ``volumes`` are in the order of preference; ``twice`` names what two columns claim to be."""

    time: tuple[int, ...]
    prices: tuple[int | None, int | None, int | None, int | None]
    volumes: tuple[int, ...]
    symbol: int | None
    twice: tuple[str, ...] = ()
    apart: bool = False
    """Whether the time is a date, a time of day, or both, that an index of times would know better."""
    utc: bool = False
    """Whether the time's name says that it is UTC, whatever zone other times are in."""

    @property
    def priced(self) -> bool:
        """True with all of open, high, low and close."""
        return None not in self.prices


@lru_cache(maxsize=1024)
def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.strip("\ufeff \t").casefold()).replace("ł", "l")
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return _COUNT.sub("", _MARKS.sub(" ", plain).strip(), count=1) if plain else ""


def folded(name: object) -> str:
    """A name without case, accents, marks and a leading count: ``<OPEN>`` and ``1. open`` are ``open``."""
    try:
        text = name if isinstance(name, str) else str(name)
    except Exception:  # a foreign object that cannot be shown
        return ""
    return _folded(text[:64])


def price_role(name: object) -> str | None:
    """``open``, ``high``, ``low``, ``close`` or ``volume`` if that is what ``name`` means."""
    plain = folded(name)
    for role, names in zip(PRICES, _PRICE_NAMES, strict=True):
        if plain in names:
            return role
    return "volume" if plain in _VOLUME_NAMES else None


def is_symbol_name(name: object) -> bool:
    """True if a column of that name says which instrument a row is of."""
    return folded(name) in _SYMBOL_NAMES


def roles(given: Iterable[object]) -> Roles:
    """The places of what a bar has among ``given`` names, whatever else is there."""
    return _roles(tuple(map(folded, given)))


@lru_cache(maxsize=128)
def _roles(names: tuple[str, ...]) -> Roles:
    time, apart = _time(names)
    places = [_first(names, wanted) for wanted in _PRICE_NAMES]
    volumes = [
        place for wanted in (_VOLUME_NAMES, _TICK_NAMES) if (place := _first(names, wanted)) is not None
    ]
    symbol = _first(names, _SYMBOL_NAMES)
    used = [*time, *(place for place in places if place is not None), *volumes]
    twice = tuple(dict.fromkeys(names[place] for place in used if names.count(names[place]) > 1))
    opened, high, low, close = places
    return Roles(
        time, (opened, high, low, close), tuple(volumes), symbol, twice, apart, _says_utc(names, time)
    )


def _says_utc(names: Sequence[str], places: Sequence[int]) -> bool:
    return any({"utc", "gmt"} & set(names[place].split()) for place in places)


def _time(names: Sequence[str]) -> tuple[tuple[int, ...], bool]:
    """Where the time stands: one column, or a date and a time together; and whether these are apart.

    A date alone, with the time beside it ignored, would let every bar of the day pass for closed.
    """
    whole = _first(names, _WHOLE_TIME_NAMES)
    day = _first(names, _DAY_NAMES)
    if whole is not None:  # some exporters write a date and call the time of day beside it a timestamp
        return ((day, whole) if day is not None and names[whole] == "timestamp" else (whole,)), False
    clock = _first(names, (*_CLOCK_NAMES, "t"))
    if clock is not None:
        return ((clock,) if day is None else (day, clock)), True
    if day is not None:
        return (day,), True
    index = _first(names, ("index",))
    if index is None and names and names[0] in ("", "unnamed: 0"):
        index = 0  # that was written without its name
    return ((index,) if index is not None else ()), False


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)
