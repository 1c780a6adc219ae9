"""The README's example, run line by line as somebody else's process would."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.integration.database_helpers import plain
from tests.unit.test_readme import ROOT, embedding_example


async def test_the_embedding_example_rates_its_signal(tmp_path: Path) -> None:
    """Exactly the README's lines, with the simulator in the place of OpenRouter: one rating, one row."""
    script = tmp_path / "mine.py"
    script.write_text(embedding_example(), encoding="utf-8")
    async with OpenRouterSimulator(seed=1) as simulator:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-W", "error::ResourceWarning", str(script)],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
            env={
                **os.environ, "PYTHONPATH": str(ROOT), "OPENROUTER_API_KEY": SIMULATED_KEY,
                "OPENROUTER_BASE_URL": simulator.base_url,
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("ES-1 ")
        assert sum(request.method == "POST" for request in simulator.requests) == 1
    with (tmp_path / "output/llm_enhanced" / "llm_signals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["signal_id"] for row in rows] == ["ES-1"]
    assert rows[0]["llm_rating"] in "12345"


@pytest.mark.postgres
async def test_the_example_with_postgresql_stores_its_rating(tmp_path: Path, database_url: str) -> None:
    """Exactly the lines of the library's README: a signal, its task and its result are in the tables."""
    readme = (ROOT / "llm_integration" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- embedding with postgresql -->\n```python\n(.*?)```", readme, re.S)
    assert found
    script = tmp_path / "mine.py"
    script.write_text(found[1], encoding="utf-8")
    async with OpenRouterSimulator(seed=1) as simulator:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-W", "error::ResourceWarning", str(script)],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
            env={
                **os.environ, "PYTHONPATH": str(ROOT), "OPENROUTER_API_KEY": SIMULATED_KEY,
                "OPENROUTER_BASE_URL": simulator.base_url, "DATABASE_URL": database_url,
            },
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    async with plain(database_url) as link:
        row = await link.fetchrow(
            "SELECT t.status, r.rating FROM trading_signals JOIN llm_enhancement_tasks t USING (signal_id)"
            " JOIN llm_analysis_results r USING (signal_id) WHERE signal_id = 'ES-1'"
        )
    assert row is not None
    assert row["status"] == "completed"
    assert row["rating"] in range(1, 6)


def test_importing_the_library_loads_neither_pandas_nor_the_simulator() -> None:
    """A host pays only for what it uses."""
    code = (
        "import sys, llm_integration; "
        "print([m for m in ('pandas', 'numpy', 'asyncpg', 'rich', 'talib', 'llm_integration.simulator') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
