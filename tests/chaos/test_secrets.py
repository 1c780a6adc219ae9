"""The API key and the database password, after every failure, are nowhere but where they belong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import struct
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from database import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor
from llm_integration.config import clean_key
from llm_integration.domain import TaskStatus
from llm_integration.errors import ConfigError
from llm_integration.record.config import DatabaseConfig
from llm_integration.response_parser import LLMResponseParser, ParsedResponse
from llm_integration.simulator import FAULTS
from tests.chaos.llm_parts import Rig, completion_body, rig, serving, wait_until
from tests.chaos.proxy import FaultProxy, postgres_target

KEY = "sk-or-v1-KEYMARKER0123456789abcdef"
PASSWORD = "PWMARKER-s3cret"
MARKERS = ("KEYMARKER", "PWMARKER")
ROOT = Path(__file__).resolve().parents[2]
GROUPS = sorted({info.group for info in FAULTS.values()})


def shown(error: BaseException) -> str:
    """Everything a log, a debugger or a crash reporter could print of an error and of its causes."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    parts = [repr(each) + str(each) + repr(each.args) + repr(vars(each)) for each in chain]
    return "".join(parts) + "".join(traceback.format_exception(error))


def written(folder: Path) -> str:
    """All files below ``folder``."""
    return "".join(file.read_text("utf-8", "replace") for file in folder.rglob("*") if file.is_file())


def no_marker(*texts: str) -> None:
    """No text holds a marker; says which one and where if it does."""
    for text in texts:
        for marker in MARKERS:
            at = text.find(marker)
            assert at < 0, text[max(0, at - 200) : at + 40]


async def one_end(bench: Rig, signal_id: str) -> None:
    """Until the signal has ended, or waits because the line is stopped; then the line is made to run."""
    await bench.time.until(lambda: signal_id in bench.ended or bench.state == "waiting", step=2)
    bench.simulator.clear_script()
    await bench.time.until(lambda: signal_id in bench.ended, step=60)


@pytest.mark.parametrize("group", GROUPS)
async def test_the_key_appears_nowhere_whatever_openrouter_does(
    group: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failing shape, every logger at DEBUG: logs, files, results and statistics are clean."""
    caplog.set_level(logging.DEBUG)
    async with rig(tmp_path, key=KEY, keys=[KEY], max_retries=0, request_timeout_seconds=0.05) as bench:
        faults = [name for name, info in FAULTS.items() if info.group == group]
        for name in faults:
            bench.simulator.script(*[name] * 20)
            bench.add(name)
            await one_end(bench, name)
            statistics = repr(bench.worker.get_statistics()) + repr(vars(bench.worker))
            no_marker(statistics, repr(bench.ended[name]))
        assert bench.simulator.requests[-1].authorized  # the marker was in use
    no_marker(caplog.text, written(tmp_path), repr(caplog.records))


@pytest.mark.parametrize("where", ["content", "names", "error", "error in 200", "plain", "html", "redirect"])
async def test_a_server_that_repeats_the_key_does_not_get_it_stored(
    where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, db: DatabaseManager, database_url: str
) -> None:
    """Wherever the server puts the key that it got, tables, files, logs and callbacks are without it."""
    caplog.set_level(logging.DEBUG)
    got: list[str] = []

    async def echo(request: web.Request) -> web.StreamResponse:
        await request.read()
        key = request.headers["Authorization"].removeprefix("Bearer ")
        got.append(key)
        return echoed(where, key)

    async with serving(echo) as target:
        async with rig(tmp_path, key=KEY, database=db, target=target, max_retries=0) as bench:
            bench.add("s1")
            await bench.time.until(lambda: "s1" in bench.ended or bench.state == "waiting")
            no_marker(repr(bench.ended), repr(bench.worker.get_statistics()))
        assert got
        assert set(got) == {KEY}
    no_marker(caplog.text, written(tmp_path), await dumped(database_url))


def echoed(where: str, key: str) -> web.Response:
    """A response with the key in it."""
    headers = {"Content-Type": "application/json", "X-Generation-Id": key, "X-Echo": key}
    rating = json.dumps({"rating": 4, "choppiness": "no", "analysis": f"key {key}!", "recommendations": key})
    if where == "content":
        return web.Response(body=completion_body(rating), headers=headers)
    if where == "names":
        body = completion_body(rating, id=key, model=f"m/{key}", provider=f"p {key}\n{key}")
        return web.Response(body=body, headers=headers)
    if where == "redirect":
        headers["Location"] = f"http://127.0.0.1:1/?key={key}"
        return web.Response(status=307, headers=headers)
    if where == "html":
        return web.Response(status=502, text=f"<title>{key}</title>", content_type="text/html")
    if where == "plain":
        return web.Response(status=400, text=f"Authorization: Bearer {key}")
    raw = {"error": {"message": f"[{key}] Bearer {key}"}, key: key}
    error = {
        "error": {"code": 400, "message": key, "metadata": {"raw": json.dumps(raw), "provider_name": key}}
    }
    return web.Response(status=400 if where == "error" else 200, text=json.dumps(error), headers=headers)


async def dumped(url: str) -> str:
    """Every row of every table, as text."""
    async with DatabaseManager(url):
        pass
    link = await asyncpg.connect(url)
    try:
        names = await link.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        texts = [
            str(await link.fetchval(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{row[0]}\" t"))
            for row in names
        ]
        return "\n".join(texts)
    finally:
        await link.close()


async def test_a_redirect_takes_the_key_nowhere(tmp_path: Path) -> None:
    """The place that the redirect names is never asked, by the whole pipeline."""
    asked: list[str] = []

    async def thief(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Authorization", ""))
        return web.Response(body=completion_body('{"rating": 5}'))

    async with serving(thief) as (host, port), rig(tmp_path, key=KEY, keys=[KEY]) as bench:
        bench.simulator.script(*[f"redirect:location=http://{host}:{port}/api/v1/chat/completions"] * 5)
        bench.add("s1")
        await bench.time.until(lambda: bench.state == "waiting")
        assert "base_url" in str(bench.worker.get_statistics()["reason"])
    assert not asked


@pytest.mark.parametrize(
    ("given", "sent"),
    [(f'"{KEY}"', KEY), (f" '{KEY}' \n", KEY), (f"“{KEY}”\r\n", KEY), (f"\t{KEY}\n\n", KEY)],
)
async def test_what_stands_around_a_key_is_not_sent(
    given: str, sent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the environment to the header: quotes, blanks and line breaks are gone."""
    headers: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        headers.append(request.headers["Authorization"])
        return web.Response(body=completion_body("fine"))

    monkeypatch.setenv("OPENROUTER_API_KEY", given)
    async with serving(note) as (host, port):
        processor = LLMProcessor(
            LLMConfig(base_url=f"http://{host}:{port}", csv_output_directory=str(tmp_path))
        )
        await processor.complete("x")
        await processor.close()
    assert headers == [f"Bearer {sent}"]


@pytest.mark.parametrize(
    "key", [f"{KEY} x", f"{KEY}\r\nX-Evil: 1", f"{KEY}\nx", f"{KEY}\x00", f"{KEY}é", f'{KEY}" "{KEY}']
)
def test_a_key_no_header_can_carry_is_refused_without_showing_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the variable; neither the error nor its traceback shows the key."""
    if "\x00" in key:  # no environment can hold it, a file can
        with pytest.raises(ConfigError) as failure:
            clean_key(key)
    else:
        monkeypatch.setenv("OPENROUTER_API_KEY", key)
        with pytest.raises(ConfigError) as failure:
            LLMConfig()
    assert "OPENROUTER_API_KEY" in str(failure.value)
    assert "\n" not in str(failure.value)
    no_marker(shown(failure.value))


def test_settings_show_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """repr, dump, JSON and saved file of both blocks of settings, and of what is built from them."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    config = LLMConfig(csv_output_directory=str(tmp_path))
    database = DatabaseConfig(url=f"postgresql://u:{PASSWORD}@h/d")
    config.save(tmp_path / "config.json")
    manager = DatabaseManager(f"postgresql://u:{PASSWORD}@h/d")
    no_marker(
        repr(config), str(config), repr(config.model_dump()), config.model_dump_json(), repr(vars(config)),
        repr(config.__pydantic_private__), repr(database), repr(database.model_dump()),
        database.model_dump_json(), repr(manager), written(tmp_path),
        repr(LLMCSVExporter(config)), repr(LLMProcessor(config)),
    )  # fmt: skip
    with contextlib.suppress(Exception):
        LLMConfig.from_file_values({"api_key": KEY}, where="file")
    for values in ({"url": f"postgresql://u:{PASSWORD}@h:port/d"}, {"url": PASSWORD}, {"urll": PASSWORD}):
        with pytest.raises(Exception) as failure:
            DatabaseConfig(**values)
        no_marker(str(failure.value))


class RefusingPostgres:
    """Speaks just enough of PostgreSQL's protocol to ask for the password and to refuse it."""

    def __init__(self) -> None:
        self.passwords: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                (size,) = struct.unpack("!i", await reader.readexactly(4))
                start = await reader.readexactly(size - 4)
                if struct.unpack("!i", start[:4])[0] != 80877103:  # no request for TLS
                    break
                writer.write(b"N")
            writer.write(b"R" + struct.pack("!ii", 8, 3))  # the password in clear text, please
            await reader.readexactly(1)
            (size,) = struct.unpack("!i", await reader.readexactly(4))
            self.passwords.append((await reader.readexactly(size - 4)).rstrip(b"\0").decode())
            said = 'password authentication failed for user "u"'
            fields = b"SFATAL\0VFATAL\0C28P01\0M" + said.encode() + b"\0\0"
            writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def refusing_postgres() -> AsyncIterator[tuple[RefusingPostgres, int]]:
    refusing = RefusingPostgres()
    server = await asyncio.start_server(refusing, "127.0.0.1", 0)
    try:
        yield refusing, server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("fault", ["refuse", "reset", "black_hole", "cut", "password", "name", "url"])
async def test_the_password_is_in_no_error_or_log(
    fault: str, caplog: pytest.LogCaptureFixture, database_url: str
) -> None:
    """Unreachable, cut, silent, refused or a wrong address: message, traceback and DEBUG log are clean."""
    caplog.set_level(logging.DEBUG)
    async with FaultProxy(postgres_target(database_url)) as proxy, refusing_postgres() as (refusing, port):
        at = f"postgresql://u:{PASSWORD}@127.0.0.1"
        url = {
            "password": f"{at}:{port}/d", "name": f"postgresql://u:{PASSWORD}@no-such-host.invalid/d",
            "url": f"postgresql://u:{PASSWORD}@[::1/d",
        }.get(fault, f"{at}:{proxy.port}/d")  # fmt: skip
        if fault == "refuse":
            await proxy.refuse()
        elif fault == "reset":
            proxy.reset()
        elif fault == "black_hole":
            proxy.black_hole()
        elif fault == "cut":
            proxy.cut_after(5)
        with pytest.raises(Exception) as failure:
            await DatabaseManager(url, connect_timeout=0.2).connect()
        no_marker(shown(failure.value))
        assert (fault == "password") == (PASSWORD in refusing.passwords)
    no_marker(caplog.text, repr(caplog.records))


async def program(*arguments: str, **variables: str) -> tuple[int, str]:
    """Exit status and everything the program printed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLM_", "OPENROUTER", "DATA"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main_with_database.py"), "--no-dashboard", "--log-level", "DEBUG",
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**kept, "TRADENT_ENV_FILE": "", **variables},
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode("utf-8", "replace")


@pytest.mark.slow
async def test_the_program_shows_no_secret_when_it_refuses_to_start(tmp_path: Path) -> None:
    """Database away, password refused, URL wrong, key unusable: status 2, one reason, no secret."""
    async with refusing_postgres() as (refusing, port), FaultProxy(("127.0.0.1", 1)) as proxy:
        at = f"postgresql://u:{PASSWORD}@127.0.0.1"
        runs = [
            (("--demo", "--database-url", f"{at}:{port}/d"), {}),
            (("--demo", "--database-url", f"{at}:{proxy.port}/d"), {}),
            (("--data", str(ROOT / "data" / "EURUSD_1h.csv")), {"OPENROUTER_API_KEY": f"{KEY} x"}),
        ]
        ends = await asyncio.gather(
            *(program(*given, "--output", str(tmp_path), **variables) for given, variables in runs)
        )
        assert refusing.passwords
    for status, output in ends:
        assert status == 2, output
        no_marker(output)
    no_marker(written(tmp_path))


@pytest.mark.slow
async def test_a_run_with_both_secrets_leaves_no_trace_of_them(database_url: str, tmp_path: Path) -> None:
    """Rated, refused and failed signals, a database with a password: output, files and tables are clean."""
    bars = tmp_path / "bars.csv"
    lines = (ROOT / "data" / "EURUSD_1h.csv").read_text().splitlines(keepends=True)
    bars.write_text("".join(lines[:600]))
    out = tmp_path / "out"
    async with (
        rig(tmp_path / "unused", key=KEY, keys=[KEY]) as bench,
        FaultProxy(postgres_target(database_url)) as link,
    ):
        through = link.postgres_url(database_url).replace("postgres@", f"postgres:{PASSWORD}@")
        bench.simulator.script("ok", "server_error", "bad_request", "hang_mid_body:after=10", "text_orders")
        status, output = await program(
            "--data", str(bars), "--symbol", "EURUSD", "--database-url", through, "--output", str(out),
            OPENROUTER_API_KEY=KEY, OPENROUTER_BASE_URL=bench.simulator.base_url,
            LLM_REQUEST_TIMEOUT_SECONDS="0.5", LLM_MAX_RETRIES="0", LLM_REQUESTS_PER_MINUTE="1000",
        )  # fmt: skip
        assert status == 0, output
        assert bench.simulator.requests[-1].authorized
    no_marker(output, written(out), await dumped(database_url))


async def test_a_crash_of_the_worker_shows_no_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback in the log, and what a reporter of crashes finds in the frames' arguments, is clean."""
    caplog.set_level(logging.DEBUG)

    class Broken(LLMResponseParser):
        def parse(self, text: str | None, finish_reason: str | None = None) -> ParsedResponse:
            raise ZeroDivisionError

    async with rig(tmp_path, key=KEY, keys=[KEY], parser=Broken()) as bench:
        bench.add("s1")
        await wait_until(lambda: "ZeroDivisionError" in caplog.text)
        await bench.time.until(lambda: bench.ids(TaskStatus.FAILED), step=1)
    records = [record for record in caplog.records if record.exc_info]
    assert records
    for record in records:
        assert record.exc_info is not None
        frames = traceback.TracebackException(*record.exc_info, capture_locals=True)
        no_marker("".join(frames.format()))
