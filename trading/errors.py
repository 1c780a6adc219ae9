"""Every error the host's parts raise on purpose. Each message is one line, for the person who reads it.

TradingError
├── UsageError       something the user has to change, on the command line or in the settings
└── IndicatorError   an indicator's name or period is unknown; says what is allowed

BarDataError comes from the library's reader of bar files, where a CSV of bars is unusable.
"""

from __future__ import annotations

from llm_integration.bar_files import BarDataError

__all__ = ["BarDataError", "IndicatorError", "TradingError", "UsageError"]


class TradingError(Exception):
    """Root of the tree."""


class UsageError(TradingError):
    """Something the user has to change; shown as one line, exit status 2."""


class IndicatorError(TradingError, ValueError):
    """No indicator goes by that name, or its period is out of bounds."""
