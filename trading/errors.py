"""Every error the host's parts raise on purpose. Each message is one line, for the person who reads it.

TradingError
├── BarDataError     a CSV of bars is unusable; names the file, the line and the problem
└── IndicatorError   an indicator's name or period is unknown; says what is allowed
"""

from __future__ import annotations

__all__ = ["BarDataError", "IndicatorError", "TradingError"]


class TradingError(Exception):
    """Root of the tree."""


class BarDataError(TradingError, ValueError):
    """The bars cannot be traded on: missing, malformed, out of order, or changed under the reader."""


class IndicatorError(TradingError, ValueError):
    """No indicator goes by that name, or its period is out of bounds."""
