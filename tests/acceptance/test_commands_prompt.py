"""``prompt`` and ``explain-route`` as processes, over what the demo has stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_commands_export import command
from tests.acceptance.test_program import bars_file, fetch, run

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def told(*arguments: str, **variables: str) -> dict[str, Any]:
    done = command(*arguments, "--json", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def test_a_trader_looks_at_what_was_sent_and_changes_it(database_url: str, tmp_path: Path) -> None:
    """What was sent is what render prints; lint, diff, route and costs agree about the same signals."""
    url = ("--database-url", database_url)
    day = ["--demo", "--data", str(bars_file(tmp_path, 900)), "--speed", "0", "--no-dashboard"]
    done = run(*day, *url, "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    stored = await fetch(database_url, "SELECT signal_id FROM llm_messages ORDER BY signal_id")
    assert stored
    for row in (stored[0], stored[-1]):
        which = ("--signal", str(row["signal_id"]))
        would, was = (told("prompt", "render", *which, *url, *more) for more in ((), ("--stored",)))
        assert (would["system"], would["user"]) == (was["system"], was["user"])
        assert would["prompt"]["hash"] == was["prompt_hash"]
    mine = tmp_path / "mine.md"
    (listed,) = told("prompt", "list")["prompts"]
    source = Path(__file__).parents[2] / "llm_integration" / "prompts" / "builtin" / "default.md"
    mine.write_text(
        source.read_text().replace("sober", "patient and sober").replace("version: 1", "version: 2")
    )
    assert told("prompt", "lint", str(mine), "--signals", "5", *url)["stored_signals"] == 5
    compared = told("prompt", "diff", "default", str(mine), "--signals", "4", *url)
    assert compared["a"]["hash"] == listed["hash"] != compared["b"]["hash"]
    assert compared["tokens"] == 4 * compared["signals"][0]["tokens"] > 0
    routed = told(
        "explain-route", "--last", *url, LLM_ROUTES='[{"when": {"symbol": "EUR*"}, "model": "a/b"}]'
    )
    assert (routed["rule"], routed["models"][0]["model"]) == ("route 1", "a/b")
    spent = told("costs", "--simulated", *url)
    assert spent["requests_total"]["spent_usd"] == spent["total"]["spent_usd"]
    assert spent["requests_usd_per_rated"] == spent["total"]["usd_per_rated"]
    assert spent["prompt_parts"]["answered"] == len(stored)


def test_a_closed_reader_and_a_plain_terminal_are_no_trouble() -> None:
    """In a locale without Unicode everything is printed all the same."""
    done = command("prompt", "render", "--system", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("--- system ---\nYou are a sober")
