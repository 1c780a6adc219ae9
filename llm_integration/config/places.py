"""Where the relative paths of settings start: in the file's folder, or in the working folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """What a file says is relative to ``folder``, the file's; the settings in ``elsewhere`` came from the
    environment or from code and are relative to the working folder.

    All places are equal: settings are the same when their values are, wherever the file lies.
    """

    folder: Path = field(default=Path(), compare=False)
    elsewhere: frozenset[str] = field(default=frozenset(), compare=False)

    def of(self, setting: str) -> Path:
        """The folder in which a relative path of ``setting`` starts."""
        return Path() if setting in self.elsewhere else self.folder

    def without(self, settings: Collection[str]) -> Places:
        """These places once ``settings`` were given anew in code."""
        return Places(self.folder, self.elsewhere.union(settings))
