"""What a trade is resolved by: where it enters, when it ends at the latest, what it costs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, time, tzinfo
from typing import Final, Literal

__all__ = ["RESOLVER_VERSION", "Entry", "ResolverRules"]

RESOLVER_VERSION: Final = "1"
"""Changes with every change of a rule: outcomes of different versions are not to be compared."""

Entry = Literal["next_open", "close", "signal"]


@dataclass(frozen=True, slots=True)
class ResolverRules:
    """The settings of a resolver; the defaults are those of the report.

    ``entry``: at the open of the next bar, at the close of the signal's bar, or at the price that the signal
    names. ``horizon_bars``: a trade ends at the close of that bar, the first that counts being bar 1; None:
    no limit. ``session_end``: a trade ends at the close of the last bar stamped before the first such time
    of day, in ``zone``, after the stamp of its first bar; None: sessions end nothing. Costs are in price
    units for a round trip, slippage on stops only. Raises ValueError for costs below 0 and a limit below 1.
    """

    entry: Entry = "next_open"
    horizon_bars: int | None = 60
    session_end: time | None = None
    zone: tzinfo = UTC
    spread: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0

    def __post_init__(self) -> None:
        for name in ("spread", "commission", "slippage"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or more in price units, not {value!r}")
        if self.horizon_bars is not None and self.horizon_bars < 1:
            raise ValueError(f"horizon_bars must be 1 or more, not {self.horizon_bars}")

    @property
    def limited(self) -> bool:
        """True when a trade without a target ends too."""
        return self.horizon_bars is not None or self.session_end is not None

    def cost(self, *, stopped: bool) -> float:
        """Of one round trip, in price units."""
        return self.spread + self.commission + (self.slippage if stopped else 0.0)

    def as_json(self) -> dict[str, object]:
        """All of them by name, as JSON knows values."""
        return {
            "entry": self.entry,
            "horizon_bars": self.horizon_bars,
            "session_end": None if self.session_end is None else f"{self.session_end:%H:%M}",
            "zone": str(self.zone),
            "spread": float(self.spread),
            "commission": float(self.commission),
            "slippage": float(self.slippage),
        }

    def described(self) -> str:
        """All of them in one line, zero costs too."""
        entry = {
            "next_open": "the next bar's open",
            "close": "the close of the signal's bar",
            "signal": "the price that the signal names",
        }[self.entry]
        limit = "no limit of bars" if self.horizon_bars is None else f"{self.horizon_bars} bars at most"
        session = "" if self.session_end is None else f", or until {self.session_end:%H:%M} {self.zone}"
        none = "" if self.spread or self.commission or self.slippage else " (nothing is taken off)"
        return (
            f"entry at {entry}; {limit}{session}; stop before target inside a bar; costs in price units:"
            f" spread {self.spread:g}, commission {self.commission:g}, slippage on stops"
            f" {self.slippage:g}{none}; resolver {RESOLVER_VERSION}"
        )
