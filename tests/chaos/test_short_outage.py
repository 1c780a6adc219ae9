"""A server that goes away for seconds after healthy traffic: one warning, one end of it, no signal lost."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from llm_integration import LLMConfig
from llm_integration.domain import TaskStatus
from llm_integration.llm_processor.judge import line_breaker
from tests.chaos.llm_parts import names, rig
from tests.chaos.test_openrouter_outages import OUTAGES, changes, heal

AWAY_SECONDS = 14.0
HEALTHY = 60
KINDS = ("refusing", "resetting", "500", "502 as HTML", "cut in the answer", "errors inside 200", "not HTTP")


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("kind", KINDS)
async def test_fourteen_seconds_without_a_model_end_no_signal(
    kind: str, lanes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals of that time wait and are rated; one warning and its end, and the state says until when."""
    caplog.set_level(logging.INFO)
    config = LLMConfig(max_concurrency=lanes)
    async with rig(tmp_path, max_concurrency=lanes, breaker=lambda time: line_breaker(config, time)) as bench:
        bench.add(*names(HEALTHY, "well"))
        await bench.time.until(lambda: len(bench.ended) == HEALTHY, step=0.1)
        await OUTAGES[kind](bench)
        before = bench.requests
        notes = set()
        for second in range(int(AWAY_SECONDS)):
            if second % 2 == 0:
                bench.add(f"away{second}")
            await bench.time.go_on(1.0, step=0.05)
            notes.add(bench.worker.get_statistics()["note"])
        assert not bench.ids(TaskStatus.FAILED)
        assert bench.requests - before <= 5 * lanes + 2
        await heal(bench)
        await bench.time.until(lambda: len(bench.ended) == HEALTHY + 7, step=1)
    assert len(bench.ids(TaskStatus.COMPLETED, rated=True)) == HEALTHY + 7
    assert len(changes(caplog)) == 2, changes(caplog)
    assert "again" in changes(caplog)[1]
    assert any(re.match(r"waiting until \d\d:\d\d:\d\d: \S", note or "") for note in notes)


@pytest.mark.parametrize("kind", ["refusing", "500"])
async def test_a_signal_that_nobody_can_answer_keeps_nobody_in_line(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After an outage the first probe is not always the signal that was asked about last."""
    caplog.set_level(logging.INFO)
    config = LLMConfig(max_concurrency=1)
    async with rig(tmp_path, max_concurrency=1, breaker=lambda time: line_breaker(config, time)) as bench:
        await OUTAGES[kind](bench)
        bench.add("first")
        await bench.until_stopped()
        bench.add("second", "third")
        await heal(bench)
        await bench.time.until(lambda: len(bench.ended) == 3, step=0.5)
    assert next(iter(bench.ended)) != "first"
    assert all(analysis.rated for analysis in bench.ended.values())
