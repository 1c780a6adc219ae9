"""What every sink must do; run against the CSV files, a list of sinks, and a host's own of a few lines."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_integration import LLMCSVExporter
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.ports import Sink
from llm_integration.sinks import Answers, SinkList
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer


class JsonLines:
    """A sink of a host's own."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> None:
        pass

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"id": signal.signal_id, "rating": analysis.rating}) + "\n")

    def close(self, timeout: float = 10.0) -> None:
        pass


SINKS: dict[str, Callable[[Path], Sink]] = {
    "csv files": lambda folder: LLMCSVExporter(output_directory=folder),
    "json lines": lambda folder: JsonLines(folder / "answers.jsonl"),
    "answers": lambda _folder: Answers(),
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
    sink.write_analysis(a_signal("s-0", 0), an_answer("s-0"))
    began = time.monotonic()
    sink.close(5.0)
    assert time.monotonic() - began < 5.5
    assert longest < 0.05


def test_a_sink_may_be_closed_before_it_was_started_and_twice(sink: Sink) -> None:
    """Every order of ending is a usual one."""
    sink.close(1.0)
    sink.close(1.0)


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


class Hangs(Answers):
    """Does not end."""

    def close(self, timeout: float = 10.0) -> None:
        time.sleep(timeout + 3)


async def test_the_fault_of_one_sink_costs_the_others_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and counted; one that hangs is left behind within its time."""
    good, file = Answers(), JsonLines(tmp_path / "answers.jsonl")
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
