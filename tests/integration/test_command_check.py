"""``check`` against a real database and the simulator: what it finds, and that it changes nothing."""

from __future__ import annotations

import argparse
import json
import stat
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llm_integration.commands import check, check_folders, check_server
from llm_integration.commands.check_database import skew
from llm_integration.commands.check_item import Status
from llm_integration.commands.line import load_command
from llm_integration.commands.settings import Settings, load
from llm_integration.config import DEFAULT_BASE_URL, LLMConfig
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.providers.learnt import LearntDialects
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.conftest import PostgresForTests
from tests.integration.database_helpers import plain

MODEL = "google/gemini-3.5-flash-lite"
DEAD = "google/gemini-2.5-flash-preview-05-20"
SECRET = "sk-or-v1-marker-of-a-secret"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text('{"llm": {}, "database": {}}')


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenRouterSimulator]:
    server = OpenRouterSimulator()
    await server.start()
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", SIMULATED_KEY)
    yield server
    await server.stop()


def parsed(url: str, *given: str) -> argparse.Namespace:
    return load_command("check")[1].parse_args(["--database-url", url, "--json", *given])


async def found(
    url: str, capsys: pytest.CaptureFixture[str], *, status: int
) -> dict[str, list[tuple[str, str]]]:
    """Status and text of each item by its name."""
    assert await check.run(parsed(url)) == status
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (status == 0)
    items: dict[str, list[tuple[str, str]]] = {}
    for item in report["items"]:
        items.setdefault(item["name"], []).append((item["status"], item["text"]))
    return items


async def test_a_machine_that_is_ready(
    simulator: OpenRouterSimulator, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every item is fine, no chat request was sent, and no folder was made."""
    items = await found(database_url, capsys, status=0)
    assert {status for told in items.values() for status, _ in told} == {"ok"}
    assert list(items) == [
        "settings", "address", "key", "clock of the server", f"model {MODEL}", "database",
        "clock of the database", "results folder", "outbox folder",
    ]  # fmt: skip
    assert "USD a million prompt tokens" in items[f"model {MODEL}"][0][1]
    assert "replies by schema" in items[f"model {MODEL}"][0][1]
    assert "OPENROUTER_BASE_URL" in items["settings"][0][1]
    assert simulator.counters["chat_requests"] == 0
    assert entries() == ["config.json"]
    assert await check.run(argparse.Namespace(**{**vars(parsed(database_url)), "json": False})) == 0
    assert "9 ok" in capsys.readouterr().out


def entries() -> list[str]:
    return sorted(entry.name for entry in Path().iterdir())


async def test_a_refused_key_fails_and_unknown_models_are_named(
    simulator: OpenRouterSimulator, database_url: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Every model that the settings name is looked up, those of routes, ensembles and shadows too."""
    monkeypatch.setenv("OPENROUTER_API_KEY", SECRET)
    monkeypatch.setenv("LLM_FALLBACK_MODELS", "no/such")
    monkeypatch.setenv("LLM_ROUTES", '[{"model": "not/this", "fallbacks": ["nor/that"]}]')
    monkeypatch.setenv("LLM_SHADOW", '[{"model": "in/shadow", "share": 0.5}]')
    assert await check.run(parsed(database_url)) == 1
    shown = capsys.readouterr().out
    assert SECRET not in shown
    items = {item["name"]: item for item in json.loads(shown)["items"]}
    assert items["key"]["status"] == "fail"
    assert "OPENROUTER_API_KEY" in items["key"]["text"]
    for name in ("no/such", "not/this", "nor/that", "in/shadow"):
        assert items[f"model {name}"]["status"] == "warn"  # this server's own answer decides
        assert "not among those offered" in items[f"model {name}"]["text"]
    assert items[f"model {MODEL}"]["status"] == "ok"


async def test_no_key_and_no_server(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server than OpenRouter may need no key; one that does not answer says so."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://127.0.0.1:9/v1")
    items = await found(database_url, capsys, status=0)
    assert items["key"][0][0] == items["models"][0][0] == "warn"
    monkeypatch.setenv("OPENROUTER_API_KEY", SECRET)
    items = await found(database_url, capsys, status=1)
    assert items["key"][0][0] == "fail"
    assert "does not answer" in items["key"][0][1]


KEYS: list[tuple[int, Any, str, str]] = [
    (200, {"data": {"limit": 10, "limit_remaining": 0}}, "fail", "used up"),
    (200, {"data": {"limit": 10, "limit_remaining": 0.5}}, "warn", "only 0.5 of 10 USD"),
    (200, {"data": {"limit": None, "limit_remaining": None}}, "ok", "no limit"),
    (200, {"data": {"limit": 5, "limit_remaining": 5, "is_free_tier": True}}, "warn", ":free"),
    (200, {"data": {"expires_at": "2020-01-01T00:00:00Z"}}, "fail", "expired on 2020-01-01"),
    (200, {"data": {"is_management_key": True}}, "fail", "manages keys"),
    (200, ["nothing"], "fail", "without a word"),
    (200, {"data": {"limit": "x", "limit_remaining": True}}, "ok", "no limit"),
    (404, {}, "warn", "does not tell about keys"),
    (302, {}, "fail", "HTTP 302"),
    (500, {"error": {}}, "fail", "HTTP 500"),
]


@pytest.mark.parametrize(("status", "body", "verdict", "told"), KEYS)
async def test_what_a_server_says_of_a_key(
    status: int, body: Any, verdict: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each state of a key has its verdict; the key goes to this address only and is never shown."""
    headers = []

    async def answer(request: web.Request) -> web.Response:
        headers.append(request.headers.get("Authorization"))
        where = {"Location": "/v1/elsewhere"} if status == 302 else {}
        return web.json_response(body, status=status, headers=where)

    app = web.Application()
    app.router.add_get("/v1/{name:.*}", answer)
    async with TestServer(app) as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", str(server.make_url("/v1")))
        monkeypatch.setenv("OPENROUTER_API_KEY", SECRET)
        config = load(parsed("embedded")).llm
        items = await check_server.check(config, date(2026, 1, 1))
    assert headers == [f"Bearer {SECRET}", None]
    assert any(item.name == "key" and item.status == verdict and told in item.text for item in items)
    assert SECRET not in repr(items)


async def test_a_model_that_will_go_or_is_small_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """An announced end, an end that has passed, a context without room, and no JSON mode."""

    def model(name: str, **changes: Any) -> dict[str, Any]:
        price = {"prompt": "0.0000003", "completion": "0.0000025"}
        return {
            "id": name,
            "context_length": 100_000,
            "pricing": price,
            "supported_parameters": [],
            **changes,
        }

    listing = {
        "data": [
            model("a/ends", expiration_date="2026-01-20"),
            model("a/ended", expiration_date="2025-12-31"),
            model("a/small", context_length=4_096),
            model("a/plain"),
        ]
    }

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(listing)

    app = web.Application()
    app.router.add_get("/v1/{name:.*}", answer)
    async with TestServer(app) as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", str(server.make_url("/v1")))
        monkeypatch.setenv("LLM_MODEL", "a/ends")
        monkeypatch.setenv("LLM_FALLBACK_MODELS", "a/ended,a/small,a/plain,~a/latest")
        items = await check_server.check(load(parsed("embedded")).llm, date(2026, 1, 1))
    verdicts = {item.name: (item.status.value, item.text) for item in items}
    assert verdicts["model a/ends"][0] == "warn"
    assert "in 19 days" in verdicts["model a/ends"][1]
    assert verdicts["model a/ended"][0] == "fail"
    assert verdicts["model a/small"][0] == "warn"
    assert verdicts["model a/plain"] == (
        "ok",
        "context 100,000 tokens, 0.3 USD a million prompt tokens, 2.5 reply, no JSON mode, plain text",
    )
    assert verdicts["model ~a/latest"][0] == "warn"


@pytest.mark.usefixtures("simulator")
async def test_a_database_without_tables_is_left_without_tables(
    postgres: PostgresForTests, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preflight does not migrate; it says what the first run will do."""
    url = postgres.create(empty=True)
    try:
        items = await found(url, capsys, status=0)
        assert "will be made by the first run" in items["database"][0][1]
        async with plain(url) as connection:
            assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname='public'") == 0
    finally:
        postgres.drop(url)


@pytest.mark.usefixtures("simulator")
async def test_tables_of_another_version_are_told(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Older ones will be brought up to date, newer ones need a newer program."""
    async with plain(database_url) as connection:
        await connection.execute("DELETE FROM schema_version WHERE version > 1")
        assert (await found(database_url, capsys, status=0))["database"][0][0] == "warn"
        await connection.execute("INSERT INTO schema_version (version) VALUES (99)")
        status, text = (await found(database_url, capsys, status=1))["database"][0]
    assert status == "fail"
    assert "version 99" in text


@pytest.mark.usefixtures("simulator")
async def test_an_unreachable_database_fails_only_if_it_is_required(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither user nor password is shown."""
    url = "postgresql://marker_user:marker_password@127.0.0.1:9/x"
    items = await found(url, capsys, status=1)
    assert items["database"][0][0] == "fail"
    Path("config.json").write_text('{"database": {"required": false}}')  # noqa: ASYNC240  a tiny file
    items = await found(url, capsys, status=0)
    assert items["database"][0][0] == "warn"
    assert "marker" not in repr(items)


async def test_wrong_settings_are_told_and_are_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """As an item like the others, so that scripts read one format."""
    Path("config.json").write_text('{"llm": {"modle": "x"}}')  # noqa: ASYNC240  a tiny file
    items = await found("embedded", capsys, status=2)
    assert "did you mean 'model'" in items["settings"][0][1]


def settings(**changes: Any) -> Settings:
    loaded = load(parsed("embedded"))
    return Settings(loaded.file, loaded.llm.model_copy(update=changes), loaded.database)


def test_settings_that_do_not_count_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable, a missing file, a sidecar that is off; not other programs' variables."""
    monkeypatch.setenv("LLM_MODLE", "x")
    monkeypatch.setenv("LLM_ZZZ_QQQ", "x")
    monkeypatch.setenv("LLM_MAX_TOKENS", "500")
    told = [item.text for item in check._settings(settings(enabled=False))]
    assert any("LLM_MODLE" in text and "'model'" in text for text in told)
    assert any("enabled is false" in text for text in told)
    assert "LLM_MAX_TOKENS" in told[0]
    assert "LLM_ZZZ_QQQ" not in "".join(told)
    Path("config.json").unlink()
    assert check._settings(settings())[0].status is Status.WARN


def test_folders_that_cannot_be_written_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the way, a folder without rights, a prompt folder that is missing; nothing is made."""
    Path("file").write_text("")
    verdicts = check_folders.check(settings(csv_output_directory="file/below", prompt_directory="no/prompts"))
    assert [(item.name, item.status.value) for item in verdicts] == [
        ("results folder", "fail"), ("outbox folder", "ok"), ("prompt folder", "fail"),
    ]  # fmt: skip
    Path("closed").mkdir()
    Path("closed").chmod(stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    (item, *_) = check_folders.check(settings(csv_output_directory="closed/new"))
    assert item.status is Status.FAIL
    assert "csv_output_directory" in item.text
    (item, *_) = check_folders.check(settings(csv_output_directory="."))
    assert item.status is Status.OK
    assert entries() == ["closed", "config.json", "file"]


def test_another_clock_is_compared_within_the_time_the_question_took() -> None:
    """A slow answer is no skew; five seconds ahead or behind are."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    later = now + timedelta(seconds=30)
    assert skew("clock", now + timedelta(seconds=10), now, later).status is Status.OK
    ahead, behind = (
        skew("clock", later + timedelta(hours=1), now, later),
        skew("c", now - timedelta(minutes=1), now, later),
    )
    assert (ahead.status, behind.status) == (Status.WARN, Status.WARN)
    assert "3600 s ahead of" in ahead.text
    assert "60 s behind" in behind.text


def test_numbers_of_a_server_are_numbers_or_nothing() -> None:
    """Neither truth nor text nor NaN is money."""
    number = check_server._number
    assert [number(value) for value in (1, Decimal("0.5"), True, "1", None, Decimal("NaN"))] == [
        1, Decimal("0.5"), None, None, None, None,
    ]  # fmt: skip


async def test_a_model_that_is_gone_is_told_with_its_successor_also_without_a_network(
    simulator: OpenRouterSimulator, database_url: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The setting to change and what to put there, from the server's list or from the shipped one."""
    monkeypatch.setenv("LLM_MODEL", f"openrouter/{DEAD}")
    monkeypatch.setenv("LLM_FALLBACK_MODELS", "google/gemini-2.5-flash-preview")
    online = await found(database_url, capsys, status=1)
    assert simulator.counters["chat_requests"] == 0
    offline, shipped = LLMConfig(base_url=DEFAULT_BASE_URL), ModelCatalogue(DEFAULT_BASE_URL)
    await shipped.load()
    items = check_server._unread(shipped, offline, date(2026, 11, 27))
    told = {item.name: [(item.status.value, item.text)] for item in items}
    for items_by_name in (online, told):
        (status, text), *_ = items_by_name[f"model {DEAD}"]
        assert status == "fail"
        assert text.endswith(f"change llm.model to {MODEL}, which is served")
        (_, text), *_ = items_by_name["model google/gemini-2.5-flash-preview"]
        assert text.endswith(f"change llm.fallback_models to {MODEL}, which is served")
    assert "cannot be read" in told["models"][0][1]
    assert list(told) == ["models", f"model {DEAD}", "model google/gemini-2.5-flash-preview"]


async def test_what_was_learnt_about_the_server_and_its_address_are_shown(
    simulator: OpenRouterSimulator, tmp_path: Path
) -> None:
    """Each change with the day on which it is forgotten, and the variable that named the address."""
    book = LearntDialects(simulator.base_url, folder=tmp_path / "models")
    book.learn(MODEL, ["drop:temperature", "system:user"])
    await book.keep()
    config = load(parsed("embedded")).llm
    items = await check_server.check(config, date(2026, 1, 1), dialect_folder=tmp_path / "models")
    assert items[0].text == f"{simulator.base_url} (OPENROUTER_BASE_URL in the environment)"
    assert (items[-1].name, items[-1].status) == (f"model {MODEL}", Status.OK)
    end = (datetime.now(UTC) + timedelta(days=7)).date()
    assert f"is asked without temperature, which its server refuses (until {end})" in items[-1].text
    assert "user message" in items[-1].text
