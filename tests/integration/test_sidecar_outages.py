"""PostgreSQL fails under a whole sidecar: its parts share what they know, and none starves another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_integration import LLMConfig, Sidecar
from llm_integration.domain import Bar, Signal
from llm_integration.record import DatabaseConfig
from llm_integration.sidecar import HostSession
from tests.chaos.program import connected
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.integration.database_helpers import T0
from tests.unit.worker_parts import signal_mapping

pytestmark = pytest.mark.postgres

BAR = Bar(T0, 1.0, 1.2, 0.9, 1.1, 5.0)
STATEMENT_SECONDS = 0.4


@asynccontextmanager
async def sidecar_on(url: str, folder: Path, **settings: Any) -> AsyncIterator[Sidecar]:
    """A host that has its signals stored first, with a budget, an outbox and a simulated model."""
    config = LLMConfig(**{
        "model": "simulated/m", "requests_per_minute": 10_000, "csv_output_directory": str(folder / "out"),
        "poll_interval": 0.1, "lease_seconds": 3.0, "budgets": [{"per": "day", "tokens": 10**9}], **settings,
    })  # fmt: skip
    block = DatabaseConfig(
        url=url, outbox_directory=str(folder / "box"), statement_timeout_seconds=STATEMENT_SECONDS,
        connect_timeout_seconds=STATEMENT_SECONDS,
    )  # fmt: skip
    session = HostSession("mine", "ES", resumable=True)
    async with Sidecar(config, database=block, session=session, sinks=(), simulate=True) as sidecar:
        yield sidecar


async def bring(sidecar: Sidecar, name: str) -> None:
    """A bar, and the signal that it brought."""
    signal = Signal.from_mapping(name, {**signal_mapping(name)["signal_data"], "session_id": "mine"})
    await sidecar.record_signal(signal)
    sidecar.add_bar(BAR, symbol="ES")


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  states have no event
            await asyncio.sleep(0.02)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The beginnings and ends of outages that were announced."""
    return [text.partition(" (")[0] for text in caplog.messages if text.startswith("PostgreSQL ")]


async def cut(proxy: FaultProxy) -> None:
    await proxy.refuse()


async def silence(proxy: FaultProxy) -> None:
    proxy.black_hole()


@pytest.mark.parametrize("strike", [cut, silence])
async def test_one_outage_of_all_parts_is_two_messages(
    strike: Callable[[FaultProxy], Any],
    database_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Heartbeat, signals, bars, budgets, results and the ledger all fail; the first one says so, and the last
    one that works again. Afterwards everything is stored.
    """
    async with (
        FaultProxy(postgres_target(database_url)) as proxy,
        sidecar_on(proxy.postgres_url(database_url), tmp_path) as sidecar,
    ):
        await bring(sidecar, "before")
        assert await sidecar.rating("before", 10) is not None
        await strike(proxy)
        for number in range(4):
            await bring(sidecar, f"s-{number}")
            await asyncio.sleep(0.3)
        shared = sidecar.parts.availability
        await until(lambda: all(shared.error_of(kind) for kind in ("signals", "beat")))
        assert sidecar.statistics()["database_error"] is not None
        await proxy.heal()
        async with asyncio.timeout(30):
            await sidecar.drain_session()
        await until(lambda: shared.error is None)
        assert sidecar.statistics()["database_error"] is None
    assert said(caplog) == ["PostgreSQL does not answer", "PostgreSQL answers again"]
    async with connected(database_url) as link:
        tasks = await link.fetch("SELECT status FROM llm_enhancement_tasks")
        bars = await link.fetchval("SELECT count(*) FROM market_data")
    assert [row["status"] for row in tasks] == ["completed"] * 5
    assert bars == 1  # the same bar each time


async def test_a_locked_table_of_bars_keeps_no_signal_waiting(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each try to store bars ends in silence for as long as somebody holds their table: signals are claimed,
    paid for, rated and stored meanwhile.
    """
    async with (
        sidecar_on(database_url, tmp_path) as sidecar,
        connected(database_url) as link,
    ):
        shared = sidecar.parts.availability
        async with link.transaction():
            await link.execute("LOCK TABLE market_data IN ACCESS EXCLUSIVE MODE")
            sidecar.add_bar(BAR, symbol="ES")
            await until(lambda: shared.error_of("bars") is not None)
            for number in range(3):
                name = f"s-{number}"
                await bring(sidecar, name)
                assert await sidecar.rating(name, 10) is not None
                assert await sidecar.drain(5)
                before = shared.error_of("bars")
                assert before is not None
                assert shared.error_of("work") is shared.error_of("budgets") is shared.error_of("results")
                tasks = await stored(database_url)
                assert tasks[name] == ("completed", 1)
        await until(lambda: shared.error is None)
    assert len(said(caplog)) == 2
    async with connected(database_url) as link:
        assert await link.fetchval("SELECT count(*) FROM market_data") == 1


async def stored(url: str) -> dict[str, tuple[str, int]]:
    """Status and number of results of each signal."""
    async with connected(url) as link:
        rows = await link.fetch(
            "SELECT signal_id, t.status, (SELECT count(*) FROM llm_analysis_results r WHERE r.signal_id ="
            " t.signal_id) AS results FROM llm_enhancement_tasks t"
        )
    return {row["signal_id"]: (row["status"], row["results"]) for row in rows}


async def test_the_end_of_a_sidecar_in_an_outage_is_not_a_second_outage(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its parts end one after the other and each gives up: nothing of that is announced anew."""
    async with FaultProxy(postgres_target(database_url)) as proxy:
        async with sidecar_on(proxy.postgres_url(database_url), tmp_path) as sidecar:
            await bring(sidecar, "before")
            assert await sidecar.rating("before", 10) is not None
            await cut(proxy)
            await bring(sidecar, "late")
            shared = sidecar.parts.availability
            await until(lambda: shared.error_of("signals") is not None)
        assert shared.error is None  # nobody asks any more
    assert said(caplog) == ["PostgreSQL does not answer"]
