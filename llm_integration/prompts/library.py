"""PromptLibrary: prompts by name, the user's before the built-in ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from llm_integration.config.names import is_file_name
from llm_integration.errors import ConfigError
from llm_integration.prompts.front_matter import refuse
from llm_integration.prompts.template import PromptTemplate

__all__ = ["DEFAULT_PROMPT", "PromptLibrary", "builtin_prompt"]

DEFAULT_PROMPT: Final = "default"
SUFFIX: Final = ".md"
BUILTIN: Final = Path(__file__).parent / "builtin"


def builtin_prompt(name: str = DEFAULT_PROMPT) -> PromptTemplate:
    """The prompt ``name`` that ships with the library; read and compiled once in a process."""
    return _builtin(name)


@lru_cache(maxsize=8)
def _builtin(name: str) -> PromptTemplate:
    return PromptTemplate.load(BUILTIN / f"{name}{SUFFIX}")


class PromptLibrary:
    """Finds prompts in ``directory``, if one is given, and then among the built-in ones.

    ``files`` says where the files lie that settings name, by the name that stands there.
    Files are read when a prompt is first asked for, and kept. Reading blocks, so a host asks before its loop
    is busy.
    """

    def __init__(self, directory: str | Path | None = None, files: Mapping[str, Path] | None = None) -> None:
        self.directory = None if directory is None else Path(directory)
        self._files = files or {}
        self._known: dict[str, PromptTemplate] = {}

    def get(self, name: str = DEFAULT_PROMPT) -> PromptTemplate:
        """The prompt ``name``, or the one in the file ``name`` if it has a ``/`` or ends with ``.md``.

        A relative path is looked for in the library's folder first, then where ``files`` says, or in the
        working folder. Raises ConfigError when there is none,
        when it is faulty, or when the file ``x.md`` in a folder says that its name is ``y``.
        """
        if name not in self._known:
            self._known[name] = self._load(name)
        return self._known[name]

    def names(self) -> list[str]:
        """The names that ``get`` knows, in order."""
        folders = [folder for folder in (self.directory, BUILTIN) if folder is not None]
        return sorted(
            {file.stem for folder in folders for file in folder.glob(f"*{SUFFIX}") if _named(file.stem)}
        )

    def file_of(self, name: str) -> Path | None:
        """The file that ``name`` means; None for a built-in prompt, or a name that there is not."""
        if is_file_name(name):
            inside = None if self.directory is None else self.directory / name
            there = inside is not None and inside.is_file()
            return inside if there else self._files.get(name, Path(name))
        own = self.directory / f"{name}{SUFFIX}" if self.directory is not None and _named(name) else None
        return own if own is not None and own.is_file() else None

    def _load(self, name: str) -> PromptTemplate:
        file = self.file_of(name)
        if file is not None:
            found = PromptTemplate.load(file)
            return found if is_file_name(name) else _checked(found, name)
        if not _named(name):
            raise ConfigError(f"{name[:80]!r} cannot be the name of a prompt")
        if (BUILTIN / f"{name}{SUFFIX}").is_file():
            return _checked(builtin_prompt(name), name)
        raise ConfigError(f"there is no prompt {name!r}{self._places()} (known: {', '.join(self.names())})")

    def _places(self) -> str:
        return "" if self.directory is None else f" in {self.directory} or among the built-in ones"


def _named(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) is not None


def _checked(template: PromptTemplate, name: str) -> PromptTemplate:
    if template.name != name:
        refuse(template.where, 2, f"the file's name says {name!r}, the name inside says {template.name!r}")
    return template
