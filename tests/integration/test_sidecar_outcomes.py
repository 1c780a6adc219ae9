"""What becomes of signals, followed by a sidecar: in its file, in PostgreSQL, and as the host reports it."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_integration import Bar, LLMConfig, Sidecar, SidecarThread
from llm_integration.csv_exporter.outcomes import OUTCOME_FILE
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.program import connected
from tests.integration.database_helpers import T0

pytestmark = pytest.mark.postgres
BOUND = 15.0


@pytest.fixture
async def _server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    async with OpenRouterSimulator(latency_seconds=(0.001, 0.002)) as running:
        monkeypatch.setenv("OPENROUTER_API_KEY", SIMULATED_KEY)
        monkeypatch.setenv("OPENROUTER_BASE_URL", running.base_url)
        yield


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _server: None) -> None:
    monkeypatch.chdir(tmp_path)


def config(folder: Path, **outcomes: Any) -> LLMConfig:
    return LLMConfig(
        requests_per_minute=10_000,
        csv_output_directory=str(folder / "out"),
        outcomes=outcomes,
    )


def a_signal(name: str, at: int = 0) -> dict[str, Any]:
    data = {
        "timestamp": T0 + timedelta(minutes=at), "symbol": "ES", "signal_type": "BUY", "entry_price": 100.0,
        "stop_loss": 98.0, "target_price": 104.0,
    }  # fmt: skip
    return {"signal_id": name, "signal_data": data}


def a_bar(at: int, price: float = 100.0) -> Bar:
    return Bar(T0 + timedelta(minutes=at), price, price + 1, price - 1, price, 10.0)


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "out" / OUTCOME_FILE).open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len({row["signal_id"] for row in found}) == len(found)
    return {row["signal_id"]: row for row in found}


async def stored(url: str) -> dict[str, dict[str, Any]]:
    async with connected(url) as link:
        return {row["signal_id"]: dict(row) for row in await link.fetch("SELECT * FROM signal_outcomes")}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not holds():  # noqa: ASYNC110  a thread works on it
            await asyncio.sleep(0.01)


async def test_outcomes_are_told_as_bars_come_in(database_url: str, tmp_path: Path) -> None:
    """A target and a stop, in file and table the same; what is open at the end is in neither."""
    settings = config(tmp_path, spread=0.5, horizon_bars=10)
    async with Sidecar(settings, database_url=database_url, session="mine") as sidecar:
        for name, at, price in (("up", 0, 100.0), ("down", 1, 103.5), ("", 2, 100.0), ("open", 3, 97.0)):
            assert not name or sidecar.add_signal(a_signal(name, at))
            sidecar.add_bar(a_bar(at, price), symbol="ES")
        await until(lambda: sidecar.statistics()["outcomes"]["unsaved"] == 0)
    kept, table = rows(tmp_path), await stored(database_url)
    assert set(kept) == set(table) == {"up", "down"}
    assert {name: row["exit"] for name, row in kept.items()} == {"up": "target", "down": "stop"}
    for name, row in table.items():
        for column in ("r_gross", "r_net", "r_optimistic", "mfe", "mae", "entry_price", "exit_price"):
            assert float(kept[name][column]) == row[column], (name, column)
        assert (row["source"], row["resolver_version"]) == ("bars", "1")
        assert '"spread": 0.5' in row["rules"]
        assert '"spread":0.5' in kept[name]["rules"]


async def test_what_a_host_reports_stands_in_file_and_table(database_url: str, tmp_path: Path) -> None:
    """A fill moves the entry; a reported outcome takes the place of one of bars, once, and of none."""
    async with Sidecar(config(tmp_path), database_url=database_url) as sidecar:
        for name in ("filled", "told", "late"):
            assert sidecar.add_signal(a_signal(name))
        sidecar.add_bar(a_bar(0), symbol="ES")
        sidecar.report_fill("filled", 101.0, T0 + timedelta(seconds=30))
        sidecar.report_outcome("told", 102.0, (T0 + timedelta(seconds=40)).isoformat(), r_net=0.7)
        sidecar.add_bar(a_bar(1, 103.5), symbol="ES")
        await until(lambda: sidecar.statistics()["outcomes"]["file"]["rows_written"] == 3)
        sidecar.report_outcome("late", 99.0, T0 + timedelta(minutes=9), exit="time")
        await until(lambda: sidecar.statistics()["outcomes"]["file"]["rows_waiting"] == 0)
    table = await stored(database_url)
    for name, found in (("file", rows(tmp_path)), ("table", table)):
        told = {
            key: (row["exit"], float(row["r_gross"]), float(row["r_net"]), row["source"])
            for key, row in found.items()
        }
        assert told["filled"] == ("target", 1.0, 1.0, "bars"), name
        assert told["told"] == ("time", 1.0, 0.7, "host"), name
        assert told["late"][0::3] == ("time", "host"), name
    assert (table["filled"]["fill_price"], table["filled"]["bars_held"]) == (101.0, 1)


async def test_a_report_about_a_signal_of_an_earlier_run_finds_it_in_the_table(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An order that ends after a restart is counted all the same; one of nobody's signal is a warning."""
    async with Sidecar(config(tmp_path), database_url=database_url, session="mine") as first:
        assert first.add_signal(a_signal("night"))
        assert first.add_signal(a_signal("kept"))
        assert await first.drain(BOUND)
    async with Sidecar(config(tmp_path), database_url=database_url, session="mine") as again:
        again.report_fill("night", 100.5, T0 + timedelta(minutes=1))
        again.report_outcome("night", 104.0, T0 + timedelta(minutes=50))
        again.report_fill("kept", 100.5, T0 + timedelta(minutes=1))
        again.report_fill("nobody", 1.0, T0)
        await until(lambda: again.statistics()["outcomes"]["unknown"] == 1)
    table = await stored(database_url)
    assert (table["night"]["exit"], table["night"]["r_gross"], table["night"]["mfe"]) == ("target", 1.4, None)
    assert (table["kept"]["exit"], table["kept"]["fill_price"]) == ("open", 100.5)
    assert caplog.text.count("signal 'nobody'") == 1


async def test_reports_never_raise_and_never_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a host passes: each that cannot be used is one line with the reason, and the rest goes on."""
    odd: list[tuple[Any, ...]] = [
        ("a", "x", T0), ("a", float("nan"), T0), ("a", 100.0, "yesterday"), ("a", None, None),
        (None, 1.0, T0), ([], 1.0, T0), ("b", 1.0, T0), ("a", 100.0, T0, "sideways"),
    ]  # fmt: skip
    async with Sidecar(config(tmp_path)) as sidecar:
        assert sidecar.add_signal(a_signal("a"))
        sidecar.add_bar(a_bar(0), symbol="ES")
        began = time.perf_counter()
        for signal_id, price, at, *how in odd:
            if how:
                sidecar.report_outcome(signal_id, price, at, exit=how[0])
            else:
                sidecar.report_fill(signal_id, price, at)
        assert time.perf_counter() - began < 0.05
        sidecar.report_outcome("a", 104.0, T0 + timedelta(minutes=1))
    assert caplog.text.count("outcomes: ") == len(odd)
    assert rows(tmp_path)["a"]["exit"] == "target"


def test_a_host_without_a_loop_reports_too(tmp_path: Path) -> None:
    """From any thread; after the end a report is one line and nothing else."""
    sidecar = SidecarThread(config(tmp_path))
    assert sidecar.submit(a_signal("a"))
    sidecar.add_bar(a_bar(0), symbol="ES")
    sidecar.report_fill("a", 100.0, T0)
    sidecar.report_outcome("a", 98.0, T0 + timedelta(minutes=3))
    assert sidecar.close(BOUND)
    sidecar.report_outcome("a", 99.0, T0)
    assert rows(tmp_path)["a"]["exit"] == "stop"


async def test_switched_off_nothing_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """There is no file, no thread, and a report says why it is not taken."""
    async with Sidecar(config(tmp_path, enabled=False)) as sidecar:
        assert sidecar.add_signal(a_signal("a"))
        for at in range(3):
            sidecar.add_bar(a_bar(at, 100.0 + 3 * at), symbol="ES")
        sidecar.report_fill("a", 100.0, T0)
        assert sidecar.statistics()["outcomes"]["followed"] == 0
    assert "outcomes are switched off" in caplog.text
    assert not (tmp_path / "out" / OUTCOME_FILE).exists()
