"""What is said about the shapes in which a host hands things over: each kind once, however often it comes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from llm_integration.bar_forms import Remark

__all__ = ["Remarks"]

MOST_KINDS: Final = 256
"""Kinds that are remembered; a host that brings more shapes than this is told no more about them."""


class Remarks:
    """Logs a warning for every new kind of remark. ``zone`` is that of times that name none."""

    def __init__(self, logger: logging.Logger, zone: str) -> None:
        self._logger = logger
        self._zone = zone
        self._said: set[str] = set()

    def tell(self, remarks: Iterable[Remark], *, naive: bool = False) -> None:
        """Log what was not logged before; ``naive``: times without a zone were read."""
        for remark in remarks:
            if self._new(remark.kind):
                self._logger.warning("%s", remark.text)
        if naive and self._new("naive"):
            self._logger.warning(
                "times without a zone are taken as %s; bars_timezone names another", self._zone
            )

    def _new(self, kind: str) -> bool:
        if kind in self._said or len(self._said) >= MOST_KINDS:
            return False
        self._said.add(kind)
        return True
