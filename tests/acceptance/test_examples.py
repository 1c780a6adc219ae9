"""The programs of ``examples`` and of the pages under "Add to it", each run as somebody else would run it."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from llm_integration import LLMConfig, LLMProcessor
from llm_integration.budget import MemoryLedger
from llm_integration.errors import BudgetExceededError
from llm_integration.llm_processor import SpendRequest
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.acceptance.test_program import environment, fetch
from trading.settings import SAMPLE_BARS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MOST_LINES = 50
PLUGGED_IN_LINES = 30


async def run(file: Path, folder: Path, **variables: str) -> str:
    """What a program printed that ran against the simulator in ``folder`` and ended without a complaint."""
    async with OpenRouterSimulator(seed=1) as simulator:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-W", "error::ResourceWarning", str(file)],
            capture_output=True, text=True, cwd=folder, timeout=60, check=False,
            env={
                **os.environ, "PYTHONPATH": str(ROOT), "OPENROUTER_API_KEY": SIMULATED_KEY,
                "OPENROUTER_BASE_URL": simulator.base_url, "LLM_REQUESTS_PER_MINUTE": "600", **variables,
            },
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_an_example_is_short(file: Path) -> None:
    """It is read in a minute, and a sink or feed of one's own in half of one."""
    most = PLUGGED_IN_LINES if file.stem in ("json_lines", "socket_feed") else MOST_LINES
    assert len([line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]) < most


async def test_an_asyncio_host_goes_on_while_its_signals_are_rated(tmp_path: Path) -> None:
    """Each of its four signals is told to its callback once, and has its row."""
    lines = (await run(EXAMPLES / "asyncio_host.py", tmp_path)).splitlines()
    assert lines[-1] == "4 signals, 4 rated"
    assert sorted(line.split()[0] for line in lines[:-1]) == ["ES-14", "ES-19", "ES-4", "ES-9"]
    rows = (tmp_path / "output/llm_enhanced/llm_signals.csv").read_text(encoding="utf-8").splitlines()
    assert sum("ES-" in row for row in rows) == 4


async def test_a_host_without_an_event_loop_looks_its_rating_up(tmp_path: Path) -> None:
    """The thread rates what was submitted, and ends when it is closed."""
    printed = await run(EXAMPLES / "host_without_a_loop.py", tmp_path)
    assert printed.split()[0] == "ES-1"
    assert printed.split()[1] in "12345"


@pytest.mark.postgres
async def test_with_postgresql_the_result_is_stored_and_read_back(tmp_path: Path, database_url: str) -> None:
    """The signal, its completed task and its rating are in the tables, and nothing is left in the outbox."""
    printed = await run(EXAMPLES / "with_postgresql.py", tmp_path, DATABASE_URL=database_url)
    assert "'status': 'completed'" in printed
    stored = await fetch(database_url, "SELECT signal_id, rating FROM llm_analysis_results")
    assert [row["signal_id"] for row in stored] == ["ES-1"]
    assert stored[0]["rating"] in range(1, 6)
    assert list((tmp_path / ".tradent").rglob("*.outbox*")) == []


async def test_a_sink_of_ones_own_gets_the_result(tmp_path: Path) -> None:
    """One line of JSON with signal, status, rating and cost."""
    await run(EXAMPLES / "own_sink.py", tmp_path)
    (line,) = (tmp_path / "ratings.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    assert (row["signal_id"], row["symbol"], row["status"]) == ("ES-1", "ES", "completed")
    assert row["rating"] in range(1, 6)
    assert float(row["cost_usd"]) > 0


@pytest.mark.postgres
async def test_a_feed_of_ones_own_is_traded_and_a_second_run_goes_on_with_it(
    tmp_path: Path, database_url: str
) -> None:
    """Bars of a TCP server: stored, decided on and rated; --resume goes on behind the last of them."""
    lines = SAMPLE_BARS.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in lines]
    texts = [json.dumps([row[0].replace("Z", "+00:00"), *map(float, row[1:])]) + "\n" for row in rows]
    sent = [texts[:300], texts[250:500]]

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write("".join(sent.pop(0)).encode())
        await writer.drain()
        writer.close()

    async def trade(*options: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, str(EXAMPLES / "socket_feed.py"), "--simulate", "--symbol", "ES",
             "--no-dashboard", "--database-url", database_url, "--output", str(tmp_path), *options],
            capture_output=True, text=True, timeout=60, check=False,
            env=environment(PYTHONPATH=str(ROOT), BARS_PORT=port),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = str(server.sockets[0].getsockname()[1])
        first = await trade()
        assert "bars 300, " in first
        (session,) = await fetch(database_url, "SELECT session_id, source, status FROM trading_sessions")
        assert (session["source"], session["status"]) == (f"tcp://127.0.0.1:{port}", "completed")
        again = await trade("--session", session["session_id"])
    assert "bars 200, " in again
    (counts,) = await fetch(
        database_url,
        "SELECT (SELECT count(*) FROM trading_sessions) AS sessions,"
        " (SELECT count(*) FROM market_data) AS bars,"
        " (SELECT count(*) FROM trading_signals) AS signals,"
        " (SELECT count(*) FROM llm_analysis_results) AS results",
    )
    assert (counts["sessions"], counts["bars"]) == (1, 500)
    assert counts["signals"] == counts["results"] > 3


def code_of(page: str, mark: str) -> str:
    """The Python blocks under ``<!-- mark -->`` on a page of docs/how-to, one after the other."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"<!-- {re.escape(mark)} -->\n```python\n(.*?)```", text, re.S)
    assert blocks, mark
    return "\n".join(blocks)


@pytest.mark.parametrize(
    ("page", "name"), [("add-a-sink.md", "json_lines"), ("add-a-feed.md", "socket_feed")]
)
def test_what_is_shown_on_its_page_is_what_runs(page: str, name: str) -> None:
    """ "Add a sink" and "Add a feed" show the files of ``examples``, letter for letter."""
    shown = code_of(page, f"file: examples/{name}.py")
    assert shown == (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")


async def test_reported_fills_and_outcomes_are_in_the_file(tmp_path: Path) -> None:
    """What "Report fills and outcomes" shows is the example, and it ends as the page says."""
    shown = code_of("report-outcomes.md", "file: examples/fills_and_outcomes.py")
    assert shown == (EXAMPLES / "fills_and_outcomes.py").read_text(encoding="utf-8")
    await run(EXAMPLES / "fills_and_outcomes.py", tmp_path)
    with (tmp_path / "output/llm_enhanced/llm_outcomes.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["signal_id"]: row for row in csv.DictReader(file)}
    ends = {name: (row["exit"], row["source"], row["entry_price"]) for name, row in rows.items()}
    assert ends == {
        "ES-bars": ("target", "bars", "6903.0"), "ES-filled": ("target", "bars", "6902.0"),
        "ES-closed": ("time", "host", "6901.0"),
    }  # fmt: skip
    assert rows["ES-bars"]["exit_time"] == rows["ES-filled"]["exit_time"]
    assert float(rows["ES-closed"]["r_net"]) == 0.57


@pytest.mark.parametrize("mark", ["settings", "shared limiter"])
def test_the_limits_on_their_page_can_be_set(mark: str, tmp_path: Path) -> None:
    """The lines of "Add a limit" run as they stand."""
    file = tmp_path / "mine.py"
    file.write_text(code_of("add-a-limit.md", f"run: {mark}"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(file)],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_guard_of_ones_own_keeps_requests_back() -> None:
    """Outside the hours nothing is sent, the signal waits until they begin, and inside them it is rated."""
    made: dict[str, Any] = {}
    exec(code_of("add-a-limit.md", "run: trading hours"), made)
    now = datetime(2026, 1, 5, 6, 30, tzinfo=UTC)
    guard = made["TradingHours"](MemoryLedger(), time(8), time(17), lambda: now)
    request = SpendRequest("m", 10, 10, {"ES": 1})
    with pytest.raises(BudgetExceededError, match="no requests before 08:00 UTC") as refused:
        await guard.reserve(request)
    assert refused.value.retry_after == 5_400
    now = now.replace(hour=17)
    with pytest.raises(BudgetExceededError) as refused:
        await guard.reserve(request)
    assert refused.value.retry_after == 14.5 * 3600
    now = now.replace(hour=9)
    async with OpenRouterSimulator(seed=1) as simulator:
        config = LLMConfig(base_url=simulator.base_url)
        client = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY), guard=guard)
        completion = await client.complete("Rate this signal.", symbols={"ES": 1})
        await client.close()
    assert completion.text


def test_a_command_is_one_module_and_one_line(tmp_path: Path) -> None:
    """With the module of "Add a command" and its line there is a command with help, JSON and errors."""
    shutil.copytree(
        ROOT / "llm_integration", tmp_path / "llm_integration", ignore=shutil.ignore_patterns("__pycache__")
    )
    module = code_of("add-a-command.md", "file: llm_integration/commands/limits.py")
    (tmp_path / "llm_integration/commands/limits.py").write_text(module, encoding="utf-8")
    line = tmp_path / "llm_integration/commands/line.py"
    listed = "COMMANDS: dict[str, str] = {\n"
    assert listed in line.read_text(encoding="utf-8")
    entry = listed + code_of("add-a-command.md", "entry")
    line.write_text(line.read_text(encoding="utf-8").replace(listed, entry), encoding="utf-8")

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "llm_integration", *arguments],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip

    (tmp_path / "config.json").write_text('{"llm": {"budgets": [{"per": "day", "usd": 2.5}]}}')
    told = json.loads(command("limits", "--json").stdout)
    assert told == {"requests per minute": 14, "tokens per minute": 950_000, "USD per day": "2.5"}
    assert "requests per minute" in command("limits").stdout
    assert "the bounds on requests, tokens and money" in command("--help").stdout
    assert "--database-url" in command("limits", "--help").stdout
    assert command("limits", "--nonsense").returncode == 2
