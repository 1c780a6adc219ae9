"""The embedded server killed, again and again, or kept from its folder or disk: it comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path

import pytest

from llm_integration.record.embedded import EmbeddedPostgres
from llm_integration.record.placement import choose_place
from llm_integration.record.postmaster import folder_of, processes_in, read_postmaster
from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.altered_program import AlteredProgram
from tests.chaos.kill_rounds import LATENCY_SECONDS
from tests.chaos.program import soon
from tests.chaos.truth import compare, end_state, slice_of_bars
from tests.integration.test_embedded import folder_for_a_cluster

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

BARS, SPEED = 400, 60.0
STARTED_AGAIN = "was started again"
LONGEST_BAR_SECONDS = 0.5
"""Far above any bar, far below the time for which the server is away."""


@pytest.fixture
def base() -> Iterator[Path]:
    """A base folder without a cluster."""
    with folder_for_a_cluster() as folder:
        yield folder


@asynccontextmanager
async def trading(
    base: Path, folder: Path, *, bars: int = BARS, symbol: str = "EURUSD"
) -> AsyncIterator[AlteredProgram]:
    """A program on the embedded server that has begun to store answers; ended whatever happens."""
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        program = AlteredProgram(
            folder, "embedded", simulator.base_url, slice_of_bars(folder, 0, bars), speed=SPEED,
            symbol=symbol, base=base,
        )  # fmt: skip
        await program.start()
        try:
            await program.until(lambda: program.answers_written() >= 3)
            yield program
        finally:
            await program.close()


def server_of(base: Path) -> int:
    """The process number of the server, 0 when there is none at the moment."""
    found = read_postmaster(choose_place(base).data)
    return found.pid if found is not None and found.alive else 0


async def kill_server(base: Path) -> int:
    """SIGKILL to the server as soon as there is one, as the kernel does when memory is short."""
    pid = 0

    def found() -> bool:
        nonlocal pid
        pid = server_of(base)
        return pid > 0

    await soon(found)
    os.kill(pid, signal.SIGKILL)
    return pid


def ready(base: Path) -> bool:
    """True when the server takes connections."""
    found = read_postmaster(choose_place(base).data)
    return found is not None and found.reachable and found.ready


async def problems(base: Path, *programs: AlteredProgram) -> list[str]:
    """What is wrong with the tables and files of all programs."""
    async with EmbeddedPostgres(base) as server:
        found = []
        for program in programs:
            state = await end_state(server.dsn, program.out, program.symbol)
            found += compare(program, state, None).problems
        return found


async def test_a_killed_server_is_back_and_everything_is_stored_once(base: Path, tmp_path: Path) -> None:
    """The program that owns it starts it again and says so once; bars never wait for it."""
    async with trading(base, tmp_path) as program:
        pid = await kill_server(base)
        await program.until(lambda: STARTED_AGAIN in program.log)
        assert server_of(base) not in (0, pid)
        await program.finish()
        assert program.log.count(STARTED_AGAIN) == 1
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS
        assert await problems(base, program) == []


async def killed_often(base: Path, folder: Path, kills: int, pauses: Iterator[float]) -> list[str]:
    """What is wrong after a run whose server was killed ``kills`` times, a pause after it was there again."""
    async with trading(base, folder, bars=900) as program:
        for _ in range(kills):
            await kill_server(base)
            await asyncio.sleep(next(pauses))
        await program.until(lambda: STARTED_AGAIN in program.log)
        await program.finish(120.0)
        found = await problems(base, program)
        if program.longest_bar_seconds >= LONGEST_BAR_SECONDS:
            found.append(f"a bar took {program.longest_bar_seconds:.2f} s")
        return found


async def test_a_server_that_is_killed_again_while_it_recovers_comes_back(base: Path, tmp_path: Path) -> None:
    """Killed four times, each as soon as its process is there, half of them before it is ready."""
    assert await killed_often(base, tmp_path, 4, repeat(0.0)) == []


async def test_of_several_programs_exactly_one_starts_it_again(base: Path, tmp_path: Path) -> None:
    """The others find it running and go on; each has everything stored."""
    async with (
        trading(base, tmp_path / "one") as first,
        trading(base, tmp_path / "two", symbol="GBPUSD") as second,
    ):
        await kill_server(base)
        await soon(lambda: STARTED_AGAIN in first.log + second.log)
        await asyncio.gather(first.finish(), second.finish())
        assert (first.log + second.log).count(STARTED_AGAIN) == 1
        assert await problems(base, first, second) == []


async def test_a_server_whose_folder_is_gone_is_missed_in_one_line(base: Path, tmp_path: Path) -> None:
    """Trading goes on; no empty cluster takes its place; put back, it is started and takes everything."""
    async with trading(base, tmp_path, bars=700) as program:
        data = choose_place(base).data
        await kill_server(base)
        data.rename(data.with_name("elsewhere"))
        await program.until(lambda: "is gone; put it back" in program.log)
        bars = program.bars_traded()
        await program.until(lambda: program.bars_traded() > bars + 30)
        assert not data.exists()
        data.with_name("elsewhere").rename(data)
        await program.until(lambda: STARTED_AGAIN in program.log)
        await program.finish()
        assert program.log.count("is gone; put it back") == 1
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS
        assert await problems(base, program) == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 150 MB that any account may walk into; skips where this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="tradent-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=150m,mode=755", "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system needs root and the right to mount")
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(file: Path) -> None:
    """Take all the room that there is."""
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as out:
        while out.write(bytes(100_000)):
            pass


async def test_a_server_that_has_no_disk_to_start_on_is_tried_again(small_disk: Path, tmp_path: Path) -> None:
    """One line says why; with room again it starts, and what waited is stored."""
    base = small_disk / "state"
    base.mkdir()
    async with trading(base, tmp_path, bars=900) as program:
        filler = small_disk / "filler"

        def squeezed() -> bool:
            """Whatever room the dead server has left is taken, too, and so is one that just fitted in."""
            fill(filler)
            if pid := server_of(base):
                os.kill(pid, signal.SIGKILL)
            return "No space left on device; make room" in program.log

        await program.until(squeezed)
        bars = program.bars_traded()
        await program.until(lambda: program.bars_traded() > bars + 30)
        filler.unlink()
        await program.until(lambda: STARTED_AGAIN in program.log)
        await program.finish()
        assert program.longest_bar_seconds < LONGEST_BAR_SECONDS
        assert await problems(base, program) == []


async def test_children_that_outlive_a_killed_server_do_not_keep_it_away(base: Path) -> None:
    """A frozen child of a dead server holds its memory; it is ended before the next server starts."""
    async with EmbeddedPostgres(base) as server:
        pid = server_of(base)
        family = processes_in(folder_of(server.location / "data"))
        for child in set(family) - {pid}:
            os.kill(child, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        await soon(lambda: server_of(base) != pid and ready(base))
        await server.create_database("again")
        assert time.monotonic() - started < 30
        assert not set(family) & set(processes_in(folder_of(server.location / "data")))
