"""The disk full, the output folder gone, a file locked by another process: rows wait, or come back."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from database.db_manager import DatabaseManager
from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE, Rebuild
from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.kill_rounds import LATENCY_SECONDS
from tests.chaos.program import Program, connected
from tests.chaos.truth import compare, end_state, slice_of_bars

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

BARS, SPEED = 200, 150.0
SMALL = 12_000
"""Bytes after which a file is full: some 60 rows."""
FULL = os.strerror(errno.EFBIG)
LONGEST_BAR_SECONDS = 1.0
"""Far above any bar, far below the seconds that a full disk or a lock lasts."""


@asynccontextmanager
async def running(
    url: str, folder: Path, *, out: Path | None = None, before_exec: Callable[[], None] | None = None
) -> AsyncIterator[Program]:
    """A program that has begun to write rows; ended whatever happens."""
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        program = Program(
            folder, url, simulator.base_url, slice_of_bars(folder, 0, BARS), speed=SPEED, output=out,
            before_exec=before_exec, log_level="WARNING",  # a small file has no room for more
        )  # fmt: skip
        await program.start()
        try:
            await program.until(lambda: program.bars_written() >= 5)
            yield program
        finally:
            await program.close()


async def problems(url: str, program: Program) -> list[str]:
    """What is wrong with tables and files at the end."""
    return compare(program, await end_state(url, program.out), None).problems


async def rebuild_files(url: str, out: Path) -> None:
    """Both files anew from PostgreSQL, as an export does."""
    async with connected(url) as link:
        session = await link.fetchval("SELECT session_id FROM trading_sessions")
    async with DatabaseManager(url) as database:
        outcomes = [pair async for pair in database.iter_analyses(session)]
        bars = [(session, symbol, bar, one) async for symbol, bar, one, _ in database.iter_bars(session)]

    def write() -> None:
        with Rebuild(out) as files:
            files.add_outcomes(outcomes)
            files.add_bars(bars)
            files.finish()

    await asyncio.to_thread(write)


def only_small_files() -> None:
    """No file of this process grows past SMALL until somebody lifts the soft limit: as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets one process lift another's limit")
async def test_rows_wait_while_the_disk_is_full(database_url: str, tmp_path: Path) -> None:
    """Refused writes are tried again; with room again every row goes in once, and few messages said so."""
    async with running(database_url, tmp_path, before_exec=only_small_files) as program:
        await program.until(lambda: FULL in program.log)
        await program.until(lambda: program.summary()["export"]["rows_waiting"] > 0)
        assert program.process is not None
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, unlimited)
        await program.finish()
        assert await problems(database_url, program) == []
        assert program.log.count(FULL) <= 2  # one for each file
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS


async def test_a_disk_that_stays_full_costs_rows_of_the_files_and_nothing_else(
    database_url: str, tmp_path: Path
) -> None:
    """Trading and PostgreSQL go on, the summary counts what waits, and an export brings the rows back."""
    async with running(database_url, tmp_path, before_exec=only_small_files) as program:
        await program.finish()
    export = program.summary()["export"]
    written = sum(file["rows_written"] for file in export["files"].values())
    state = await end_state(database_url, program.out)
    assert len(state.bars) == BARS
    assert state.results == len(state.signals)
    assert len(state.bar_rows) + len(state.signal_rows) == written
    assert export["rows_waiting"] + export["bars_held_back"] + written == BARS + len(state.signals)
    assert f"{export['rows_waiting']} rows not written" in program.log
    await rebuild_files(database_url, program.out)
    assert await problems(database_url, program) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 KB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_real_full_disk_that_is_given_room(
    database_url: str, tmp_path: Path, small_disk: Path
) -> None:
    """The same with ENOSPC from a file system that is full, and then is not."""
    async with running(database_url, tmp_path, out=small_disk / "out") as program:
        await program.until(lambda: os.strerror(errno.ENOSPC) in program.log)
        subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
        await program.finish()
        assert await problems(database_url, program) == []
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS


async def test_an_output_folder_that_goes_costs_rows_that_an_export_brings_back(
    database_url: str, tmp_path: Path
) -> None:
    """Removed and replaced by a file: rows wait; then a new folder takes the rest, PostgreSQL has all."""
    async with running(database_url, tmp_path) as program:
        program.out.rename(tmp_path / "moved away")
        program.out.write_text("not a folder")
        await program.until(lambda: "rows wait in memory" in program.log)
        program.out.unlink()
        await program.finish()
        assert "was removed" in program.log
        state = await end_state(database_url, program.out)
        assert 0 < len(state.bar_rows) < BARS
        assert len(state.bars) == BARS
        await rebuild_files(database_url, program.out)
        assert await problems(database_url, program) == []
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS


async def test_rows_wait_for_a_file_that_another_process_has_locked(
    database_url: str, tmp_path: Path
) -> None:
    """A lock held for a while delays the rows of that file and nothing else; one message says so."""
    async with running(database_url, tmp_path) as program:
        with (program.out / RESULT_FILE).open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            rows, answers = program.bars_written(), program.answers_written()
            await program.until(lambda: "locked by another process" in program.log)
            await program.until(lambda: program.answers_written() > answers)
            assert program.bars_written() == rows
        await program.finish()
        assert await problems(database_url, program) == []
        assert program.log.count(f"{RESULT_FILE}: locked") == 1
        assert f"{SIGNAL_FILE}: locked" not in program.log
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS
