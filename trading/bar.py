"""One OHLCV bar, as every part of the host passes it on."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

__all__ = ["Bar"]


class Bar(NamedTuple):
    """``timestamp`` is the stamp the feed gave the bar, aware, UTC; prices are in the quote currency."""

    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
