"""The figures of a run, as the dashboard shows them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_integration import Bar

__all__ = ["Progress", "sidecar_figures"]

COUNTS = ("queued", "in_flight", "rated", "unrated", "failed", "expired")


@dataclass(slots=True)
class Progress:
    """How far the run is. The longest bar is the longest time one bar kept the loop, in seconds."""

    bars: int = 0
    total_bars: int | None = None
    signals: int = 0
    last_bar_at: datetime | None = None
    longest_bar_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def had(self, bar: Bar, *, signal: bool) -> None:
        """One more bar, with or without a signal."""
        self.bars += 1
        self.signals += signal
        self.last_bar_at = bar.timestamp

    def took(self, seconds: float) -> None:
        """So long a bar has kept the loop."""
        self.longest_bar_seconds = max(self.longest_bar_seconds, seconds)

    def shown(self) -> dict[str, Any]:
        """The same by the names that DashboardState has for it."""
        elapsed = time.monotonic() - self.started
        return {
            "elapsed_seconds": elapsed,
            "bars": self.bars,
            "total_bars": self.total_bars,
            "bars_per_second": self.bars / elapsed if elapsed > 1 else None,
            "last_bar_at": self.last_bar_at,
            "longest_bar_ms": self.longest_bar_seconds * 1000,
            "signals": self.signals,
        }


def sidecar_figures(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """What the sidecar says of itself, by the names of DashboardState; nothing while there is none."""
    if "processor" not in statistics:
        return {}
    usage = statistics["processor"]["limiter"]
    return {
        **{name: statistics[name] for name in COUNTS},
        "model": statistics["processor"]["model"],
        "requests_this_minute": usage["requests"],
        "requests_limit": usage["request_limit"],
        "tokens_this_minute": usage["tokens"],
        "tokens_limit": usage["token_limit"],
        "cost_usd": statistics["cost_usd"],
    }
