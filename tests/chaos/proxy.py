"""A proxy that fails on command: latency, cuts, black holes, resets, refusals and drips.

It stands before PostgreSQL or before the simulator. What it does to the bytes can be changed at any time,
also for connections that exist; ``heal()`` takes every fault away.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from tests.chaos.proxy_connection import BOTH, Connection, Cut, Direction, Plan

__all__ = ["Direction", "FaultProxy", "postgres_target"]

CHUNK = 16 * 1024
BUFFER = 64 * 1024
"""Bytes held in each direction of a connection; the sender waits when the other side does not read."""
UNIX_NAME = ".s.PGSQL.5432"
"""What asyncpg looks for in a folder given as ``host``."""
CLOSE_SECONDS = 0.5

Target = tuple[str, int] | str | Path


class FaultProxy:
    """Listens on 127.0.0.1 and on a unix socket, and passes everything on to ``target``, or does not.

    ``target`` is (host, port) or the path of a unix socket. Faults hold from the moment they are set, for
    new and present connections, in both directions unless one is named; several of them add up. A
    direction that has swallowed bytes stays silent after ``heal()``, as behind a firewall that forgot the
    connection: the client has to give it up. ``seed`` decides the jitter.
    """

    def __init__(self, target: Target, *, seed: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        """connections, bytes_up, bytes_down, swallowed_up, swallowed_down, cuts, resets, unreachable, and
        how often each fault was set, by the name of its method."""
        self._target = target
        self._rng = random.Random(seed)
        self._plans = dict.fromkeys(BOTH, Plan())
        self._resetting = False
        self._changed = asyncio.Event()
        self._folder: Path | None = None
        self._places: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> FaultProxy:
        self._folder = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))  # a short path: sockets need one
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Where it is

    @property
    def folder(self) -> Path:
        """The folder of the unix socket, for ``host=`` of asyncpg."""
        assert self._folder is not None
        return self._folder

    def http_url(self, path: str = "/api/v1") -> str:
        """The base URL of an HTTP server behind this proxy."""
        return f"http://127.0.0.1:{self.port}{path}"

    def postgres_url(self, url: str, *, unix: bool = False) -> str:
        """``url`` of a PostgreSQL server, leading through this proxy instead."""
        parts = urlsplit(url)
        who = parts.netloc.rpartition("@")[0]
        at = f"{who}@" if who else ""
        if unix:
            query = f"host={quote(str(self.folder), safe='/')}&port=5432"
            return urlunsplit(parts._replace(netloc=at, query=query))
        return urlunsplit(parts._replace(netloc=f"{at}127.0.0.1:{self.port}", query=""))

    @property
    def open_connections(self) -> int:
        """Connections that exist at present."""
        return len(self._connections)

    def next_delay(self, way: Direction) -> float:
        """Seconds the next piece going this way is held back; takes one draw of the jitter."""
        return self._plans[way].delay(self._rng)

    # Faults

    def latency(self, seconds: float, *, jitter: float = 0.0, way: Direction | None = None) -> None:
        """Hold back every piece of up to 16 KB for ``seconds`` plus a random share of ``jitter``."""
        self._set("latency", way, latency=seconds, jitter=jitter)

    def drip(self, interval: float, *, way: Direction | None = None) -> None:
        """Let one byte pass every ``interval`` seconds."""
        self._set("drip", way, drip=interval)

    def cut_after(self, size: int, *, way: Direction | None = None) -> None:
        """Close each connection, both sides, once exactly ``size`` further bytes went that way."""
        for connection in self._connections:
            for direction in _ways(way):
                connection.passed[direction] = 0
        self._set("cut_after", way, cut_after=size)

    def black_hole(self, *, way: Direction | None = None) -> None:
        """Accept connections and bytes and pass nothing on; ``DOWN``: requests arrive, answers do not."""
        self._set("black_hole", way, black_hole=True)

    def reset(self) -> None:
        """Answer present and new connections with a RST."""
        self.counts["reset"] += 1
        self._resetting = True
        self.drop_connections()

    def drop_connections(self, *, abruptly: bool = True) -> None:
        """End the connections that exist; new ones are not affected."""
        for connection in list(self._connections):
            self.counts["resets" if abruptly else "cuts"] += 1
            connection.end(abruptly=abruptly)

    async def refuse(self, *, drop: bool = True) -> None:
        """Stop listening, as a server that went down; the port stays ours. ``drop`` ends what is open."""
        self.counts["refuse"] += 1
        if drop:
            self.drop_connections()
        if self._servers:
            await self._stop_listening()
            self._hold_places()

    async def heal(self) -> None:
        """Take every fault away and listen again."""
        self.counts["heal"] += 1
        self._resetting = False
        self._plans = dict.fromkeys(BOTH, Plan())
        self._wake()
        if not self._servers:
            await self._listen()

    async def close(self) -> None:
        """End everything within a second, whatever the state."""
        await self._stop_listening()
        self.drop_connections()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        self._free_places()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _set(self, name: str, way: Direction | None, **changes: float | bool) -> None:
        self.counts[name] += 1
        for direction in _ways(way):
            self._plans[direction] = replace(self._plans[direction], **changes)  # type: ignore[arg-type]  # fields by name
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # Listening

    async def _listen(self) -> None:
        self._free_places()
        tcp = socket.socket(socket.AF_INET)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("127.0.0.1", self.port))
        self.port = tcp.getsockname()[1]
        self._servers = [
            await asyncio.start_server(self._accept, sock=tcp, limit=BUFFER),
            await asyncio.start_unix_server(self._accept, sock=self._unix_socket(), limit=BUFFER),
        ]

    def _unix_socket(self) -> socket.socket:
        path = self.folder / UNIX_NAME
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        return listener

    def _hold_places(self) -> None:
        """Bound sockets that do not listen: whoever connects is refused, and nobody else gets the port."""
        tcp = socket.socket(socket.AF_INET)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("127.0.0.1", self.port))
        self._places = [tcp, self._unix_socket()]

    def _free_places(self) -> None:
        for place in self._places:
            place.close()
        self._places = []

    async def _stop_listening(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        await asyncio.sleep(0)  # the selector lets go of the sockets

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        connection = Connection(writer)
        if self._resetting or not self._servers:
            self.counts["resets"] += 1
            connection.end(abruptly=True)
            return
        self._connections.add(connection)
        task = asyncio.create_task(self._serve(connection, reader), name="fault proxy connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # One connection

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        try:
            if self._plans[Direction.UP].black_hole and self._plans[Direction.DOWN].black_hole:
                await self._swallow(connection, Direction.UP, reader)
                return
            back = await self._connect(connection)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(connection, Direction.UP, reader))
                pumps.create_task(self._pump(connection, Direction.DOWN, back))
        except* Cut:
            self.counts["cuts"] += 1
            connection.end(abruptly=False)
        except* OSError:
            connection.end(abruptly=True)
        finally:
            connection.end(abruptly=False)
            await connection.ended()
            connection.end(abruptly=True)  # whoever does not read what is left loses it
            self._connections.discard(connection)

    async def _connect(self, connection: Connection) -> asyncio.StreamReader:
        try:
            if isinstance(self._target, tuple):
                host, port = self._target
                reader, connection.target = await asyncio.open_connection(host, port, limit=BUFFER)
            else:
                reader, connection.target = await asyncio.open_unix_connection(self._target, limit=BUFFER)
        except OSError:
            self.counts["unreachable"] += 1
            raise
        return reader

    async def _pump(self, connection: Connection, way: Direction, source: asyncio.StreamReader) -> None:
        while data := await source.read(CHUNK):
            while data:
                plan = self._plans[way]
                if plan.black_hole or connection.lost[way]:
                    self._lose(connection, way, len(data))
                    break
                if await self._hold_back(way):
                    size = self._size(plan, len(data), connection.passed[way])
                    await self._pass_on(connection, way, data[:size])
                    data = data[size:]
        if not connection.lost[way] and connection.sink(way).can_write_eof():
            with contextlib.suppress(OSError):
                connection.sink(way).write_eof()

    @staticmethod
    def _size(plan: Plan, size: int, passed: int) -> int:
        if plan.drip is not None:
            size = 1
        return size if plan.cut_after is None else max(0, min(size, plan.cut_after - passed))

    async def _hold_back(self, way: Direction) -> bool:
        """Wait as the plan says; False when the plans were changed meanwhile."""
        seconds = self.next_delay(way)
        if seconds <= 0:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return True
        return False

    async def _pass_on(self, connection: Connection, way: Direction, piece: bytes) -> None:
        sink = connection.sink(way)
        sink.write(piece)
        connection.passed[way] += len(piece)
        self.counts[f"bytes_{way.value}"] += len(piece)
        limit = self._plans[way].cut_after
        if limit is not None and connection.passed[way] >= limit:
            raise Cut
        await sink.drain()

    def _lose(self, connection: Connection, way: Direction, size: int) -> None:
        connection.lost[way] = True
        self.counts[f"swallowed_{way.value}"] += size

    async def _swallow(self, connection: Connection, way: Direction, source: asyncio.StreamReader) -> None:
        while data := await source.read(CHUNK):
            self._lose(connection, way, len(data))


def postgres_target(url: str) -> tuple[str, int] | str:
    """Where the PostgreSQL of ``url`` listens, as a target: its unix socket, or host and port."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host = query.get("host", [parts.hostname or "127.0.0.1"])[0]
    port = int(query.get("port", [str(parts.port or 5432)])[0])
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def _ways(way: Direction | None) -> Iterator[Direction]:
    return iter(BOTH if way is None else (way,))
