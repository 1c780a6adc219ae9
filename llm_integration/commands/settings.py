"""Configuration and connection, as every command of this program reads and opens them."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from llm_integration.config import LLMConfig, environment, load_settings, read_json, suggestion
from llm_integration.errors import ConfigError
from llm_integration.record import DatabaseConfig, EmbeddedPostgres
from llm_integration.record.command_store import CommandDatabase

__all__ = ["Settings", "add_common_arguments", "load", "open_database", "postgres_url"]

DEFAULT_FILE = Path("config.json")
BLOCKS = ("llm", "database", "trading")
STATEMENT_SECONDS = 60.0
"""A person waits for a command, no trading loop does: statements over everything may take their time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works with. ``file`` None: there is no configuration file."""

    file: Path | None
    llm: LLMConfig
    database: DatabaseConfig


def add_common_arguments(parser: argparse.ArgumentParser, *, json: bool = True, tables: bool = False) -> None:
    """``--config``, ``--database-url`` and ``--json``. ``tables``: without ``--json`` it prints tables."""
    parser.set_defaults(tables=tables)
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="settings (default: config.json in this folder)")
    add("--database-url", metavar="URL", help="postgresql://... or 'embedded' (default: database.url)")
    if json:
        add("--json", action="store_true", help="print JSON for scripts instead of tables")


def load(args: argparse.Namespace) -> Settings:
    """Settings from the command line over the environment over the file. Raises ConfigError.

    Without ``--config`` and without a ``config.json`` in this folder the defaults hold.
    """
    file: Path | None = args.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    blocks = {} if file is None else read_json(file)
    for name, block in blocks.items():
        if name not in BLOCKS:
            raise ConfigError(f"{file}: unknown block {name!r}{suggestion(name, BLOCKS)}")
        if not isinstance(block, dict):
            raise ConfigError(f"{file}: {name!r} must be an object of settings")
    folder = None if file is None else file.absolute().parent
    where = f"{file or 'defaults'}: llm"
    llm = LLMConfig.from_file_values(blocks.get("llm", {}), where=where, folder=folder)
    database = dict(blocks.get("database", {}))
    where = "--database-url" if args.database_url else "DATABASE_URL"
    if url := args.database_url or environment(beside=folder).get("DATABASE_URL"):
        load_settings(DatabaseConfig, {"url": url}, where)  # a fault is blamed on where it stands
        database["url"] = url
    checked = load_settings(DatabaseConfig, database, f"{file or 'command line'}: database")
    return Settings(file, llm, checked.in_folder(folder))


@asynccontextmanager
async def postgres_url(settings: Settings) -> AsyncIterator[SecretStr]:
    """The URL to connect to; the embedded server runs meanwhile if it is the one that is meant."""
    if not settings.database.embedded:
        yield settings.database.url
        return
    async with EmbeddedPostgres() as server:
        yield SecretStr(server.dsn)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[CommandDatabase]:
    """The connected database. Raises DatabaseError."""
    async with postgres_url(settings) as url:
        patient = settings.database.model_copy(
            update={
                "statement_timeout_seconds": max(
                    STATEMENT_SECONDS, settings.database.statement_timeout_seconds
                )
            }
        )
        async with CommandDatabase.from_config(patient, url) as database:
            yield database
