"""Statements stand in ``.sql`` files and are loaded by their names."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from llm_integration.record import (
    command_reports,
    command_signals,
    host_queries,
    ledger_queries,
    looks,
    outcomes,
    queries,
    retry,
)
from llm_integration.record.migrations import MIGRATIONS
from llm_integration.record.statements import load, parse

MODULES = (queries, host_queries, ledger_queries, retry, command_reports, command_signals, outcomes, looks)
STATEMENT = re.compile(r"^(WITH|SELECT|INSERT|UPDATE|DELETE)\b")


def statements() -> dict[str, str]:
    """Every statement that a module has taken from its file, by module and name."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if name.isupper() and name[0] != "_" and isinstance(value, str):
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = value
    return found


@pytest.mark.parametrize("name", statements())
def test_a_statement_is_whole(name: str) -> None:
    """No place is left open, no comment is sent to the server, and it is a statement."""
    text = statements()[name]
    assert STATEMENT.match(text), text[:40]
    assert "{{" not in text
    assert "--" not in text


def test_every_file_is_a_migration_or_is_loaded() -> None:
    """None is forgotten, and no name of a file's statement is taken by nobody."""
    files = {file.name for file in resources.files("llm_integration.record").joinpath("sql").iterdir()}
    loaded = {"tasks.sql", "results.sql", "sessions.sql", "reports.sql", "ledger.sql", "retry.sql",
              "commands.sql", "outcomes.sql", "looks.sql"}  # fmt: skip
    migrations = {name for names in MIGRATIONS.values() for name in names}
    assert loaded | {"shared.sql"} <= files - migrations
    taken = {name.partition(".")[2] for name in statements()}
    folder = resources.files("llm_integration.record").joinpath("sql")
    texts = [folder.joinpath(file).read_text(encoding="utf-8") for file in loaded]
    named = {name for text in texts for name in re.findall(r"^-- name: (\w+)$", text, re.M)}
    assert named == taken


def test_a_piece_stands_where_it_is_named() -> None:
    """Pieces may name pieces, come later in the file, and take what they are about."""
    text = """
-- For the reader.

-- name: ONE
-- Why it is so.
SELECT {{what}} FROM t WHERE {{held: $1}} AND {{held: $2::text[]}} AND note = '{}'

-- part: held
(by <> ALL ({{it}}) AND {{given}})

-- name: TWO
SELECT {{what}}
"""
    assert parse(text, {"what": "a, b", "given": "true"}) == {
        "ONE": "SELECT a, b FROM t WHERE (by <> ALL ($1) AND true) AND (by <> ALL ($2::text[]) AND true)"
        " AND note = '{}'",
        "TWO": "SELECT a, b",
    }


@pytest.mark.parametrize("kind", ["name", "part"])
def test_a_name_is_given_once(kind: str) -> None:
    """The later of two would silently take the place of the first."""
    with pytest.raises(ValueError, match=f"the {kind} one is given twice"):
        parse(f"-- {kind}: one\nSELECT 1\n-- {kind}: one\nSELECT 2\n", {})


def test_a_piece_that_nobody_has_is_seen_at_once() -> None:
    """When the module is imported, not when the statement is needed."""
    with pytest.raises(KeyError, match="missing"):
        parse("-- name: ONE\nSELECT {{missing}}\n", {})
    with pytest.raises(KeyError, match="incoming_signals"):
        load("tasks.sql")
