"""Fills settings and command lines into the pages of ``docs/reference``, from the code that has them.

python -m docs.generate
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from pydantic import BaseModel

from database import DatabaseConfig
from llm_integration.commands.line import COMMANDS, load_command
from llm_integration.config import LLMConfig
from llm_integration.config.budgets import Budget
from llm_integration.config.outcomes import Outcomes
from llm_integration.config.routes import Bounds, Route, Shadow, When
from llm_integration.reference import settings_table
from trading.command_line import build_parser
from trading.config import TradingConfig

__all__ = ["BLOCKS", "PAGES", "command_names", "filled", "help_of"]

PAGES = tuple(Path(__file__).parent / "reference" / name for name in ("settings.md", "commands.md"))
BLOCKS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (LLMConfig, DatabaseConfig, TradingConfig, Route, When, Bounds, Shadow, Budget, Outcomes)
}
PROGRAM = "main_with_database.py"
COLUMNS = "100"

_SETTINGS = re.compile(r"(<!-- settings: (\w+) -->\n).*?(<!-- end of settings -->)", re.S)
_HELP = re.compile(r"(<!-- help: ([\w. -]+) -->\n).*?(<!-- end of help -->)", re.S)


def command_names() -> list[str]:
    """Every command line there is: the program, the commands, and the parts of those that have some."""
    names = [PROGRAM]
    for name in COMMANDS:
        parts = _parts(load_command(name)[1])
        names += [name, *(f"{name} {part}" for part in parts)]
    return names


def help_of(name: str) -> str:
    """What ``--help`` prints."""
    if name == PROGRAM:
        parser: argparse.ArgumentParser = build_parser()
        parser.prog = PROGRAM
    else:
        command, _, part = name.partition(" ")
        parser = load_command(command)[1]
        parser = _parts(parser)[part] if part else parser
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), COLUMNS
    try:
        return parser.format_help()
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _parts(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def filled(page: str) -> str:
    """``page`` with what the code says between its markers."""
    page = _SETTINGS.sub(lambda at: f"{at[1]}\n{settings_table(BLOCKS[at[2]])}\n\n{at[3]}", page)
    return _HELP.sub(lambda at: f"{at[1]}\n```text\n{help_of(at[2]).rstrip()}\n```\n\n{at[3]}", page)


if __name__ == "__main__":
    for file in PAGES:
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
