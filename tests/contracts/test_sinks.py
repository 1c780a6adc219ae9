"""What every sink must do: the CSV files, answers in memory, and the sink of the documentation."""

from __future__ import annotations

import csv
import importlib.util
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from llm_integration import LLMConfig, LLMCSVExporter
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.ports import Sink
from llm_integration.sidecar.outcomes import OutcomeSink
from llm_integration.sinks import LatestAnalyses, SinkList
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer

ROOT = Path(__file__).resolve().parents[2]


def example(path: Path) -> Sink:
    """The sink that the documentation shows."""
    loader = importlib.util.spec_from_file_location("json_lines", ROOT / "examples/json_lines.py")
    assert loader is not None
    assert loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    made: Sink = module.JsonLinesSink(path)
    return made


def rows_of(file: Path) -> list[str]:
    """The ids in a CSV file."""
    with file.open(encoding="utf-8", newline="") as opened:
        return [row["signal_id"] for row in csv.DictReader(opened)]


def lines_of(file: Path) -> list[str]:
    """The ids in a file of JSON lines."""
    return [json.loads(line)["signal_id"] for line in file.read_text(encoding="utf-8").splitlines()]


SINKS: dict[str, Callable[[Path], Sink]] = {
    "csv files": lambda folder: LLMCSVExporter(output_directory=folder),
    "json lines": lambda folder: example(folder / "answers.jsonl"),
    "answers": lambda _folder: LatestAnalyses(),
    "outcomes": lambda folder: OutcomeSink(LLMConfig(), folder),
}
KEPT: dict[str, Callable[[Path, Sink], list[str]]] = {
    "csv files": lambda folder, _sink: rows_of(folder / "llm_signals.csv"),
    "json lines": lambda folder, _sink: lines_of(folder / "answers.jsonl"),
    "answers": lambda _folder, sink: [
        f"s-{at}" for at in range(50) if cast("LatestAnalyses", sink).get(f"s-{at}") is not None
    ],
}


@pytest.fixture(params=list(SINKS))
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    return SINKS[request.param](tmp_path)


def test_a_sink_may_be_started_twice_and_takes_everything_at_once(sink: Sink) -> None:
    """Nothing that is handed over makes the caller wait, and close comes back in its time."""
    sink.start()
    sink.start()
    longest = 0.0
    for at in range(50):
        began = time.perf_counter()
        sink.record_bar("run", "ES", a_bar(at), a_signal(f"s-{at}", at) if at % 10 == 0 else None)
        longest = max(longest, time.perf_counter() - began)
    began = time.monotonic()
    sink.close(5.0)
    assert time.monotonic() - began < 5.5
    assert longest < 0.05


@pytest.mark.parametrize("name", list(KEPT))
def test_what_was_handed_over_before_the_close_is_kept_each_once_in_order(name: str, tmp_path: Path) -> None:
    """And no thread of the sink outlives it."""
    before = set(threading.enumerate())
    sink = SINKS[name](tmp_path)
    sink.start()
    for at in range(50):
        sink.write_analysis(a_signal(f"s-{at}", at), an_answer(f"s-{at}"))
    sink.close(5.0)
    assert KEPT[name](tmp_path, sink) == [f"s-{at}" for at in range(50)]
    assert set(threading.enumerate()) <= before


def test_a_sink_may_be_closed_before_it_was_started_and_twice(sink: Sink) -> None:
    """Every order of ending is a usual one; none takes the time that it may take."""
    before, began = set(threading.enumerate()), time.monotonic()
    sink.close(5.0)
    sink.close(5.0)
    assert time.monotonic() - began < 2.0
    assert set(threading.enumerate()) <= before


class Broken:
    """Raises from everything."""

    def start(self) -> None:
        raise ZeroDivisionError

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> None:
        raise ZeroDivisionError

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        raise ZeroDivisionError

    def close(self, timeout: float = 10.0) -> None:
        raise ZeroDivisionError


class Hangs(LatestAnalyses):
    """Does not end."""

    def close(self, timeout: float = 10.0) -> None:
        time.sleep(timeout + 3)


async def test_the_fault_of_one_sink_costs_the_others_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and counted; one that hangs is left behind within its time."""
    good, file = LatestAnalyses(), example(tmp_path / "answers.jsonl")
    sinks = SinkList([Broken(), good, Hangs(), file])
    sinks.start()
    for at in range(3):
        sinks.record_bar(None, "ES", a_bar(at))
        sinks.write_analysis(a_signal(f"s-{at}", at), an_answer(f"s-{at}"))
    began = time.monotonic()
    await sinks.close(0.2)
    assert time.monotonic() - began < 1.5
    assert sinks.errors == {"Broken": 8}
    assert caplog.text.count("Broken could not") == 1
    assert "Hangs did not close within 0.2 s" in caplog.text
    assert good.get("s-2") is not None
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3
