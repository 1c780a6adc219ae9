"""What the embedded server and its helpers inherit, and a set-up that fails: why, what to do, and no rest."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest

from database import DatabaseManager
from llm_integration.record import placement
from llm_integration.record.cluster import Cluster
from llm_integration.record.embedded import EmbeddedPostgres
from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.placement import choose_place
from llm_integration.record.postmaster import (
    ServerBounds,
    end_server,
    folder_of,
    processes_in,
    read_postmaster,
)
from llm_integration.record.programs import run
from tests.acceptance.test_program import ROOT, environment
from tests.chaos.program import soon
from tests.integration.test_embedded import FAST, answers, folder_for_a_cluster

T = TypeVar("T")
pytestmark = [pytest.mark.postgres, pytest.mark.slow]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")

SECRETS = {
    "OPENROUTER_API_KEY": "sk-or-v1-mine", "EXCHANGE_API_SECRET": "exchange-secret-mine",
    "DATABASE_URL": "postgresql://u:mine@h/d", "AWS_SESSION_TOKEN": "aws-mine", "OTHER": "mine",
}  # fmt: skip
STRANGER = 12_345
"""A number of which no account is known."""
STRANGE_POSTGRES = {
    "PGHOST": "db.example", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "x",
    "PGDATABASE": "other", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/no", "PGSSLNEGOTIATION": "direct",
    "PGOPTIONS": "-c nonsense=1", "PGSERVICE": "nowhere", "PGSERVICEFILE": "/no", "PGPASSFILE": "/nowhere",
    "PGTARGETSESSIONATTRS": "read-only", "PGGSSLIB": "nonsense", "PGDATA": "/nowhere", "PGTZ": "nonsense",
    "PGCLIENTENCODING": "LATIN1", "PGDATESTYLE": "nonsense", "PGCONNECT_TIMEOUT": "0", "PGAPPNAME": "x" * 500,
}  # fmt: skip


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A base folder without a cluster."""
    with folder_for_a_cluster() as folder:
        yield folder


def of_the_living(pids: Iterable[int], look: Callable[[int], T]) -> list[T]:
    """What ``look`` finds at each process that still is; the server itself is."""
    found = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(look(pid))
    assert found
    return found


def environment_of(pid: int) -> bytes:
    """What a process was started with, as anybody with its account can read it."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def files_of(pid: int) -> list[str]:
    """What a process has open."""
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]


def status_of(pid: int) -> dict[str, list[int]]:
    """User, group and further groups of a process, as the kernel has them."""
    lines = (line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: sorted(map(int, text.split())) for name, text in lines if name in ("Uid", "Gid", "Groups")}


def status_of_account(account: pwd.struct_passwd) -> dict[str, list[int]]:
    """What a process of this account should have."""
    groups = sorted(os.getgrouplist(account.pw_name, account.pw_gid))
    return {"Uid": [account.pw_uid] * 4, "Gid": [account.pw_gid] * 4, "Groups": groups}


@linux_only
async def test_no_process_of_the_server_has_a_secret_a_file_or_a_group_of_ours(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Looked at from outside, in /proc, for the server and every child that it has."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "a file of ours").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        async with EmbeddedPostgres(fresh, settings=FAST) as server:
            place = server._cluster.place
            family = processes_in(folder_of(place.data))
            assert len(family) > 3
            for environ in of_the_living(family, environment_of):
                assert b"mine" not in environ
            for files in of_the_living(family, files_of):
                assert [name for name in files if "a file of ours" in name] == []
            if place.account.switch:
                expected = status_of_account(pwd.getpwuid(place.account.uid))
                assert all(status == expected for status in of_the_living(family, status_of))


@root_only
@linux_only
@pytest.mark.parametrize("group", [0, None], ids=["group root", "its own group"])
@pytest.mark.parametrize("name", ["nobody", "postgres"])
async def test_the_server_has_the_groups_of_its_account_whatever_group_owns_the_folder(
    name: str, group: int | None, fresh: Path
) -> None:
    """A folder of group root, as ``chown nobody`` leaves it, gives no group root to the server."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        pytest.skip(f"this machine has no account {name}")
    os.chown(choose_place(fresh).folder, account.pw_uid, account.pw_gid if group is None else group)
    async with EmbeddedPostgres(fresh, settings=FAST) as server:
        family = processes_in(folder_of(server.location / "data"))
        expected = status_of_account(account)
        assert all(status == expected for status in of_the_living(family, status_of))


@root_only
@linux_only
async def test_a_folder_of_an_account_that_does_not_exist_is_no_obstacle(fresh: Path) -> None:
    """A new cluster gets an account that does; the files of an old one are used under their number alone."""
    os.chown(choose_place(fresh).folder, STRANGER, 0)
    async with EmbeddedPostgres(fresh, settings=FAST) as server:
        uid = server._cluster.place.account.uid
        family = processes_in(folder_of(server.location / "data"))
        expected = status_of_account(pwd.getpwuid(uid))
        assert all(status == expected for status in of_the_living(family, status_of))
    data = choose_place(fresh).data
    for path in (data, *data.rglob("*")):
        os.chown(path, STRANGER, 0)
    async with EmbeddedPostgres(fresh, settings=FAST) as server:
        assert await answers(server.dsn)
        family = processes_in(folder_of(server.location / "data"))
        expected = {"Uid": [STRANGER] * 4, "Gid": [STRANGER] * 4, "Groups": []}
        assert all(status == expected for status in of_the_living(family, status_of))


@root_only
@linux_only
def test_every_helper_runs_as_the_account_with_nothing_of_ours(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """initdb and pg_ctl are started like this shell, which says what it has got."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    place = choose_place(fresh)
    said = run(
        ["/bin/sh", "-c", "id -u; id -g; id -G; env"], account=place.account, folder=place.folder, seconds=20
    ).splitlines()
    assert [int(said[0]), int(said[1])] == [place.account.uid, place.account.gid]
    assert sorted(map(int, said[2].split())) == sorted({place.account.gid, *place.account.groups})
    assert 0 not in map(int, said[2].split())
    assert "mine" not in "\n".join(said)


async def test_variables_of_postgresql_mean_nothing_here(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are about other servers: set-up, start, our connection, restart and stop are as without them."""
    for name, value in {**STRANGE_POSTGRES, "LC_ALL": "xx_YY.UTF-8", "LANG": "nonsense"}.items():
        monkeypatch.setenv(name, value)
    async with EmbeddedPostgres(fresh, settings=FAST) as server, DatabaseManager(server.dsn) as database:
        (row,) = await database.connections.fetch("asking", "SELECT current_user, current_database()")
        assert tuple(row) == ("postgres", "tradent")
        dsn = server.dsn
    assert not await answers(dsn)


async def test_the_demo_runs_whatever_variables_of_postgresql_are_set(fresh: Path, tmp_path: Path) -> None:
    """The program as a newcomer starts it, on a machine that is set up for another server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.altered_program", str(fresh), "good", "--demo", "--no-dashboard",
        "--speed", "0", "--output", str(tmp_path / "out"), cwd=ROOT,
        env=environment(**STRANGE_POSTGRES), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    said, log = await asyncio.wait_for(process.communicate(), 110)
    assert process.returncode == 0, log.decode()[-3000:]
    assert b"finished" in said
    assert "PostgreSQL does not" not in log.decode()


@contextmanager
def disk(options: str) -> Iterator[Path]:
    """A file system in memory that any account may walk into; skips where this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="tradent-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system needs root and the right to mount")
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def remount(folder: Path, options: str) -> None:
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def failure(base: Path) -> str:
    """What a start says that fails; it must be one line."""
    with pytest.raises(EmbeddedServerError) as caught:
        Cluster(base, FAST).acquire()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def starts(base: Path) -> None:
    """A start that must work, and its end."""
    handle = Cluster(base, FAST)
    handle.acquire()
    handle.release()


@pytest.mark.parametrize("size", ["16k", "200k", "3m", "12m", "24m"])
def test_a_full_disk_is_named_and_leaves_no_half_cluster(size: str) -> None:
    """At whatever point of the set-up it is full; with room the next start works."""
    with disk(f"size={size},mode=755") as folder:
        said = failure(folder / "state")
        assert "No space left on device" in said
        assert "make room" in said
        assert not (folder / "state" / "postgres" / "data").exists()
        assert not (folder / "state" / "postgres" / "data.part").exists()
        remount(folder, "size=200m")
        starts(folder / "state")


def test_a_disk_that_is_full_before_anything_is_made_can_be_used_later() -> None:
    """Not even the file that names the cluster is left behind empty."""
    with disk("size=4k,nr_inodes=0,mode=755") as folder:
        (folder / "filler").write_bytes(bytes(4096))
        assert "No space left on device" in failure(folder / "state")
        (folder / "filler").unlink()
        remount(folder, "size=200m")
        starts(folder / "state")


def test_a_read_only_folder_is_named() -> None:
    """With what to do about it."""
    with disk("size=10m,mode=755") as folder:
        remount(folder, "ro")
        said = failure(folder / "state")
        assert str(folder / "state") in said
        assert "Read-only file system; make it writable" in said


def test_a_disk_that_runs_no_programs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binaries that had to be copied to a disk that is mounted noexec."""
    monkeypatch.setattr(placement, "_reachable", lambda binaries: False)
    with disk("size=300m,mode=755,noexec") as folder:
        said = failure(folder / "state")
        assert "Permission denied" in said
        assert "noexec" in said


def test_binaries_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is too small for the copy is not left full of half of it."""
    monkeypatch.setattr(placement, "_reachable", lambda binaries: False)
    with disk("size=5m,mode=755") as folder:
        said = failure(folder / "state")
        assert "No space left on device" in said
        assert "make room" in said
        assert not (folder / "state" / "postgres" / "server").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    tmp_path.chmod(0o500)
    assert "Permission denied; check who owns" in failure(tmp_path / "state")


FAILING_INITDB = """#!/bin/sh
echo "creating directory data ... ok"
echo "PG_VERSION" > "$2/PG_VERSION"
{command}
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo 'initdb: error: invalid locale name \"xx\"' >&2; exit 1", "invalid locale name"),
        (
            "echo 'initdb: error: could not do it: Disk quota exceeded'; exit 1",
            "Disk quota exceeded; make room",
        ),
        ("kill -BUS $$", "was ended by SIGBUS"),
        ("exit 1", "creating directory data"),
        ("printf '\\033[31mFATAL:  could not\\n'; exit 1", "could not"),
    ],
)
def test_whatever_initdb_says_is_one_line_and_leaves_nothing(
    command: str, expected: str, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line that says something, and the folder is clean for the next start."""
    folder = Path(tempfile.mkdtemp(prefix="tradent-bin-"))
    folder.chmod(0o755)
    try:
        program = folder / "initdb"
        program.write_text(FAILING_INITDB.format(command=command))
        program.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setattr("llm_integration.record.cluster_server.find_binaries", lambda place: folder)
            said = failure(fresh)
        assert expected in said
        assert str(choose_place(fresh).folder) in said
        assert not (choose_place(fresh).folder / "data.part").exists()
    finally:
        shutil.rmtree(folder)
    starts(fresh)


@linux_only
@pytest.mark.parametrize(
    "bounds",
    [ServerBounds(), ServerBounds(fast=0.0), ServerBounds(fast=0.0, immediate=0.0, killed=5.0)],
    ids=["in order", "at once", "killed"],
)
@pytest.mark.parametrize("frozen", [False, True])
async def test_a_server_is_ended_in_every_way_and_keeps_what_was_committed(
    bounds: ServerBounds, frozen: bool, fresh: Path
) -> None:
    """Frozen or not, with a client that is connected; nothing of it is left."""
    async with EmbeddedPostgres(fresh) as server:
        server._watch.stop()
        link = await asyncpg.connect(server.dsn)
        await link.execute("CREATE TABLE kept AS SELECT 42 AS n")
        place = folder_of(server.location / "data")
        found = read_postmaster(server.location / "data")
        assert found is not None
        for pid in processes_in(place) if frozen else ():
            os.kill(pid, signal.SIGSTOP)
        assert await asyncio.to_thread(end_server, found.pid, place, bounds)
        await soon(lambda: not processes_in(place))
        link.terminate()
    async with EmbeddedPostgres(fresh) as server:
        link = await asyncpg.connect(server.dsn)
        assert await link.fetchval("SELECT n FROM kept") == 42
        await link.close()


async def test_a_start_that_is_given_up_leaves_no_server(fresh: Path) -> None:
    """Cancelled at any moment of the set-up, and stopped: nothing runs, and the next start works."""
    for pause in (0.0, 0.05, 0.3, 0.8, 1.2, 1.6):
        server = EmbeddedPostgres(fresh, settings=FAST)
        starting = asyncio.create_task(server.start())
        await asyncio.wait({starting}, timeout=pause)
        starting.cancel()
        await asyncio.wait({starting})
        async with asyncio.timeout(5):
            await server.stop()
        assert processes_in(folder_of(choose_place(fresh).data)) == []
    await asyncio.to_thread(starts, fresh)
