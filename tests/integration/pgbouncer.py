"""A real pgbouncer in transaction mode before the test server."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llm_integration.record.database_url import read_url

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
SERVERS = 3
"""Connections to the server per database: fewer than clients, so that each soon meets another's."""
START_SECONDS = 10.0


class PgBouncer:
    """Where it listens."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, url: str) -> str:
        """``url``, leading through the pooler."""
        return f"postgresql://anybody@127.0.0.1:{self.port}/{urlsplit(url).path[1:]}?sslmode=disable"


@contextmanager
def pgbouncer(url: str, *settings: str) -> Iterator[PgBouncer]:
    """A pooler before the server of ``url``; skips the test where pgbouncer is not installed."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is NOT INSTALLED, so poolers are not tested here: apt-get install pgbouncer")
    told = read_url(url)
    ((host, server_port),) = told.places
    password = f" password={told.password.get_secret_value()}" if told.password else ""
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n* = host={host} port={server_port} user={told.user}{password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = transaction\ndefault_pool_size = {SERVERS}\nmax_client_conn = 300\n"
        + "".join(f"{line}\n" for line in settings)
    )
    file.chmod(0o644)
    command = [PROGRAM, "-q", *_account(host), str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_listening(port)
        yield PgBouncer(port)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _account(host: str) -> list[str]:
    """It does not run as root; who owns the socket of the server may use it."""
    if os.geteuid() != 0:
        return []
    owner = pwd.getpwuid(Path(host).stat().st_uid).pw_name if host.startswith("/") else "nobody"
    return ["-u", "nobody" if owner == "root" else owner]


def _await_listening(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
