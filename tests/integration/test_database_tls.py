"""``sslmode`` means what it says, tried with a server that speaks TLS and one that does not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from database.db_manager import DatabaseManager
from llm_integration.record.errors import DatabaseError
from tests.integration.database_helpers import signal
from tests.integration.pgbouncer import pgbouncer

UNVERIFIED = ("sslmode=allow", "sslmode=prefer", "sslmode=require", "sslmode=no-verify", "ssl=true")
OPENSSL = shutil.which("openssl")


@dataclass(frozen=True, slots=True)
class Server:
    """A pooler that takes connections with TLS only; ``root`` is its own certificate, for localhost."""

    by_name: str
    by_address: str
    root: Path
    other_root: Path


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    if OPENSSL is None:
        pytest.skip("openssl is NOT INSTALLED, so TLS to PostgreSQL is not tested here")
    file, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
            "-out", file, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o644)
    return file, key


@pytest.fixture
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """TLS in front of a fresh database."""
    folder = Path(tmp_path_factory.mktemp("tls"))
    file, key = certificate(folder, "ours")
    for each in (folder, *folder.parents[:3]):
        if each.owner() == Path.home().owner() and str(each).startswith("/tmp/"):
            each.chmod(0o755)
    settings = (
        "client_tls_sslmode = require",
        f"client_tls_key_file = {key}",
        f"client_tls_cert_file = {file}",
    )
    with pgbouncer(database_url, *settings) as pooler:
        url = pooler.url(database_url).removesuffix("?sslmode=disable")
        yield Server(url.replace("127.0.0.1", "localhost"), url, file, certificate(folder, "other")[0])


async def connects(url: str) -> str:
    """ "yes", or why not."""
    db = DatabaseManager(url)
    try:
        await db.connect()
        await db.record_signal(signal())
    except DatabaseError as error:
        return str(error)
    finally:
        await db.close()
    return "yes"


async def test_each_mode_takes_the_server_that_it_promises(server: Server) -> None:
    """What is believed without a certificate, with the right one, with a wrong one and for another name."""
    root, other = f"&sslrootcert={server.root}", f"&sslrootcert={server.other_root}"
    for words in (
        "",
        "?sslmode=allow",
        "?sslmode=prefer",
        "?sslmode=require",
        "?sslmode=no-verify",
        "?ssl=true",
    ):
        assert await connects(server.by_address + words) == "yes", words
    for url in (
        f"{server.by_name}?sslmode=verify-full{root}", f"{server.by_address}?sslmode=verify-ca{root}",
        f"{server.by_address}?sslmode=require{root}",
    ):  # fmt: skip
        assert await connects(url) == "yes", url
    for url in (
        f"{server.by_name}?sslmode=verify-full", f"{server.by_name}?sslmode=verify-ca{other}",
        f"{server.by_name}?sslmode=verify-full&sslrootcert=system",
        f"{server.by_address}?sslmode=require{other}", f"{server.by_address}?sslmode=verify-full{root}",
    ):  # fmt: skip
        refusal = await connects(url)
        assert "the server's certificate is not accepted" in refusal, url
        assert "sslrootcert" in refusal
        assert "_ssl.c" not in refusal
        assert "\n" not in refusal
    assert await connects(server.by_address + "?sslmode=disable") != "yes"


async def test_a_server_without_tls_gets_no_secret_where_tls_is_asked_for(database_url: str) -> None:
    """``prefer`` goes on without, and remembers it; ``require`` and more do not."""
    with pgbouncer(database_url) as pooler:
        plain_url = pooler.url(database_url).removesuffix("?sslmode=disable")
        for words in ("", "?sslmode=prefer", "?sslmode=allow", "?sslmode=disable"):
            assert await connects(plain_url + words) == "yes", words
        for words in ("?sslmode=require", "?sslmode=verify-ca", "?sslmode=verify-full"):
            assert "rejected SSL upgrade" in await connects(plain_url + words)


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslcrl"])
async def test_a_file_that_is_not_there_is_named_by_its_parameter(name: str, tmp_path: Path) -> None:
    """Its path is not repeated: it may be the rest of a password."""
    refusal = await connects(f"postgresql://u@127.0.0.1:1/d?sslmode=verify-ca&{name}={tmp_path}/MARKER")
    assert f"the file that {name}" in refusal
    assert "MARKER" not in refusal
