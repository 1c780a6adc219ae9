"""The names a prompt file may use, and what stands behind each. The reference for whoever writes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias, Union

__all__ = ["BATCH", "OPEN", "SECTIONS", "SIGNAL", "SINGLE", "SYSTEM", "TEXT", "Shape"]

TEXT: Final = "text"
"""Plain text, cleaned: it can be shown, compared and asked whether it is empty."""
OPEN: Final = "open"
"""Texts by names that only the settings know."""

Shape: TypeAlias = Union[str, "Mapping[str, Shape]", "list[Shape]"]

SIGNAL: Final[Mapping[str, Shape]] = {
    "id": TEXT,  # in a batch the short label to be repeated in the reply
    "position": TEXT,  # 1 for the first of a batch
    "symbol": TEXT,
    "type": TEXT,
    "time": TEXT,
    "entry": TEXT,
    "stop": TEXT,
    "target": TEXT,
    "risk": TEXT,  # distance from entry to stop, in price units and percent
    "reward": TEXT,
    "risk_reward": TEXT,
    "price_check": TEXT,  # empty unless stop and direction contradict each other
    "choppiness_index": TEXT,
    "efficiency_ratio": TEXT,
    "indicators": TEXT,  # one line each, `name: value`; empty when none are configured
    "indicator_rows": [{"name": TEXT, "value": TEXT}],
    "indicator": OPEN,  # by configured name: signal.indicator.rsi_14
    "strategy": TEXT,  # empty when there is none
    "notes": TEXT,  # empty when there are none
    "bars": TEXT,  # one line each, `time,open,high,low,close,volume`; empty when there are none
    "bar_rows": [{"time": TEXT, "open": TEXT, "high": TEXT, "low": TEXT, "close": TEXT, "volume": TEXT}],
    "bar_count": TEXT,
    "no_bars": TEXT,  # why there are no bars; empty when there are some
    "first_bar": TEXT,
    "last_bar": TEXT,
    "table": TEXT,  # in a batch the number of the table with this signal's bars; empty without bars
}

_PROMPT: Final[Mapping[str, Shape]] = {"name": TEXT, "version": TEXT, "scale": TEXT, "language": TEXT}

SYSTEM: Final[Mapping[str, Shape]] = {"prompt": _PROMPT}
SINGLE: Final[Mapping[str, Shape]] = {"prompt": _PROMPT, "signal": SIGNAL}
BATCH: Final[Mapping[str, Shape]] = {
    "prompt": _PROMPT,
    "signals": [SIGNAL],
    "count": TEXT,
    "tables": [{"number": TEXT, "symbol": TEXT, "bars": TEXT}],
}
SECTIONS: Final[Mapping[str, Mapping[str, Shape]]] = {"system": SYSTEM, "user": SINGLE, "batch": BATCH}
"""The three sections and their names. Any other section is shared text: it knows ``prompt`` only."""
