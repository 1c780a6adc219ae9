"""Fixtures for every test: a clean environment, and a fresh PostgreSQL database for those who ask for one.

The server is ``TEST_DATABASE_URL`` if that is set (a role that may create databases), else an embedded one
in ``.tradent/tests``, shared by test runs that happen at the same time. It starts with the first test that
needs it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from database.db_manager import DatabaseManager
from llm_integration.record.embedded import EmbeddedPostgres, default_base
from llm_integration.record.errors import EmbeddedServerError

T = TypeVar("T")

FAST = {  # a test database need not survive a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "max_wal_size": "256MB",
}


def pytest_configure() -> None:
    """Programs under test can be interrupted, also where a shell runs the tests in its background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What a slice costs is measured without collections of all that thousands of tests have imported."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``-m "not postgres"`` leaves out whatever needs the server, without each test saying so."""
    for item in items:
        if "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting or key of the developer's own reaches a test."""
    monkeypatch.setenv("TRADENT_ENV_FILE", "")
    for name in os.environ:
        if name.startswith(("LLM_", "OPENROUTER_")):
            monkeypatch.delenv(name)


class PostgresForTests:
    """A server with a template database; runs its own event loop, so that sync and async tests can use it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test databases", daemon=True)
        self._thread.start()
        self._embedded: EmbeddedPostgres | None = None
        self._admin: asyncpg.Connection[asyncpg.Record] | None = None
        self._url = os.environ.get("TEST_DATABASE_URL", "")
        self._prefix = f"tradent_test_{os.getpid()}_{uuid.uuid4().hex[:6]}"

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=90)

    def start(self) -> None:
        self._run(self._start())

    def create(self, *, empty: bool = False) -> str:
        """The URL of a new database, with the tables unless ``empty``."""
        return self._run(self._create(f"{self._prefix}_{uuid.uuid4().hex[:8]}", empty=empty))

    def drop(self, url: str) -> None:
        self._run(self._execute(f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)'))

    def stop(self) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        if not self._url:
            self._embedded = await _start_embedded(default_base() / "tests")
            self._url = self._embedded.dsn_of("postgres")
        self._admin = await asyncpg.connect(self._url, timeout=20)
        if self._embedded is not None and not self._embedded.was_shared:
            await self._drop_leftovers()
        async with DatabaseManager(await self._create(f"{self._prefix}_template", empty=True)):
            pass

    async def _drop_leftovers(self) -> None:
        """What killed test runs left behind; nobody else is using the server."""
        assert self._admin is not None
        old = "SELECT datname FROM pg_database WHERE datname LIKE 'tradent\\_test\\_%'"
        for row in await self._admin.fetch(old):
            await self._execute(f'DROP DATABASE "{row[0]}" WITH (FORCE)')

    async def _create(self, name: str, *, empty: bool) -> str:
        template = "template1" if empty else f"{self._prefix}_template"
        how = "STRATEGY file_copy" if self._embedded is not None else ""  # the quicker one without fsync
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {how}')
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    async def _execute(self, sql: str) -> None:
        assert self._admin is not None
        await self._admin.execute(sql)

    async def _stop(self) -> None:
        if self._admin is not None:
            await self._execute(f'DROP DATABASE IF EXISTS "{self._prefix}_template" WITH (FORCE)')
            await self._admin.close()
        if self._embedded is not None:
            await self._embedded.stop()


async def _start_embedded(base: Path) -> EmbeddedPostgres:
    server = EmbeddedPostgres(base, settings=FAST)
    try:
        await server.start()
    except EmbeddedServerError as error:
        if server.was_shared or "does not start" not in str(error):
            raise  # only a damaged cluster that nobody uses is made anew; a power cut does that to it
        shutil.rmtree(base, ignore_errors=True)
        server = EmbeddedPostgres(base, settings=FAST)
        await server.start()
    return server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """The server all tests share; ``create()`` gives further databases."""
    server = PostgresForTests()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def database_url(postgres: PostgresForTests) -> Iterator[str]:
    """The URL of a fresh database that has the tables and nothing in them."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DatabaseManager]:
    """A connected manager on a fresh database."""
    async with DatabaseManager(database_url) as manager:
        yield manager
