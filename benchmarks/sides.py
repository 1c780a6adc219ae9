"""Starting sides and talking to them; the servers they need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import version_of
from llm_integration.record.embedded import EmbeddedPostgres, default_base

__all__ = [
    "NEEDS",
    "Postgres",
    "Side",
    "SideError",
    "instant_server",
    "missing",
    "postgres",
    "scratch",
    "side",
    "stopped",
]

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {
    "openai": "openai", "litellm": "litellm", "litellm Router": "litellm", "instructor": "instructor",
}  # fmt: skip
ANSWER_SECONDS = 180


class SideError(RuntimeError):
    """A side could not do what it was told."""


def missing(name: str) -> str | None:
    """Why the side cannot take part; None when it can."""
    package = NEEDS.get(name)
    if package is None or version_of(package):
        return None
    return f"{name}: skipped, the package {package} is not installed (benchmarks/requirements.txt)"


class Side:
    """A process that does what it is told."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    async def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise SideError(f"{self.name} ended unexpectedly during {do}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(f"{self.name}, {do}: {answer['error']}")
        return answer


def environment() -> dict[str, str]:
    """The environment of every process: nothing of the user's own settings, no key, no network look-ups."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "OPENROUTER_"))}
    return {
        **kept,
        "TRADENT_ENV_FILE": "",
        "OPENROUTER_API_KEY": "sk-or-v1-not-a-key",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONWARNINGS": "ignore",
    }


@asynccontextmanager
async def side(name: str, loop: str = "asyncio") -> AsyncIterator[Side]:
    """A running side, ended afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.side", name, loop,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT, env=environment(),
    )  # fmt: skip
    try:
        yield Side(name, process)
    finally:
        await _end(process)


@asynccontextmanager
async def instant_server() -> AsyncIterator[str]:
    """The address of a server that answers at once: ``http://127.0.0.1:port``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.instant_server",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class Postgres:
    """A server of the benchmarks' own, with PostgreSQL's own durable settings."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server

    async def database(self) -> str:
        """The DSN of a new, empty database."""
        return await self._server.create_database(f"bench_{uuid.uuid4().hex[:12]}")

    def processes(self) -> list[int]:
        """The server and all of its children."""
        main = int((self._server.location / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        return [main, *_children(main)]


@asynccontextmanager
async def postgres() -> AsyncIterator[Postgres]:
    """The server, started for the time of the block."""
    async with EmbeddedPostgres(default_base() / "bench", database="bench") as server:
        yield Postgres(server)


@contextlib.contextmanager
def stopped(processes: list[int]) -> Iterator[None]:
    """Processes that neither answer nor go away for the time of the block."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    if Path("/proc/self/stat").is_file():
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(status.parent.name))
        return found
    listed = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    return [pid for pid, ppid in pairs if ppid == parent]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for output files, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tradent-bench-") as folder:
        yield Path(folder)
