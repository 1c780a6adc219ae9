"""The steps of docs/how-to/add-a-column.md, done to a copy of the library and tried with PostgreSQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from llm_integration.record.migrations import NEWEST
from tests.integration.database_helpers import plain

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-a-column.md"

SCRIPT = """
import asyncio, sys
from llm_integration.domain import LLMAnalysis, Opinion, Signal, TaskStatus
from llm_integration.record import DatabaseManager
from llm_integration.record.outbox.entries import KeptOutcome, decode, encode


async def main(url):
    opinion = Opinion("shadow", "a/b", first_token_ms=3.5)
    analysis = LLMAnalysis("s", TaskStatus.COMPLETED, rating=4, first_token_ms=12.5, opinions=(opinion,))
    signal = Signal("s", None, "ES", "BUY", 1.0, 0.9, 1.2)
    kept = KeptOutcome(signal, analysis)
    assert decode("outcome", encode(kept)) == kept
    async with DatabaseManager(url) as db:
        claims = await db.claim_signals([signal], worker_id="w", lease_seconds=30)
        await db.save_outcomes([(analysis, claims["s"])])
        ((_, found),) = [pair async for pair in db.iter_analyses()]
        opinions = await db.get_opinions(["s"])
        shown = await db.get_enhanced_signal_data("s")
    print(found.first_token_ms, opinions["s"][0].first_token_ms, shown["first_token_ms"])


asyncio.run(main(sys.argv[1]))
"""


def block(mark: str) -> str:
    """The code under a mark of the page."""
    (found,) = re.findall(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    return str(found)


def insert_before(file: Path, place: str, lines: str) -> None:
    """Write ``lines`` before the only ``place`` in ``file``."""
    text = file.read_text(encoding="utf-8")
    assert text.count(place) == 1, place
    file.write_text(text.replace(place, lines + place), encoding="utf-8")


async def test_a_column_is_a_field_and_a_migration(database_url: str, tmp_path: Path) -> None:
    """With the page's field, file and line the new value is stored, read back and kept on disk; a database
    that was there before gets the column.
    """
    library = tmp_path / "llm_integration"
    shutil.copytree(ROOT / "llm_integration", library, ignore=shutil.ignore_patterns("__pycache__"))
    field = block("field: CallFacts")
    insert_before(library / "domain.py", "    service_tier: str | None = None\n", field)
    name = "llm_integration/record/sql/llm_first_token.sql"
    (tmp_path / name).write_text(block(f"file: {name}"), encoding="utf-8")
    line = re.sub(r"\d+", str(NEWEST + 1), block("migration"), count=1)
    insert_before(library / "record" / "migrations.py", '}\n"""The files that lead', line)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, database_url],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["12.5", "3.5", "12.5"]
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT max(version) FROM schema_version") == NEWEST + 1
