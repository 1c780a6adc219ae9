"""Whose entry is this: labels as models write them, and echoes that contradict the signal asked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_integration.response_parser.fields import CutText
from llm_integration.response_parser.model import show

__all__ = ["Expected", "Roster", "says", "shown_id"]

_MAX_ID_CHARS: Final = 120
_MAX_ECHO_CHARS: Final = 400
_DECORATION: Final = " \t\r\n\"'`*#<>[](){}:=.,“”‘’"
_PREFIX: Final = re.compile(r"(?:signal|label|id)(?:[ _-]?(?:id|label))?[\s:=#\"'`*_-]{1,8}", re.ASCII)
_SIDES: Final = {
    "buy": "long",
    "long": "long",
    "bull": "long",
    "bullish": "long",
    "sell": "short",
    "short": "short",
    "bear": "short",
    "bearish": "short",
}
_NOT_ALNUM: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Expected:
    """One signal of a batch: the label the model was told, and what it may echo of the signal."""

    label: str
    symbol: str
    signal_type: str = ""


class Roster:
    """The signals a reply is expected to be about."""

    __slots__ = ("_by_label", "_symbols", "ambiguous", "expected")

    def __init__(self, expected: Sequence[Expected]) -> None:
        self.expected = expected
        self._by_label: dict[str, Expected] = {}
        self._symbols = {_folded(signal.symbol) for signal in expected}
        ambiguous = {""}
        for signal in expected:
            key = _folded(signal.label)
            if key in self._by_label:
                ambiguous.add(key)
            self._by_label[key] = signal
        self.ambiguous = {signal.label for signal in expected if _folded(signal.label) in ambiguous}
        """Labels that differ from another one by their case at most: nobody can tell whose entry is meant."""

    def find(self, value: object) -> Expected | None:
        """The signal whose label ``value`` is, in any case and with decoration such as ``#`` or ``id:``."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or isinstance(value, CutText) or len(value) > _MAX_ID_CHARS:
            return None
        bare = _folded(value.strip(_DECORATION))
        prefix = _PREFIX.match(bare)
        signal = self._by_label.get(_folded(value)) or self._by_label.get(bare)
        if signal is None and prefix:
            signal = self._by_label.get(bare[prefix.end() :].strip(_DECORATION))
        return None if signal is None or signal.label in self.ambiguous else signal

    def contradicts(self, signal: Expected, symbols: Sequence[object], sides: Sequence[object]) -> bool:
        """True when what an entry echoes is not what was asked about under its label."""
        return any(not self._same_symbol(signal, echo) for echo in symbols if says(echo)) or any(
            _other_side(signal.signal_type, echo) for echo in sides if says(echo)
        )

    def _same_symbol(self, signal: Expected, echo: object) -> bool:
        """The same but for case and punctuation, unless that makes it another signal's symbol."""
        own, said = _folded(signal.symbol), _said(echo)
        if not own or own == said:
            return True
        if isinstance(echo, int):
            own = own.lstrip("0")
        return said not in self._symbols and _bare(own) == _bare(said)

    def named_in(self, signal: Expected, echoes: Sequence[object]) -> bool:
        """True when one of ``echoes`` is the symbol of ``signal``."""
        return any(self._same_symbol(signal, echo) for echo in echoes if says(echo))


def _bare(symbol: str) -> str:
    """A symbol without punctuation; the symbol itself when it is nothing else."""
    return _NOT_ALNUM.sub("", symbol) or symbol


def shown_id(value: object) -> str:
    """An id that nobody expected, for a list of such: short printable ASCII."""
    return show(value.strip() if isinstance(value, str) else value).strip("'\"")


def says(echo: object) -> bool:
    """True unless ``echo`` is null or an empty text."""
    return echo is not None and not (isinstance(echo, str) and not echo.strip(_DECORATION))


def _said(echo: object) -> str:
    if isinstance(echo, str) and not isinstance(echo, CutText):
        return _folded(echo[:_MAX_ECHO_CHARS].strip(" \t\r\n\"'`*"))
    return str(echo) if isinstance(echo, int) and not isinstance(echo, bool) else ""


def _other_side(signal_type: str, echo: object) -> bool:
    asked, said = _side(_folded(signal_type)), _side(_said(echo))
    return asked is not None and said is not None and asked != said


def _side(words: str) -> str | None:
    sides = {_SIDES[word] for word in _NOT_ALNUM.split(words[:_MAX_ECHO_CHARS]) if word in _SIDES}
    return sides.pop() if len(sides) == 1 else None


def _folded(text: str) -> str:
    """Lower case for ASCII only: the case rules of other scripts turn some of their letters into ASCII."""
    text = text.strip()
    return text.lower() if text.isascii() else text
