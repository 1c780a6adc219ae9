"""The snapshot that is shown, and how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["DashboardState", "RatedSignal", "bar_time", "count", "duration", "money"]


@dataclass(frozen=True, slots=True)
class RatedSignal:
    """One signal that ended: its rating from 1 to 5, or None and why. Text may come from anywhere."""

    timestamp: datetime | None
    symbol: str
    signal_type: str
    rating: int | None = None
    choppiness: str | None = None
    method: str = ""
    status: str = "completed"
    text: str = ""


@dataclass(frozen=True, slots=True)
class DashboardState:
    """Everything the dashboard knows. None means unknown, or unlimited for a limit.

    ``llm_note`` says why the LLM is off, or what keeps it waiting while it is on. ``recent`` and
    ``messages`` are shown from the end, newest last.
    """

    symbol: str = ""
    strategy: str = ""
    session_id: str = ""
    simulated: bool = False
    elapsed_seconds: float = 0.0
    bars: int = 0
    total_bars: int | None = None
    following: bool = False
    bars_per_second: float | None = None
    last_bar_at: datetime | None = None
    last_close: float | None = None
    longest_bar_ms: float | None = None
    signals: int = 0
    llm_on: bool = False
    llm_note: str = ""
    model: str = ""
    queued: int = 0
    in_flight: int = 0
    rated: int = 0
    unrated: int = 0
    failed: int = 0
    expired: int = 0
    requests_this_minute: int = 0
    requests_limit: int | None = None
    tokens_this_minute: int = 0
    tokens_limit: int | None = None
    cost_usd: Decimal | float | None = None
    database: str = ""
    database_ok: bool = True
    recent: tuple[RatedSignal, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def share_done(self) -> float | None:
        """Part of the file that was traded, 0 to 1; None when nobody knows how long it is."""
        return min(1.0, self.bars / self.total_bars) if self.total_bars else None

    @property
    def seconds_left(self) -> float | None:
        """At the present speed; None when there is no telling."""
        if not self.total_bars or not self.bars_per_second:
            return None
        return max(0, self.total_bars - self.bars) / self.bars_per_second


def count(number: float) -> str:
    """With separators, and shortened where digits stop mattering: 6,225 but 1.25M."""
    return f"{number:,.0f}" if number < 10_000_000 else f"{number / 1e6:,.1f}M"


def money(amount: Decimal | float | None) -> str:
    """US dollars with as many decimals as small amounts need."""
    if amount is None:
        return "unknown"
    return f"${amount:,.2f}" if amount == 0 or amount >= 1 else f"${amount:.6f}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, days in front when there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days}d " if days else "") + f"{hour:02}:{minute:02}:{second:02}"


def bar_time(moment: datetime | None) -> str:
    """To the minute, in the bars' own UTC."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
