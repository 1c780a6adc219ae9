"""Every error the host's parts raise on purpose. Each message is one line, for the person who reads it.

TradingError
└── IndicatorError   an indicator's name or period is unknown; says what is allowed

BarDataError comes from the library's reader of bar files, where a CSV of bars is unusable.
"""

from __future__ import annotations

from llm_integration.bar_files import BarDataError

__all__ = ["BarDataError", "IndicatorError", "TradingError"]


class TradingError(Exception):
    """Root of the tree."""


class IndicatorError(TradingError, ValueError):
    """No indicator goes by that name, or its period is out of bounds."""
