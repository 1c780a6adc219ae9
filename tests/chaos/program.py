"""The trading program as a real process: started, watched, killed, and what it left behind."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE, SUMMARY_FILE
from llm_integration.simulator import SIMULATED_KEY
from tests.acceptance.test_program import PROGRAM, ROOT, environment

__all__ = ["POLL_SECONDS", "TRADING", "Program", "connected", "outbox_entries", "rows", "soon", "whole_lines"]

POLL_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
"""For what must happen; a busy machine needs seconds to start a process."""
TRADING: Mapping[str, Any] = {"fast_period": 2, "slow_period": 5, "atr_period": 5}
"""Averages so short that every fifth bar brings a signal."""
LLM: Mapping[str, Any] = {
    "lease_seconds": 2.0,
    "poll_interval": 0.2,
    "requests_per_minute": 100_000,
    "tokens_per_minute": 1_000_000_000,
    "batch_export_interval_seconds": 0.3,
    "drain_timeout_seconds": 30.0,
}
DATABASE: Mapping[str, Any] = {"connect_timeout_seconds": 1.0, "statement_timeout_seconds": 1.0}


@dataclass(slots=True)
class Program:
    """One folder, one database, one file of bars: started, killed and started again as often as wanted.

    ``llm`` and ``database`` change settings; ``speed`` is bars per second.
    """

    folder: Path
    url: str
    base_url: str
    bars: Path
    speed: float = 250.0
    symbol: str = "EURUSD"
    output: Path | None = None
    follow: bool = False
    resume: bool = True
    adopt: bool = False
    log_level: str = "INFO"
    llm: Mapping[str, Any] = field(default_factory=dict)
    database: Mapping[str, Any] = field(default_factory=dict)
    before_exec: Callable[[], None] | None = None
    process: asyncio.subprocess.Process | None = None
    stdout: str = ""

    @property
    def out(self) -> Path:
        """The folder of the three files."""
        return self.output or self.folder / "out"

    @property
    def outbox(self) -> Path:
        """The folder of the outboxes."""
        return self.folder / "outbox"

    @property
    def log(self) -> str:
        """Everything that all runs of this program said on stderr."""
        file = self.folder / "log.txt"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    @property
    def longest_bar_seconds(self) -> float:
        """The longest time that a bar kept the loop of the last run, as it says itself at its end."""
        found = re.search(r"longest bar ([\d.]+) ms", self.stdout)
        assert found is not None, f"the run did not end well: {self.stdout!r}\n{self.log[-3000:]}"
        return float(found[1]) / 1000

    async def start(self) -> None:
        """Start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdout=asyncio.subprocess.PIPE, stderr=log, cwd=ROOT, preexec_fn=self.before_exec,
                env=environment(OPENROUTER_API_KEY=SIMULATED_KEY, OPENROUTER_BASE_URL=self.base_url),
            )  # fmt: skip

    def _command(self) -> list[str]:
        config = self.folder / "config.json"
        blocks = {
            "llm": {**LLM, **self.llm},
            "database": {**DATABASE, "outbox_directory": str(self.outbox), **self.database},
            "trading": {**TRADING, "progress_interval_seconds": 0.2},
        }
        config.write_text(json.dumps(blocks), encoding="utf-8")
        return [
            sys.executable, str(PROGRAM), "--config", str(config), "--data", str(self.bars),
            "--symbol", self.symbol, "--speed", str(self.speed), "--database-url", self.url,
            "--output", str(self.out), "--no-dashboard", *(["--resume"] if self.resume else []),
            *(["--adopt"] if self.adopt else []),
            "--log-level", self.log_level, *(["--follow"] if self.follow else []),
        ]  # fmt: skip

    @property
    def running(self) -> bool:
        """True from ``start`` until the process is gone."""
        return self.process is not None and self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is still there."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self) -> bool:
        """SIGKILL; True if it hit a living process."""
        self.send(signal.SIGKILL)
        return await self.ended(10.0) == -signal.SIGKILL

    async def ended(self, timeout: float = 90.0) -> int:
        """Wait for the end; the exit status."""
        assert self.process is not None
        async with asyncio.timeout(timeout):
            output, _ = await self.process.communicate()
        self.stdout = output.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    async def finish(self, timeout: float = 90.0) -> None:
        """Wait for the end of a run that must end well."""
        status = await self.ended(timeout)
        assert status == 0, f"exit status {status}\n{self.log[-3000:]}"

    async def close(self) -> None:
        """Leave no process behind, whatever happened."""
        if self.running:
            await self.kill()

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until ``condition`` holds; AssertionError when the process ends or the time is up."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            assert self.running, f"it ended too early\n{self.log[-3000:]}"
            assert time.monotonic() < deadline, f"it did not happen in time\n{self.log[-3000:]}"
            await asyncio.sleep(POLL_SECONDS)

    def bars_written(self) -> int:
        """Complete lines of llm_strategy_results.csv, the header not counted."""
        return max(0, whole_lines(self.out / RESULT_FILE) - 1)

    def answers_written(self) -> int:
        """Complete lines of llm_signals.csv, the header not counted."""
        return max(0, whole_lines(self.out / SIGNAL_FILE) - 1)

    def bars_traded(self) -> int:
        """How many bars the loop has had, by its last line of progress."""
        found = re.findall(r"bars (\d+)/\d+ ", self.log)
        return int(found[-1]) if found else 0

    def summary(self) -> Any:
        """The summary file."""
        return json.loads((self.out / SUMMARY_FILE).read_text(encoding="utf-8"))


def whole_lines(file: Path) -> int:
    """Complete lines in ``file``; 0 when it is not there."""
    try:
        return file.read_bytes().count(b"\n")
    except OSError:
        return 0


def rows(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none when it is not there."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def outbox_entries(folder: Path) -> list[tuple[str, str, Any]]:
    """Kind, key and body of every entry that stands in the outboxes of ``folder``, committed and whole."""
    found: list[tuple[str, str, Any]] = []
    for file in sorted(folder.glob("*/*.outbox")):
        with contextlib.closing(sqlite3.connect(file, timeout=5.0)) as link:
            try:
                entries = link.execute("SELECT kind, key, body FROM entries ORDER BY seq").fetchall()
            except sqlite3.OperationalError:  # it was killed before the tables stood
                entries = []
        found += [(kind, key, json.loads(body)) for kind, key, body in entries]
    return found


@contextlib.asynccontextmanager
async def connected(url: str) -> Any:
    """A connection of an outsider."""
    link = await asyncpg.connect(url, timeout=10)
    try:
        yield link
    finally:
        await link.close(timeout=5)


async def soon(condition: Callable[[], bool | Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until ``condition`` holds; TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(POLL_SECONDS)
