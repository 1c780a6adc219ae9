"""A database password, whatever its characters and whatever fails, is in nothing that anybody can read."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import traceback
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from urllib.parse import quote

import pytest

from database import DatabaseManager
from llm_integration.record.rehearsal import rehearse
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.test_secrets import RefusingPostgres, refusing_postgres

ROOT = Path(__file__).resolve().parents[2]
MARKER = "PWMARKER"
AT_ONCE = 4
PASSWORDS = [
    f"{MARKER}/x", f"1/{MARKER}", f"?{MARKER}", f"a#{MARKER}", f"a@{MARKER}", f"a@{MARKER}/b", f"50%{MARKER}",
    f":{MARKER}", f"[{MARKER}", f"]{MARKER}[", f"{MARKER} two", f"'{MARKER}'", f'"{MARKER}', f"\n{MARKER}",
    f"ä€{MARKER}", f"&{MARKER}=", f"\\{MARKER}", f"${MARKER}", f"a@b:5/{MARKER}", f"%2F{MARKER}",
]  # fmt: skip
"""Each stands in a URL as it is, and once more escaped."""


def urls(host: str) -> list[str]:
    """URLs with each password, unescaped and escaped."""
    given = [f"postgresql://user:{each}@{host}/d" for each in PASSWORDS]
    given += [f"postgresql://user:{quote(each, safe='')}@{host}/d" for each in PASSWORDS]
    return [*given, *(f"postgresql://user%3A{quote(each, safe='')}@{host}/d" for each in PASSWORDS[:3])]


def frames_of_ours(error: BaseException) -> str:
    """Messages of the whole chain, and the variables of every frame but those of the tests."""
    parts = []
    chain, link = [error], error.__cause__ or error.__context__
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for each in chain:
        parts.append(repr(each) + repr(each.args) + repr(vars(each)))
        report = traceback.TracebackException.from_exception(each, capture_locals=True, limit=None)
        parts += [repr(frame.locals) for frame in report.stack if "/tests/" not in frame.filename]
    return "".join(parts)


@pytest.mark.parametrize("fault", ["refuse", "reset", "black_hole", "cut", "password", "no server"])
async def test_every_way_to_fail_shows_nothing(
    fault: str, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors with the variables of their frames, the log at DEBUG, reprs: connect, call and rehearsal."""
    caplog.set_level(logging.DEBUG)
    shown = []
    async with FaultProxy(postgres_target(database_url)) as proxy, refusing_postgres() as (refusing, port):
        host = {"password": f"127.0.0.1:{port}", "no server": "127.0.0.1:1"}.get(
            fault, f"127.0.0.1:{proxy.port}"
        )
        await _set(fault, proxy)
        for url in urls(host)[:: 1 if fault == "no server" else 4]:
            for call in (DatabaseManager.connect, _call, _rehearse):
                manager = DatabaseManager(url, connect_timeout=0.05, acquire_timeout=0.05)
                with pytest.raises(Exception) as failure:
                    await call(manager)
                shown.append(frames_of_ours(failure.value) + repr(manager) + repr(vars(manager)))
                await manager.close()
        assert _met(refusing) == (fault == "password")
    shown.append(caplog.text)
    assert not [text for text in shown if MARKER in text]


async def _call(manager: DatabaseManager) -> None:
    await manager.end_session("s", "stopped")


async def _rehearse(manager: DatabaseManager) -> None:
    await rehearse(manager.connections)


async def _set(fault: str, proxy: FaultProxy) -> None:
    if fault == "refuse":
        await proxy.refuse()
    elif fault == "reset":
        proxy.reset()
    elif fault == "black_hole":
        proxy.black_hole()
    elif fault == "cut":
        proxy.cut_after(5)


def _met(refusing: RefusingPostgres) -> bool:
    return any(MARKER in each for each in refusing.passwords)


async def run(folder: Path, *arguments: str, **variables: str) -> str:
    """Everything that a program prints before it ends, and its status."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLM_", "OPENROUTER", "DATA"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=folder, stdout=PIPE, stderr=STDOUT,
        env={**kept, "PYTHONPATH": str(ROOT), "TRADENT_ENV_FILE": ".env", **variables},
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode, arguments
    return output.decode("utf-8", "replace")


def ways(folder: Path, number: int, url: str) -> tuple[list[str], dict[str, str]]:
    """The programs and the places where a URL can stand, in turn."""
    main = [
        str(ROOT / "main_with_database.py"),
        "--demo",
        "--no-dashboard",
        "--log-level",
        "DEBUG",
        "--output",
        ".",
    ]
    command = ["-m", "llm_integration", ("check", "costs", "export", "retry", "health")[number % 5]]
    folder.mkdir()
    if number % 4 == 0:
        return [*(main if number % 8 else command), "--database-url", url], {}
    if number % 4 == 1:
        return (main if number % 8 == 1 else command), {"DATABASE_URL": url}
    if number % 4 == 2:
        (folder / "config.json").write_text(json.dumps({"database": {"url": url}}))
        return [*(main if number % 8 == 2 else command), "--config", "config.json"], {}
    if number % 8 == 3:  # a shell that cuts it at its blanks
        return [*main, "--database-url", *url.replace(MARKER, f"x {MARKER}").split(" ")], {}
    return [*command, f"--database-ulr={url}"], {}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_program_prints_it(tmp_path: Path) -> None:
    """Program and commands, with the URL in an option, the environment, the file, or cut by a shell."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, url: str) -> str:
        arguments, variables = ways(tmp_path / str(number), number, url)
        async with free:
            return await run(tmp_path / str(number), *arguments, **variables)

    given = urls("127.0.0.1:1")[: len(PASSWORDS) + 4]
    outputs = await asyncio.gather(*(one(number, url) for number, url in enumerate(given)))
    assert all(outputs)
    assert not [text for text in outputs if MARKER in text]


@pytest.mark.slow
async def test_a_url_in_env_counts_as_one_in_the_environment(tmp_path: Path) -> None:
    """DATABASE_URL is read from .env; the process environment goes over it, the option over both."""
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://u:PWMARKER@127.0.0.1:1/from_env\n")
    main = [str(ROOT / "main_with_database.py"), "--demo", "--no-dashboard", "--output", "."]
    over = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/from_process"}
    outputs = await asyncio.gather(
        run(tmp_path, *main),
        run(tmp_path, "-m", "llm_integration", "costs"),
        run(tmp_path, *main, **over),
        run(
            tmp_path,
            "-m",
            "llm_integration",
            "costs",
            "--database-url",
            "postgresql://127.0.0.1:1/option",
            **over,
        ),
    )
    for output, wanted in zip(outputs, ("from_env", "from_env", "from_process", "option"), strict=True):
        assert f"127.0.0.1:1/{wanted}" in output
        assert MARKER not in output
