"""PostgreSQL gone, silent, read-only or slow: every call ends in time, and says whether to repeat it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from database.db_manager import DatabaseManager
from llm_integration.record.errors import BadRowError, DatabaseRefusedError, DatabaseUnavailableError
from tests.integration.database_helpers import LEASE, answer, plain, signal


class Proxy:
    """A TCP port before the test server that can count, swallow and cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        folder = parse_qs(parts.query).get("host", [None])[0]
        self._socket = None if folder is None else f"{folder}/.s.PGSQL.{parts.port or 5432}"
        self._address = parts.hostname, parts.port or 5432
        self._login = "postgres" if folder else parts.netloc.rpartition("@")[0]
        self._database = parts.path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.round_trips = 0

    async def start(self) -> str:
        """The URL of the proxy."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://{self._login}@127.0.0.1:{port}{self._database}?sslmode=disable"

    def swallow(self) -> None:
        """From now on nothing passes in either direction, and nobody is told."""
        self._flowing.clear()

    def pass_on(self) -> None:
        """Let the held back and the new pass again."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        self.cut()
        self.pass_on()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._socket is not None:
            there, back = await asyncio.open_unix_connection(self._socket)
        else:
            there, back = await asyncio.open_connection(*self._address)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(
                self._pump(reader, back, asking=True), self._pump(there, writer, asking=False)
            )
        finally:
            for one in (writer, back):
                one.transport.abort()
                self._writers.discard(one)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asking: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                self.round_trips += asking
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A proxy before a fresh database."""
    server = Proxy(database_url)
    yield server
    await server.stop()


def impatient(url: str, **more: Any) -> DatabaseManager:
    """A manager whose bounds are short enough for a test."""
    return DatabaseManager(
        url,
        **{"connect_timeout": 0.5, "acquire_timeout": 0.3, "statement_timeout": 0.3, "pool_max": 2, **more},
    )


CALLS: dict[str, Callable[[DatabaseManager], Awaitable[object]]] = {
    "record_signal": lambda db: db.record_signal(signal("x")),
    "record_bars": lambda db: db.record_bars("session-1", "ES", signal().bars),
    "claim_signals": lambda db: db.claim_signals([signal("x")], worker_id="w", lease_seconds=LEASE),
    "claim_waiting": lambda db: db.claim_waiting(worker_id="w", limit=1, lease_seconds=LEASE),
    "save_outcomes": lambda db: db.save_outcomes([(answer("x"), None)]),
    "heartbeat": lambda db: db.heartbeat("w", lease_seconds=LEASE),
    "retire_worker": lambda db: db.retire_worker("w"),
    "session_analyses": lambda db: db.session_analyses("session-1"),
    "statistics": lambda db: db.get_llm_processing_stats(),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_server_that_falls_silent_does_not_hold_a_call(proxy: Proxy, call: str) -> None:
    """Black-holed connections end in DatabaseUnavailableError within the bounds, and so does close()."""
    db = impatient(await proxy.start())
    await db.connect()
    proxy.swallow()
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailableError) as caught:
        await CALLS[call](db)
    assert caught.value.retryable
    assert time.monotonic() - started < 2.5
    started = time.monotonic()
    await db.close()
    assert time.monotonic() - started < 1.5


async def test_after_a_silence_calls_work_again(proxy: Proxy) -> None:
    """No restart is needed, and the pool is not used up by the connections that were lost."""
    db = impatient(await proxy.start())
    async with db:
        proxy.swallow()
        for _ in range(3):
            with pytest.raises(DatabaseUnavailableError):
                await db.record_signal(signal())
        proxy.pass_on()
        assert await db.record_signal(signal()) > 0


async def test_cut_connections_are_replaced(proxy: Proxy) -> None:
    """A reset costs at most the calls that were under way."""
    async with DatabaseManager(await proxy.start()) as db:
        await db.record_signal(signal())
        proxy.cut()
        with contextlib.suppress(DatabaseUnavailableError):  # the one that meets the broken connection
            await db.heartbeat("w", lease_seconds=LEASE)
        assert (await db.get_enhanced_signal_data("s-1"))["status"] == "pending"


async def test_a_connection_lost_while_it_was_at_hand_takes_no_room(proxy: Proxy) -> None:
    """Between two calls a connection may go, again and again, and the only place in the pool is free."""
    async with impatient(await proxy.start(), pool_max=1, statement_timeout=5) as db:
        for _ in range(4):
            await db.record_signal(signal())
            proxy.cut()
            with contextlib.suppress(DatabaseUnavailableError):  # the loss may be news to it
                await db.heartbeat("w", lease_seconds=LEASE)
        assert await db.record_signal(signal()) > 0


async def test_a_loss_that_was_noticed_fails_no_call(proxy: Proxy) -> None:
    """A connection that went while nobody used it is passed over."""
    async with impatient(await proxy.start(), pool_max=1, statement_timeout=5) as db, asyncio.timeout(5):
        await db.record_signal(signal())
        noticed = asyncio.Event()
        db.connections._kept[0].add_termination_listener(lambda _link: noticed.set())
        proxy.cut()
        await noticed.wait()
        assert await db.record_signal(signal()) > 0


async def test_calls_share_few_connections_in_turn(database_url: str) -> None:
    """A connection that is done goes to who waits for one; nobody waits in vain."""
    async with impatient(database_url, acquire_timeout=5, statement_timeout=5) as db:
        names = [f"s-{number}" for number in range(60)]
        tasks = await asyncio.gather(*(db.record_signal(signal(name)) for name in names))
        assert len(set(tasks)) == 60


async def test_connections_at_hand_go_back_to_the_pool(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool closes idle connections and replaces old ones; it can do so with those that it has."""
    monkeypatch.setattr("llm_integration.record.connections.KEEP_SECONDS", 0.01)
    async with impatient(database_url, statement_timeout=5) as db:
        for _ in range(2):
            await asyncio.gather(*(db.heartbeat("w", lease_seconds=LEASE) for _ in range(2)))
            connections = db.connections
            assert connections._tidying is not None
            await connections._tidying
            assert connections._pool is not None
            assert connections._pool.get_idle_size() == connections._pool.get_size()


async def test_a_cancelled_call_gives_its_connection_back_at_once(proxy: Proxy) -> None:
    """A host that waits no longer than a moment does not starve the calls that follow."""
    db = impatient(await proxy.start(), pool_max=1, acquire_timeout=5, statement_timeout=5)
    async with db:
        proxy.swallow()
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await db.record_signal(signal())
            assert time.monotonic() - started < 1
        proxy.pass_on()
        assert await db.record_signal(signal()) > 0


async def test_connections_cut_by_the_server_are_replaced(db: DatabaseManager, database_url: str) -> None:
    """An administrator's restart is an outage, not an end."""
    async with plain(database_url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tradent' AND datname = current_database()"
        )
    with contextlib.suppress(DatabaseUnavailableError):
        await db.heartbeat("w", lease_seconds=LEASE)
    assert await db.record_signal(signal()) > 0


async def test_a_locked_row_does_not_hold_a_call_for_ever(database_url: str) -> None:
    """The server ends a statement that waits too long; repeating it later works."""
    async with impatient(database_url) as db, plain(database_url) as connection:
        await db.record_signal(signal())
        async with connection.transaction():
            await connection.execute("SELECT FROM llm_enhancement_tasks FOR UPDATE")
            with pytest.raises(DatabaseUnavailableError):
                await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)
            assert await db.claim_waiting(worker_id="w", limit=5, lease_seconds=LEASE) == []
        assert set(await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)) == {"s-1"}


async def test_a_read_only_server_is_an_outage(database_url: str) -> None:
    """After a failover to a standby, rows wait instead of being given up."""
    async with DatabaseManager(database_url, server_settings={"default_transaction_read_only": "on"}) as db:
        with pytest.raises(DatabaseUnavailableError, match="read-only"):
            await db.record_signal(signal())


async def test_a_used_up_pool_is_an_outage_in_time(database_url: str) -> None:
    """Waiting for a connection is bounded, too."""
    async with impatient(database_url, pool_max=1, statement_timeout=5) as db:
        stream = db.iter_analyses()
        await db.save_outcomes([(answer(), None)])
        async with contextlib.aclosing(stream):
            await anext(stream)
            with pytest.raises(DatabaseUnavailableError, match="no connection"):
                await db.record_signal(signal())
        assert await db.record_signal(signal()) > 0


async def test_a_manager_connects_later_when_the_server_was_away_at_first(proxy: Proxy) -> None:
    """It can be handed out unconnected; callers that come together share one attempt."""
    url = await proxy.start()
    proxy.swallow()
    db = impatient(url)
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1"):
        await db.connect()
    assert "closed" in repr(db)
    proxy.pass_on()
    results = await asyncio.gather(*(db.record_signal(signal(f"s-{number}")) for number in range(5)))
    assert len(set(results)) == 5
    await db.close()
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await db.record_signal(signal())


async def test_nobody_listening_is_an_outage_in_one_line() -> None:
    """The message names the address and neither user nor password."""
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1/d") as caught:
            await DatabaseManager("postgresql://user:MARKER@127.0.0.1:1/d").connect()
    assert "\n" not in str(caught.value)
    assert "MARKER" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_refused(database_url: str) -> None:
    """At connect that is a mistake in the configuration; in mid-run rows wait for somebody to mend it."""
    db = DatabaseManager(database_url, database="no_such_database")
    with pytest.raises(DatabaseRefusedError, match="no_such_database"):
        await db.connect()
    with pytest.raises(DatabaseUnavailableError, match="no_such_database"):
        await db.record_signal(signal())


async def test_a_missing_table_is_no_bad_row(db: DatabaseManager, database_url: str) -> None:
    """What an operator can mend is worth repeating."""
    async with plain(database_url) as connection:
        await connection.execute("ALTER TABLE llm_workers RENAME TO gone")
        with pytest.raises(Exception, match="llm_workers") as caught:
            await db.heartbeat("w", lease_seconds=LEASE)
        assert getattr(caught.value, "retryable", False)
        await connection.execute("ALTER TABLE gone RENAME TO llm_workers")
    await db.heartbeat("w", lease_seconds=LEASE)


async def test_a_value_of_the_wrong_type_is_a_bad_row(db: DatabaseManager) -> None:
    """A caller's mistake does not look like an outage."""
    with pytest.raises(BadRowError):
        await db.update_task_status("one", "failed")  # type: ignore[arg-type]  # the mistake under test


async def test_each_batch_is_one_round_trip(proxy: Proxy) -> None:
    """A signal with its task, a batch of claims, a batch of results: one message to PostgreSQL each."""
    async with DatabaseManager(await proxy.start(), pool_max=1) as db:

        async def everything(prefix: str) -> list[int]:
            ids = [f"{prefix}-{number}" for number in range(30)]
            counted = []
            before = proxy.round_trips
            await db.record_signal(signal(ids[0]))
            counted.append(proxy.round_trips - before)
            before = proxy.round_trips
            claims = await db.claim_signals(
                [signal(name, bars=()) for name in ids], worker_id="w", lease_seconds=LEASE
            )
            counted.append(proxy.round_trips - before)
            before = proxy.round_trips
            assert await db.save_outcomes([(answer(name), claims[name]) for name in ids]) == set(ids)
            counted.append(proxy.round_trips - before)
            return counted

        await everything("prepares the statements")
        assert await everything("counted") == [1, 1, 1]


async def test_the_cause_is_chained(db: DatabaseManager) -> None:
    """Who debugs sees the driver's own exception behind ours."""
    with pytest.raises(BadRowError) as caught:
        await db.end_session("x", "odd")  # type: ignore[arg-type]  # the mistake under test
    assert isinstance(caught.value.__cause__, asyncpg.CheckViolationError)
