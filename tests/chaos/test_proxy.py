"""The fault proxy does to connections what it says, when it is told to, and ends within a second."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.chaos.proxy import Direction, FaultProxy, postgres_target

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class EchoServer:
    """Sends back what it gets, and remembers how much that was."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.got_some = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1024):
                self.received += data
                self.got_some.set()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.ended.set()
            writer.close()


@asynccontextmanager
async def proxied(seed: int = 0) -> AsyncIterator[tuple[FaultProxy, EchoServer]]:
    echo = EchoServer()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname(), seed=seed) as proxy:
        yield proxy, echo
    server.close()


@asynccontextmanager
async def client(proxy: FaultProxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(streams: Streams, text: bytes, size: int | None = None) -> bytes:
    """What comes back to ``text``; at most what one second brings."""
    reader, writer = streams
    writer.write(text)
    async with asyncio.timeout(1):
        return await reader.readexactly(len(text) if size is None else size)


async def silent(reader: asyncio.StreamReader) -> bool:
    """Whether nothing arrives for a moment: only a wait can show that."""
    try:
        async with asyncio.timeout(0.05):
            return await reader.read(1) is None
    except TimeoutError:
        return True


async def read_to_end(proxy: FaultProxy, streams: Streams | None) -> bytes:
    """What arrives on ``streams``, or on a new connection."""
    async with asyncio.timeout(1):
        if streams is not None:
            return await streams[0].read()
        async with client(proxy) as (reader, _):
            return await reader.read()


async def test_without_faults_bytes_pass_unchanged_and_are_counted() -> None:
    """A megabyte goes through and comes back the same, and the counters say how much went which way."""
    data = os.urandom(1_000_000)
    async with proxied() as (proxy, _), client(proxy) as (reader, writer):
        writer.write(data)
        async with asyncio.timeout(5):
            assert await reader.readexactly(len(data)) == data
        assert proxy.counts["bytes_up"] == proxy.counts["bytes_down"] == len(data)
        assert proxy.counts["connections"] == proxy.open_connections == 1


async def test_the_end_of_one_direction_leaves_the_other_open() -> None:
    """A client that has sent everything still gets its answer: half-closing passes through."""
    async with proxied() as (proxy, _), client(proxy) as (reader, writer):
        writer.write(b"all")
        writer.write_eof()
        async with asyncio.timeout(1):
            assert await reader.read() == b"all"


async def test_latency_holds_back_one_direction_until_it_is_healed() -> None:
    """An hour of latency on the way back holds the answer, not the request; healing releases it."""
    async with proxied() as (proxy, echo), client(proxy) as (reader, writer):
        proxy.latency(3600, jitter=10, way=Direction.DOWN)
        writer.write(b"x")
        await echo.got_some.wait()
        assert await silent(reader)
        await proxy.heal()
        async with asyncio.timeout(1):
            assert await reader.read(1) == b"x"


async def test_latency_takes_the_time_it_says() -> None:
    """Thirty milliseconds each way are at least sixty for a round trip."""
    async with proxied() as (proxy, _), client(proxy) as streams:
        proxy.latency(0.03)
        started = asyncio.get_running_loop().time()
        assert await said(streams, b"x") == b"x"
        assert asyncio.get_running_loop().time() - started >= 0.06


def test_the_seed_decides_the_jitter() -> None:
    """Two proxies of one seed hold back alike, a third one differently."""

    def delays(seed: int) -> list[float]:
        proxy = FaultProxy(("127.0.0.1", 1), seed=seed)
        proxy.latency(1, jitter=1)
        return [proxy.next_delay(Direction.UP) for _ in range(5)]

    assert delays(1) == delays(1) != delays(2)
    assert all(1 <= delay < 2 for delay in delays(3))


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
async def test_a_cut_lets_exactly_so_many_bytes_back(size: int) -> None:
    """The client gets ``size`` bytes of the answer and then the end of the connection."""
    async with proxied() as (proxy, _), client(proxy) as (reader, writer):
        proxy.cut_after(size, way=Direction.DOWN)
        writer.write(b"a" * 2000)
        async with asyncio.timeout(1):
            assert await reader.read() == b"a" * size
        assert proxy.counts["cuts"] == 1


async def test_a_cut_on_the_way_up_lets_the_target_see_exactly_so_many_bytes() -> None:
    """Half a request arrives, counted from when the fault was set, and the connection is gone."""
    async with proxied() as (proxy, echo), client(proxy) as streams:
        await said(streams, b"before")
        proxy.cut_after(3, way=Direction.UP)
        streams[1].write(b"request")
        async with asyncio.timeout(1):
            await echo.ended.wait()
        assert bytes(echo.received) == b"beforereq"


async def test_after_a_cut_new_connections_are_cut_too_until_healed() -> None:
    """The fault holds for each new connection; healing ends it."""
    async with proxied() as (proxy, _):
        proxy.cut_after(1, way=Direction.DOWN)
        for _ in range(2):
            async with client(proxy) as (reader, writer):
                writer.write(b"ab")
                async with asyncio.timeout(1):
                    assert await reader.read() == b"a"
        await proxy.heal()
        async with client(proxy) as streams:
            assert await said(streams, b"ab") == b"ab"


async def test_a_black_hole_swallows_for_new_and_present_connections() -> None:
    """Both connect, neither gets an answer, and the target hears nothing."""
    async with proxied() as (proxy, echo), client(proxy) as old:
        await said(old, b"before")
        proxy.black_hole()
        async with client(proxy) as new:
            for _, writer in (old, new):
                writer.write(b"lost")
            assert await silent(old[0])
            assert await silent(new[0])
        assert bytes(echo.received) == b"before"
        assert proxy.counts["swallowed_up"] == 8


async def test_a_black_hole_on_the_way_back_lets_requests_arrive() -> None:
    """The target has the request, the client has no answer: the case that duplicates things."""
    async with proxied() as (proxy, echo), client(proxy) as (reader, writer):
        proxy.black_hole(way=Direction.DOWN)
        writer.write(b"pay")
        await echo.got_some.wait()
        assert await silent(reader)
        assert bytes(echo.received) == b"pay"


async def test_a_connection_with_a_hole_in_it_stays_dead_after_healing() -> None:
    """What was swallowed never comes, so nothing after it may either; new connections work."""
    async with proxied() as (proxy, echo), client(proxy) as (reader, writer):
        proxy.black_hole(way=Direction.DOWN)
        writer.write(b"one")
        await echo.got_some.wait()
        assert await silent(reader)
        await proxy.heal()
        writer.write(b"two")
        assert await silent(reader)
        async with client(proxy) as streams:
            assert await said(streams, b"new") == b"new"


async def test_a_black_hole_takes_any_amount_without_blocking_the_sender() -> None:
    """Eight megabytes into the hole: the sender can send them all, nothing is kept."""
    async with proxied() as (proxy, echo), client(proxy) as (_, writer):
        proxy.black_hole()
        async with asyncio.timeout(5):
            for _ in range(128):
                writer.write(bytes(65536))
                await writer.drain()
        assert not echo.received


async def test_a_reset_reaches_present_and_new_connections() -> None:
    """Reading on either ends with ECONNRESET, not with a clean end."""
    async with proxied() as (proxy, _), client(proxy) as old:
        await said(old, b"before")
        proxy.reset()
        for streams in (old, None):
            with pytest.raises(ConnectionResetError):
                await read_to_end(proxy, streams)
        await proxy.heal()
        async with client(proxy) as streams:
            assert await said(streams, b"x") == b"x"


async def test_a_refused_port_comes_back_with_the_same_number() -> None:
    """Connecting is refused on both sockets while down; after healing the same address works."""
    async with proxied() as (proxy, _), client(proxy) as old:
        await said(old, b"x")
        port = proxy.port
        await proxy.refuse()
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_unix_connection(proxy.folder / ".s.PGSQL.5432")
        with pytest.raises(ConnectionResetError):
            await read_to_end(proxy, old)
        await proxy.heal()
        assert proxy.port == port
        async with client(proxy) as streams:
            assert await said(streams, b"x") == b"x"


async def test_refusing_can_leave_present_connections_alone() -> None:
    """A listener that is gone does not end what it accepted before."""
    async with proxied() as (proxy, _), client(proxy) as streams:
        await said(streams, b"x")
        await proxy.refuse(drop=False)
        assert await said(streams, b"still here") == b"still here"


async def test_a_drip_lets_one_byte_pass_at_a_time() -> None:
    """The answer comes byte by byte, each after its interval; healing lets the rest out at once."""
    async with proxied() as (proxy, _), client(proxy) as (reader, writer):
        proxy.drip(0.01, way=Direction.DOWN)
        writer.write(b"abcdefgh" * 1000)
        pieces = [await reader.read(100) for _ in range(4)]
        assert pieces == [b"a", b"b", b"c", b"d"]
        await proxy.heal()
        async with asyncio.timeout(1):
            assert len(await reader.readexactly(7996)) == 7996


async def test_a_target_that_is_away_resets_the_client() -> None:
    """Nothing listens behind the proxy: the client is not left waiting."""
    async with proxied() as (proxy, _):
        free = proxy.port
    async with FaultProxy(("127.0.0.1", free)) as proxy, client(proxy) as (reader, _), asyncio.timeout(1):
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert proxy.counts["unreachable"] == 1


async def test_what_is_held_is_bounded() -> None:
    """A client that reads nothing makes the target wait: the proxy holds kilobytes, not the megabytes."""
    sent = 0
    full = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(bytes(65536))
                async with asyncio.timeout(0.2):
                    await writer.drain()
                sent += 65536
        except (TimeoutError, ConnectionError):
            full.set()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname()) as proxy, client(proxy) as (reader, _):
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # the kernel's buffers fill up
        async with asyncio.timeout(5):
            await full.wait()
        assert proxy.counts["bytes_down"] < 16_000_000
    server.close()


@pytest.mark.parametrize(
    "fault", ["none", "latency", "drip", "black_hole", "hole_down", "reset", "refuse", "cut"]
)
async def test_it_closes_within_a_second_in_every_state(fault: str, tmp_path: Path) -> None:
    """Clients waiting, bytes held back, listener gone or not: closing takes under a second, no task stays."""
    before = asyncio.all_tasks()
    async with proxied() as (proxy, _), client(proxy) as old:
        await said(old, b"x")
        match fault:
            case "latency":
                proxy.latency(3600)
            case "drip":
                proxy.drip(3600)
            case "black_hole":
                proxy.black_hole()
            case "hole_down":
                proxy.black_hole(way=Direction.DOWN)
            case "reset":
                proxy.reset()
            case "refuse":
                await proxy.refuse(drop=False)
            case "cut":
                proxy.cut_after(1)
        old[1].write(bytes(10_000))
        started = asyncio.get_running_loop().time()
        folder = proxy.folder
        await proxy.close()
        assert asyncio.get_running_loop().time() - started < 1
        assert not folder.exists()
    assert not {task for task in asyncio.all_tasks() - before if "fault proxy" in task.get_name()}


@pytest.mark.parametrize("unix", [False, True])
async def test_postgresql_is_reached_through_it(database_url: str, unix: bool) -> None:
    """asyncpg connects through either socket, loses the server when it resets, and gets it back."""
    async with FaultProxy(postgres_target(database_url)) as proxy:
        url = proxy.postgres_url(database_url, unix=unix)
        link = await asyncpg.connect(url, timeout=5)
        assert await link.fetchval("SELECT count(*) FROM trading_signals") == 0
        proxy.reset()
        with pytest.raises((ConnectionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
            await link.fetchval("SELECT 1")
        await proxy.heal()
        link = await asyncpg.connect(url, timeout=5)
        assert await link.fetchval("SELECT 1") == 1
        await link.close()
