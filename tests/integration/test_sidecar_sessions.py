"""A host's sessions: bars and signals stored, gone on with, refused; a simulated model answers."""

from __future__ import annotations

import asyncio
import csv
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_integration import LLMConfig, Sidecar
from llm_integration.csv_exporter import RESULT_FILE
from llm_integration.domain import Bar, Signal
from llm_integration.record import DatabaseConfig
from llm_integration.sidecar import HostSession, SessionError
from tests.chaos.program import connected
from tests.integration.database_helpers import T0
from tests.unit.worker_parts import signal_mapping

pytestmark = pytest.mark.postgres


def config(folder: Path, **values: Any) -> LLMConfig:
    """Settings under which a simulated model answers."""
    return LLMConfig(**{
        "model": "simulated/m", "requests_per_minute": 10_000, "csv_output_directory": str(folder / "out"),
        **values,
    })  # fmt: skip


def block(url: str, folder: Path) -> DatabaseConfig:
    return DatabaseConfig(url=url, outbox_directory=str(folder / "box"))


def bar_at(hour: int) -> Bar:
    return Bar(T0 + timedelta(hours=hour), 1.0, 1.2, 0.9, 1.1, 5.0)


def a_signal(name: str, hour: int, session: str | None) -> Signal:
    data = signal_mapping(name, symbol="ES", timestamp=(T0 + timedelta(hours=hour)).isoformat())[
        "signal_data"
    ]
    return Signal.from_mapping(name, {**data, "session_id": session})


async def trade(sidecar: Sidecar, hours: range, known: int = 0) -> None:
    """A signal on every fifth bar; the first ``known`` bars were traded by an earlier run."""
    for hour in hours:
        signal = a_signal(f"s-{hour}", hour, sidecar.session) if hour % 5 == 4 else None
        if signal is not None and hour >= known:
            await sidecar.record_signal(signal)
        sidecar.add_bar(bar_at(hour), symbol="ES", signal=signal, stored=hour < known)


async def test_bars_of_a_session_are_stored_under_their_symbols(database_url: str, tmp_path: Path) -> None:
    """From any thread and before the start; without a session they go to the sinks alone."""
    async with Sidecar(config(tmp_path), database=block(database_url, tmp_path), simulate=True) as without:
        without.add_bar(bar_at(0), symbol="ES")
    sidecar = Sidecar(
        config(tmp_path, csv_output_directory=str(tmp_path / "second")),
        database=block(database_url, tmp_path), session="mine", simulate=True,
    )  # fmt: skip
    sidecar.add_bar(bar_at(0), symbol="ES")
    async with sidecar:
        await asyncio.to_thread(sidecar.add_bar, bar_at(1), symbol="ES")
        await asyncio.to_thread(sidecar.add_bar, bar_at(0), symbol="NQ")
        sidecar.add_bar(bar_at(2), symbol="ES")
        await asyncio.sleep(0)
    async with connected(database_url) as link:
        stored = await link.fetch(
            "SELECT session_id, symbol, count(*) FROM market_data GROUP BY 1, 2 ORDER BY 2"
        )
        (status,) = await link.fetch("SELECT status FROM trading_sessions")
    assert [tuple(row) for row in stored] == [("mine", "ES", 3), ("mine", "NQ", 1)]
    assert status["status"] == "stopped"
    with (tmp_path / "second" / RESULT_FILE).open(newline="", encoding="utf-8") as file:
        assert [row["symbol"] for row in csv.DictReader(file)].count("ES") == 3


async def test_a_resumable_host_goes_on_behind_its_last_bar_and_asks_nothing_twice(
    database_url: str, tmp_path: Path
) -> None:
    """Answers of the first run stand in the second one's files, though its settings name another folder."""
    first = HostSession("run-1", symbol="ES", source="a file", resumable=True)
    async with Sidecar(
        config(tmp_path), database=block(database_url, tmp_path), session=first, simulate=True
    ) as sidecar:
        await trade(sidecar, range(12))
        async with asyncio.timeout(20):
            await sidecar.drain_session()
    again = HostSession("run-2", symbol="ES", source="a file", goes_on="newest", resumable=True)
    async with Sidecar(
        config(tmp_path, csv_output_directory=str(tmp_path / "elsewhere")),
        database=block(database_url, tmp_path), session=again, simulate=True,
    ) as sidecar:  # fmt: skip
        assert (sidecar.session, sidecar.resume_after) == ("run-1", bar_at(11).timestamp)
        assert sidecar.config.output_folder == tmp_path / "out"
        earlier = await sidecar.rating("s-4")
        assert earlier is not None
        assert earlier.rated
        assert not await sidecar.record_signal(a_signal("s-9", 9, "run-1")), "it has its answer"
        await trade(sidecar, range(20), known=12)
        async with asyncio.timeout(20):
            await sidecar.drain_session()
        assert sidecar.statistics()["completed"] == 2
        sidecar.note_end(completed=True, bars_ended=True)
    async with connected(database_url) as link:
        counts = await link.fetchrow(
            "SELECT (SELECT count(*) FROM market_data) AS bars, (SELECT count(*) FROM llm_analysis_results)"
            " AS results, (SELECT count(*) FROM trading_sessions) AS sessions,"
            " (SELECT status FROM trading_sessions) AS status"
        )
    assert tuple(counts) == (20, 4, 1, "completed")
    with (tmp_path / "out" / RESULT_FILE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["timestamp"] for row in rows] == sorted({row["timestamp"] for row in rows})
    assert [row["llm_status"] for row in rows if row["signal_id"]] == ["completed"] * 4


async def test_a_session_that_cannot_go_on_is_refused_and_nothing_is_left_running(
    database_url: str, tmp_path: Path
) -> None:
    """In one line: the name is unknown, or PostgreSQL is away."""
    before = asyncio.all_tasks()
    unknown = HostSession("none such", goes_on="named", flag="--session")
    with pytest.raises(SessionError, match="there is no session 'none such'"):
        await Sidecar(
            config(tmp_path), database=block(database_url, tmp_path), session=unknown, simulate=True
        ).start()
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    newest = HostSession("x", symbol="ES", goes_on="newest", flag="--resume")
    away = block(nowhere, tmp_path).model_copy(update={"required": False})
    with pytest.raises(SessionError, match=r"--resume needs PostgreSQL: .*; start it, or leave --resume out"):
        await Sidecar(config(tmp_path), database=away, session=newest, simulate=True).start()
    assert asyncio.all_tasks() == before


async def test_when_it_is_off_rows_of_signals_do_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is going to answer: the file has the bar at once, with the reason."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    async with Sidecar(config(tmp_path, model="google/gemini-2.5-flash"), session="mine") as sidecar:
        assert not await sidecar.record_signal(a_signal("s-0", 0, "mine"))
        sidecar.add_bar(bar_at(0), symbol="ES", signal=a_signal("s-0", 0, "mine"))
        until = time.monotonic() + 10
        file = tmp_path / "out" / RESULT_FILE
        while "s-0" not in (file.read_text(encoding="utf-8") if file.exists() else ""):
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
