"""Which model is asked: the configured one, then its fallbacks as they turn out to be gone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ModelLadder"]


class ModelLadder:
    """The models in the order of preference and how far down we are."""

    def __init__(self, models: Sequence[str]) -> None:
        self._models = list(dict.fromkeys(models))
        self._position = 0
        self._told: set[str] = set()

    @property
    def current(self) -> str:
        """The model to ask now."""
        return self._models[self._position]

    def names(self) -> str:
        """All of them, for a message."""
        return ", ".join(repr(model) for model in self._models)

    def gone(self, model: str) -> bool:
        """``model`` cannot be had. True if there is another to ask, now or already the current one.

        After the last one the ladder starts again from the top, for the next probe.
        """
        if model != self.current:
            return True
        self._position = (self._position + 1) % len(self._models)
        return self._position > 0

    def first_time(self, model: str) -> bool:
        """True once per model: its loss is told once."""
        news = model not in self._told
        self._told.add(model)
        return news
