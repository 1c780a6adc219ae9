"""PromptTemplate: a prompt file, read, checked and ready to be rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from jinja2 import UndefinedError

from llm_integration.errors import ConfigError
from llm_integration.prompts.engine import WORK, Compiled, OverBudgetError, Work, compile_prompt
from llm_integration.prompts.expressions import Problem
from llm_integration.prompts.front_matter import normalised, read_front_matter, refuse

__all__ = ["PromptTemplate", "PromptText", "read_prompt_file"]

SHORT_HASH: Final = 12
MOST_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class PromptText:
    """What is sent for one request: the system message and the user's message."""

    system: str
    user: str


class PromptTemplate:
    """One prompt file. Immutable; two files with the same text, line ends aside, have the same hash.

    The file begins with a block of ``name``, ``version``, ``scale`` and ``language`` between two lines
    ``---`` and goes on with the sections ``system``, ``user`` and, if it is to be used for several signals at
    once, ``batch``. Which names stand for what is in ``names.py``.
    """

    __slots__ = ("_compiled", "_facts", "facts", "hash", "source", "system", "where")

    def __init__(self, text: str, where: str = "prompt") -> None:
        """Raises ConfigError with ``where``, the line and the fault."""
        self.source = normalised(text)
        self.where = where
        self.facts, body = read_front_matter(self.source, where)
        self.hash = hashlib.sha256(self.source.encode("utf-8", "surrogatepass")).hexdigest()
        self._compiled = _compiled(body, where)
        self._facts = {
            "name": self.facts.name,
            "version": self.facts.version,
            "scale": self.facts.scale,
            "language": self.facts.language,
        }
        self.system = self._section("system", {})

    @classmethod
    def from_text(cls, text: str, where: str = "prompt") -> PromptTemplate:
        """The prompt in ``text``; ``where`` is what error messages call it."""
        return cls(text, where)

    @classmethod
    def load(cls, path: str | Path) -> PromptTemplate:
        """The prompt in the file ``path``. Raises ConfigError for whatever is wrong with it."""
        return cls(read_prompt_file(Path(path)), str(path))

    @property
    def name(self) -> str:
        """The name in the file's head."""
        return self.facts.name

    @property
    def version(self) -> str:
        """The version in the file's head."""
        return self.facts.version

    @property
    def short_hash(self) -> str:
        """The first twelve digits of the hash, for people."""
        return self.hash[:SHORT_HASH]

    @property
    def can_batch(self) -> bool:
        """Whether the file has a section for several signals in one request."""
        return "batch" in self._compiled.used

    def used(self, section: str) -> frozenset[str]:
        """Every name that occurs in a section, as ``signal`` and ``bar_rows``."""
        return self._compiled.used.get(section, frozenset())

    def render(self, values: Mapping[str, Any]) -> PromptText:
        """The request for one signal; ``values`` holds ``signal``.

        Raises ConfigError when the file asks for a value that is not there, or is too much work.
        """
        return PromptText(self.system, self._section("user", values))

    def render_batch(self, values: Mapping[str, Any]) -> PromptText:
        """The request for several signals; ``values`` holds ``signals``, ``tables`` and ``count``.

        Raises ConfigError as ``render`` does, and when the file has no section for it.
        """
        if not self.can_batch:
            raise ConfigError(f"{self.where}: the prompt {self.name} has no section batch")
        return PromptText(self.system, self._section("batch", values))

    def _section(self, section: str, values: Mapping[str, Any]) -> str:
        try:
            return self._compiled.render(section, {**values, "prompt": self._facts, WORK: Work()})
        except (OverBudgetError, UndefinedError, TypeError, ValueError) as error:
            self._refuse(section, error)

    def _refuse(self, section: str, error: Exception) -> NoReturn:
        line = self._compiled.line_of(error) or self.facts.first_line
        refuse(self.where, line, f"the section {section} cannot be written: {error}")

    def __repr__(self) -> str:
        return f"PromptTemplate({self.name!r}, version={self.version!r}, hash={self.short_hash})"


def read_prompt_file(path: Path) -> str:
    """The text of a prompt file. Raises ConfigError when it is missing, too large or no UTF-8 text."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ConfigError(f"{path}: no such prompt file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(f"{path}: a prompt file has at most {MOST_BYTES} bytes")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        refuse(str(path), line, "not UTF-8 text")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def _compiled(body: str, where: str) -> Compiled:
    compiled, problems = compile_prompt(body)
    if compiled is None:
        refuse(where, problems[0].line, _all(problems))
    return compiled


def _all(problems: list[Problem]) -> str:
    more = len(problems) - 1
    return problems[0].message + (f" (and {more} more)" if more else "")
