"""The last results of a model and prompt, counted."""

from __future__ import annotations

from collections import deque

__all__ = ["VALUES", "Results"]

VALUES = 5
"""Ratings are the integers from 1 to 5."""


class Results:
    """The last results of a kind, up to a number, counted."""

    __slots__ = ("_kept", "_most", "counts", "unrated")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: deque[int] = deque()
        self.counts = [0] * VALUES
        self.unrated = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def rated(self) -> int:
        return len(self._kept) - self.unrated

    def add(self, result: int) -> int | None:
        """Take a rating (0: none); what falls out at the other end."""
        self._kept.append(result)
        self._count(result, 1)
        if len(self._kept) <= self._most:
            return None
        oldest = self._kept.popleft()
        self._count(oldest, -1)
        return oldest

    def copy(self) -> Results:
        other = Results(self._most)
        other._kept, other.counts, other.unrated = self._kept.copy(), [*self.counts], self.unrated
        return other

    def extend(self, results: Results) -> None:
        for result in results._kept:
            self.add(result)

    def _count(self, result: int, step: int) -> None:
        if result:
            self.counts[result - 1] += step
        else:
            self.unrated += step
