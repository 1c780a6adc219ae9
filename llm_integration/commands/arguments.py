"""Arguments that several commands take: moments and numbers."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

from llm_integration.domain import parse_time

__all__ = ["count", "since"]


def since(text: str) -> datetime:
    """A moment: ``2026-01-31``, ``2026-01-31T14:00`` (UTC), or how long ago: ``90m``, ``24h``, ``7d``."""
    if match := re.fullmatch(r"([0-9]{1,5})([mhd])", text.strip()):
        unit = {"m": "minutes", "h": "hours", "d": "days"}[match[2]]
        return datetime.now(UTC) - timedelta(**{unit: int(match[1])})
    moment = parse_time(text)
    if moment is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time like 2026-01-31T14:00 nor like 24h or 7d"
        )
    return moment


def count(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
