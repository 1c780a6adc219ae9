"""ModelWatch: says what is to be said about the models in use, once, and again when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from llm_integration.model_catalogue.catalogue import ModelCatalogue

__all__ = ["ModelWatch"]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3_600.0
"""Time between two looks while the server's list stays the same: dates come near by themselves."""


class ModelWatch:
    """Watches the models of ``settings``, each with the setting that names it, in ``catalogue``.

    ``run`` is to be owned as a task; its first look needs no network. ``today`` gives the day in UTC.
    """

    def __init__(
        self,
        catalogue: ModelCatalogue,
        settings: Mapping[str, str],
        *,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._catalogue, self._settings, self._today = catalogue, settings, today
        self._told: list[str] = []
        self.gone: tuple[str, ...] = ()
        """What is to be done about models that are not served any more, a line each."""

    def look(self) -> None:
        """Log each line that did not stand at the last look; a fault that comes back is told again."""
        day = self._today()
        lines = self._catalogue.warnings(self._settings, day, self._settings)
        for line in lines:
            if line not in self._told:
                logger.warning("%s", line)
        self._told = lines
        gone = [model for model in self._settings if self._catalogue.is_gone(model, day)]
        self.gone = tuple(self._catalogue.warnings(gone, day, self._settings))

    async def run(self) -> None:
        """Look now, whenever the server's list was read anew, and every hour; ends only by cancellation."""
        while True:
            self.look()
            await self._catalogue.changed(LOOK_SECONDS)
