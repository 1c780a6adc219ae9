"""A configuration file with its blocks, as the programs and embedding hosts read it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from llm_integration.config import LLMConfig, environment, load_settings, read_json, suggestion
from llm_integration.errors import ConfigError
from llm_integration.record import DatabaseConfig

__all__ = ["SettingsFile"]

Block = TypeVar("Block", bound=BaseModel)


class SettingsFile:
    """The blocks of a JSON file. Every method raises ConfigError, one line that names file and key."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.folder = self.path.absolute().parent
        self._blocks = read_json(path)

    def __contains__(self, name: str) -> bool:
        return name in self._blocks

    def expect_only(self, names: Iterable[str]) -> None:
        """Refuse a block of another name, and one that is no object."""
        for name in self._blocks:
            if name not in names:
                raise ConfigError(f"{self.path}: unknown block {name!r}{suggestion(name, names)}")
            self._values(name)

    def _values(self, name: str) -> dict[str, Any]:
        block = self._blocks.get(name, {})
        if not isinstance(block, dict):
            raise ConfigError(f"{self.path}: {name!r} must be an object of settings")
        return block

    def llm(self) -> LLMConfig:
        """The ``llm`` block under the environment; without one the defaults."""
        values = self._values("llm")
        return LLMConfig.from_file_values(values, where=f"{self.path}: llm", folder=self.folder)

    def database(self, url: str | None = None, *, named_by: str = "DATABASE_URL") -> DatabaseConfig:
        """The ``database`` block; over its own URL goes ``url``, of ``named_by``, or DATABASE_URL."""
        values = self._values("database")
        if url := url or environment(beside=self.folder).get("DATABASE_URL"):
            load_settings(DatabaseConfig, {"url": url}, named_by)  # a fault is blamed on where it stands
            values = {**values, "url": url}
        return load_settings(DatabaseConfig, values, f"{self.path}: database").in_folder(self.folder)

    def block(self, name: str, kind: type[Block]) -> Block:
        """A block of the host's own; without one the defaults."""
        return load_settings(kind, self._values(name), f"{self.path}: {name}")
