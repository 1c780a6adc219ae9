"""Which signals may share a request, and what such a request is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["LATER_BARS", "LATER_SUFFIX", "BatchPrompt", "Span", "groups", "in_view_of_later"]

LATER_SUFFIX: Final = ".later-bars"
"""Ends the stored version of a prompt that showed a signal something from after its time."""
LATER_BARS: Final = "asked together with later signals: bars from after this signal's time were in view"
"""The warning to be stored with the result of such a signal."""

Span = tuple[datetime, datetime]
"""From the newest bar that a signal shows to the signal's own time."""


@dataclass(frozen=True, slots=True)
class BatchPrompt:
    """A request to rate several signals.

    ``labels`` are the ids by which the reply is to name the signals, in their order, ``symbols`` what it can
    repeat as their symbols: as they are shown, empty for one that has none. ``shared_tokens_saved``
    estimates the tokens of bars that would be shown again if each signal had its own. ``saw_later`` says
    for each signal whether anything from after its time is in view; if so for one, ``version`` ends with
    ``LATER_SUFFIX``.
    """

    text: str
    system: str
    labels: tuple[str, ...]
    symbols: tuple[str, ...]
    shared_tokens_saved: int
    saw_later: tuple[bool, ...]
    name: str
    version: str
    hash: str


def groups(spans: Sequence[Span | None], limit: int) -> list[list[int]]:
    """Positions of signals that may share a request, at most ``limit`` in each, first come first served.

    Signals may share one when the newest bar of all of them is no later than the time of any: their
    spans have a moment in common. A signal without a time stands alone.
    """
    found: list[tuple[Span | None, list[int]]] = []
    for position, span in enumerate(spans):
        for index, (common, members) in enumerate(found):
            joined = _joined(common, span)
            if joined is not None and len(members) < limit:
                members.append(position)
                found[index] = (joined, members)
                break
        else:
            found.append((span, [position]))
    return [members for _, members in found]


def _joined(common: Span | None, span: Span | None) -> Span | None:
    if common is None or span is None:
        return None
    start, end = max(common[0], span[0]), min(common[1], span[1])
    return (start, end) if start <= end else None


def in_view_of_later(spans: Sequence[Span | None]) -> tuple[bool, ...]:
    """For each signal of a batch, whether another one shows what is from after its time.

    Nobody can tell for a signal without a time; it counts as one that does, unless it is alone.
    """
    newest = max((span[0] for span in spans if span is not None), default=None)
    if len(spans) < 2:
        return (False,) * len(spans)
    return tuple(span is None or (newest is not None and newest > span[1]) for span in spans)
