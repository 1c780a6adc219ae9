"""A trade, and what became of it: plain objects, for those who need no columns. Pure.

Times are whole microseconds since 1970 in UTC, prices floats in the quote currency; what is missing is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from llm_integration.worth.rules import RESOLVER_VERSION

__all__ = ["BARS", "HOST", "Exit", "Outcome", "OutcomeRecord", "Reason", "Trade", "side_of"]

BARS: Final = "bars"
HOST: Final = "host"
"""Sources of an outcome: told from bars, or reported by the host."""


class Exit(StrEnum):
    """How a trade ended. ``open``: not at the end of the bars; it has no result."""

    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    OPEN = "open"
    UNRESOLVABLE = "unresolvable"


class Reason(StrEnum):
    """Why nothing can be said about a trade, in the order in which it is looked for."""

    NO_SIDE = "no_side"
    NO_TIME = "no_time"
    NO_STOP = "no_stop"
    NO_TARGET = "no_target_without_time_limit"
    ZERO_RISK = "zero_risk"
    STOP_SIDE = "stop_on_wrong_side"
    NO_ENTRY = "no_entry_price"
    NO_SIGNAL_BAR = "no_bar_of_the_signal"
    ENTRY_AT_STOP = "entry_at_or_beyond_stop"
    ENTRY_AT_TARGET = "entry_at_or_beyond_target"
    NO_BARS = "no_bars"


def side_of(signal_type: str) -> int:
    """1 for a signal to buy, -1 for one to sell, 0 for neither."""
    kind = signal_type.strip().upper()
    return int(kind.startswith(("BUY", "LONG"))) - int(kind.startswith(("SELL", "SHORT")))


@dataclass(frozen=True, slots=True)
class Trade:
    """A signal as the resolver sees it; ``entry_price`` is its own, ``fill_*`` are what a host reports."""

    signal_id: str
    side: int
    at: int | None
    stop: float | None
    target: float | None = None
    entry_price: float | None = None
    fill_price: float | None = None
    fill_at: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trade. ``r_*``, ``mfe`` (0 or more) and ``mae`` (0 or less) count in the risk taken.

    Of an ``open`` trade ``bars_held`` are those so far and there is no result. ``reward_risk`` is that of
    the actual entry, None without a target.
    """

    signal_id: str
    exit: Exit
    reason: Reason | None = None
    entry_at: int | None = None
    entry_price: float | None = None
    exit_at: int | None = None
    exit_price: float | None = None
    bars_held: int = 0
    r_gross: float | None = None
    r_net: float | None = None
    r_optimistic: float | None = None
    mfe: float | None = None
    mae: float | None = None
    ambiguous: bool = False
    reward_risk: float | None = None
    source: str = BARS
    resolver_version: str = RESOLVER_VERSION

    @property
    def resolved(self) -> bool:
        """True when there is a result."""
        return self.exit in (Exit.STOP, Exit.TARGET, Exit.TIME)


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """An outcome as it is kept: with the rules and costs that it was counted by, and the host's fill.

    ``rules`` is what ``ResolverRules.as_json`` gives. Of a host's outcome ``mfe`` and ``mae`` are None, and
    ``bars_held`` is 0, where no bars were followed.
    """

    outcome: Outcome
    rules: Mapping[str, object]
    fill_price: float | None = None
    fill_at: int | None = None

    @property
    def corrects(self) -> bool:
        """Whether it may take the place of an outcome that was told from bars before."""
        return self.outcome.source == HOST or self.fill_price is not None
