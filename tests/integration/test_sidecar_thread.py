"""The sidecar in a host without an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_integration import LLMConfig, SidecarThread
from llm_integration.csv_exporter import SIGNAL_FILE
from llm_integration.errors import ConfigError
from llm_integration.sidecar import Verdict, VerdictState
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.acceptance.test_program import ROOT, environment
from tests.unit.worker_parts import signal_mapping


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenRouterSimulator]:
    async with OpenRouterSimulator(latency_seconds=(0.05, 0.1), log_size=1_000) as running:
        monkeypatch.setenv("OPENROUTER_API_KEY", SIMULATED_KEY)
        monkeypatch.setenv("OPENROUTER_BASE_URL", running.base_url)
        yield running


def config(folder: Path, **values: Any) -> LLMConfig:
    return LLMConfig(**{"requests_per_minute": 10_000, "csv_output_directory": str(folder / "out"), **values})


async def test_a_host_asks_for_verdicts_and_never_waits(
    simulator: OpenRouterSimulator, tmp_path: Path
) -> None:
    """Pending after submit, rated in the end; a gate in one call; everything is in the file after close."""

    def host() -> None:
        sidecar = SidecarThread(config(tmp_path))
        try:
            assert sidecar.verdict("a").state == "unknown"
            assert sidecar.submit(signal_mapping("a"))
            assert sidecar.verdict("a") == Verdict(VerdictState.PENDING)
            assert sidecar.allows("a", min_rating=5, otherwise=True)
            assert not sidecar.allows("a", min_rating=1, otherwise=False)
            verdict = sidecar.wait("a", 10)
            assert (verdict.state, verdict.rating in range(1, 6)) == ("rated", True)
            assert sidecar.allows("a", min_rating=verdict.rating or 0, otherwise=False)
            assert not sidecar.allows("a", min_rating=6, otherwise=True)
            assert sidecar.statistics()["rated"] == 1
        finally:
            assert sidecar.close(10)
        assert sidecar.verdict("a").state == "rated"
        assert not sidecar.submit(signal_mapping("late"))
        assert sidecar.verdict("late").state == "failed"

    await asyncio.to_thread(host)
    assert (
        '"a"' in (tmp_path / "out" / SIGNAL_FILE).read_text()
        or ",a," in (tmp_path / "out" / SIGNAL_FILE).read_text()
    )
    assert "llm-sidecar" not in [thread.name for thread in threading.enumerate()]


async def test_every_end_has_its_state(simulator: OpenRouterSimulator, tmp_path: Path) -> None:
    """Unrated, failed, expired; odd things are unknown, and nothing ever raises."""
    simulator.script("rating_seven", "bad_request")

    def host() -> dict[str, str]:
        sidecar = SidecarThread(config(tmp_path, max_concurrency=1, signal_max_age_seconds=2.0), sinks=())
        try:
            for name in ("unreadable", "rejected"):
                sidecar.submit(signal_mapping(name))
                sidecar.wait(name, 10)
            simulator.script(*["unavailable"] * 200)
            sidecar.submit(signal_mapping("late"))
            sidecar.wait("late", 10)
            odds: list[Any] = [None, [], {}, 5]
            for odd in odds:
                assert sidecar.verdict(odd).state == "unknown"
                assert sidecar.submit(odd) is False
            return {name: sidecar.verdict(name).state for name in ("unreadable", "rejected", "late")}
        finally:
            sidecar.close(10)

    assert await asyncio.to_thread(host) == {"unreadable": "unrated", "rejected": "failed", "late": "expired"}


async def test_many_threads_may_submit(simulator: OpenRouterSimulator, tmp_path: Path) -> None:
    """Each signal is answered once, whoever handed it over."""

    def host() -> list[str]:
        sidecar = SidecarThread(config(tmp_path, max_concurrency=64), sinks=())
        names = [f"{thread}-{number}" for thread in range(8) for number in range(25)]

        def submit(thread: int) -> None:
            for number in range(25):
                assert sidecar.submit(signal_mapping(f"{thread}-{number}"))

        threads = [threading.Thread(target=submit, args=(thread,)) for thread in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        states = [sidecar.wait(name, 20).state.value for name in names]
        sidecar.close(10)
        return states

    assert set(await asyncio.to_thread(host)) == {"rated"}
    assert simulator.counters["chat_requests"] == 200


def test_it_is_off_without_a_key_and_when_it_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdicts say why, for those who wait and those who come; wrong settings raise at once."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    for options, reason in (
        ({}, "OPENROUTER_API_KEY"),
        ({"config": tmp_path / "config.json"}, "127.0.0.1:9"),
    ):
        (tmp_path / "config.json").write_text('{"database": {"url": "postgresql://x@127.0.0.1:9/none"}}')
        sidecar = SidecarThread(options.get("config") or config(tmp_path), sinks=())
        sidecar.submit(signal_mapping("early"))
        assert sidecar.wait_until_started(15)
        sidecar.submit(signal_mapping("later"))
        for name in ("early", "later"):
            verdict = sidecar.wait(name, 5)
            assert (verdict.state, reason in (verdict.reason or "")) == ("off", True), verdict
        assert sidecar.close(10)
    with pytest.raises(ConfigError, match="no such file"):
        SidecarThread(tmp_path / "none.json")


async def test_a_process_that_just_ends_has_written_what_was_read(
    simulator: OpenRouterSimulator, tmp_path: Path
) -> None:
    """No close, no with: the end of the process closes it within seconds."""
    script = (
        "from llm_integration import SidecarThread\n"
        "from tests.unit.worker_parts import signal_mapping\n"
        "sidecar = SidecarThread()\n"
        "[sidecar.submit(signal_mapping(f's-{n}')) for n in range(30)]\n"
        "print(sidecar.wait('s-9', 20).state)\n"
    )
    began = time.monotonic()
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        env={**environment(OPENROUTER_API_KEY=SIMULATED_KEY, OPENROUTER_BASE_URL=simulator.base_url,
                           LLM_REQUESTS_PER_MINUTE="100000"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "rated"), done.stderr
    assert time.monotonic() - began < 30
    assert "Traceback" not in done.stderr
    assert "s-9" in (tmp_path / LLMConfig().csv_output_directory / SIGNAL_FILE).read_text()


def test_a_verdict_costs_microseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitting and asking are for a trading loop: far below a millisecond, also with many signals known."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    sidecar = SidecarThread(config(tmp_path, max_memory_signals=100_000), sinks=())
    assert sidecar.wait_until_started(15)
    took: list[float] = []
    for number in range(5_000):
        signal = signal_mapping(f"s-{number}")
        began = time.perf_counter()
        sidecar.submit(signal)
        sidecar.verdict(f"s-{number}")
        took.append(time.perf_counter() - began)
    sidecar.close(10)
    assert sorted(took)[len(took) // 2] < 0.000_2
