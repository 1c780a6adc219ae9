"""OpenRouter away in every way: bounded work, one message per change, recovery without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from llm_integration import LLMConfig
from llm_integration.domain import TaskStatus
from llm_integration.llm_processor.judge import line_breaker
from tests.chaos.llm_parts import Rig, names, rig, rows, wait_until
from tests.chaos.proxy import Direction

HOUR = 3600.0
SHORT_SECONDS, HEARD_SECONDS, LONG_SECONDS = 0.06, 0.4, 10.0
"""The bound of a request while nothing answers, while answers begin and do not end, and else.

The first two are time that a test has to wait for; the second lets a beginning through on a busy machine.
"""


def scripted(fault: str) -> Callable[[Rig], Awaitable[None]]:
    async def begin(bench: Rig) -> None:
        bench.simulator.script(*[fault] * 2000)

    return begin


async def refusing(bench: Rig) -> None:
    await bench.proxy.refuse()


async def resetting(bench: Rig) -> None:
    bench.proxy.reset()


async def silent(bench: Rig) -> None:
    bench.proxy.black_hole()


async def deaf_on_the_way_back(bench: Rig) -> None:
    bench.proxy.black_hole(way=Direction.DOWN)


async def dripping(bench: Rig) -> None:
    bench.proxy.drip(0.02, way=Direction.DOWN)


async def cutting(bench: Rig) -> None:
    bench.proxy.cut_after(150, way=Direction.DOWN)


async def cutting_requests(bench: Rig) -> None:
    bench.proxy.cut_after(400, way=Direction.UP)


OUTAGES: dict[str, Callable[[Rig], Awaitable[None]]] = {
    "refusing": refusing,
    "resetting": resetting,
    "silent": silent,
    "answers lost": deaf_on_the_way_back,
    "dripping": dripping,
    "cut in the answer": cutting,
    "cut in the request": cutting_requests,
    "500": scripted("server_error"),
    "502 as HTML": scripted("bad_gateway_html"),
    "200 as HTML": scripted("html_200"),
    "not HTTP": scripted("not_http"),
    "hang": scripted("hang"),
    "hang behind headers": scripted("hang_after_headers"),
    "hang in the body": scripted("hang_mid_body"),
    "padding for ever": scripted("pad_for_ever"),
    "errors inside 200": scripted("error_in_200"),
}
BOUNDS = {
    **dict.fromkeys(("silent", "answers lost", "dripping", "hang"), SHORT_SECONDS),
    **dict.fromkeys(("hang behind headers", "hang in the body", "padding for ever"), HEARD_SECONDS),
}
REFUSALS = {
    "401": "unknown_key",
    "402": "no_credits",
    "403": "key_limit",
    "429 for an hour": "rate_limited_hour",
}


async def heal(bench: Rig) -> None:
    bench.worker.config.request_timeout_seconds = LONG_SECONDS
    bench.simulator.clear_script()
    await bench.proxy.heal()


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the sidecar says at WARNING and above, but for the database and for the ratings themselves."""
    said = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
        and record.name.startswith("llm_integration.")
        and not record.name.startswith("llm_integration.simulator")
    ]
    return [line for line in said if not line.startswith(("no database", "rating health"))]


def asked(bench: Rig) -> int:
    """Attempts that left us: connections the proxy saw, or requests over kept ones."""
    return max(bench.requests, bench.proxy.counts["connections"])


@pytest.mark.parametrize("name", OUTAGES)
async def test_an_hour_without_answers_costs_few_requests_and_two_lines(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Thirty signals wait out the hour, a few probes go out, and all are rated when it is over."""
    caplog.set_level(logging.INFO)
    async with rig(tmp_path, request_timeout_seconds=BOUNDS.get(name, LONG_SECONDS)) as bench:
        await OUTAGES[name](bench)
        bench.add(*names(30))
        await bench.until_stopped()
        assert len(changes(caplog)) == 1
        before_the_hour = asked(bench)
        assert before_the_hour <= 10 + 8  # the minimum volume, and what was in flight with it
        await bench.time.go_on(HOUR)
        assert asked(bench) - before_the_hour <= 16  # waits of 10, 20, 40 ... 300 s
        assert not bench.ended
        assert len(changes(caplog)) == 1
        await heal(bench)
        await bench.time.until(lambda: len(bench.ended) == 30, step=5)
    assert bench.ids(TaskStatus.COMPLETED, rated=True) == set(names(30))
    assert len(changes(caplog)) == 2
    assert "again" in changes(caplog)[1]
    assert sorted(row["signal_id"] for row in rows(tmp_path)) == sorted(names(30))


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_stops_everything_after_one_answer(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The key refused, or an hour's wait asked for: one line, a probe now and then, no signal is lost."""
    caplog.set_level(logging.INFO)
    async with rig(tmp_path) as bench:
        await scripted(REFUSALS[name])(bench)
        bench.add(*names(30))
        await bench.until_stopped()
        assert bench.requests <= 8  # what was in flight together
        first = bench.requests
        await bench.time.go_on(HOUR - 60)
        assert bench.requests - first <= (0 if "429" in name else 7)  # after 60, 120 ... 900 s
        assert not bench.ended
        assert len(changes(caplog)) == 1
        await heal(bench)
        await bench.time.until(lambda: len(bench.ended) == 30, step=5)
    assert bench.ids(TaskStatus.COMPLETED, rated=True) == set(names(30))
    assert len(changes(caplog)) == 2


@pytest.mark.parametrize("name", ["refusing", "500", "401", "429 for an hour"])
async def test_signals_grow_too_old_without_a_request(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals found during the outage expire with its reason; not one request is sent for them."""
    caplog.set_level(logging.INFO)
    begin = OUTAGES.get(name) or scripted(REFUSALS[name])
    async with rig(tmp_path, signal_max_age_seconds=5.0, max_concurrency=4) as bench:
        await begin(bench)
        if name in OUTAGES:  # a circuit opens only on enough failures
            bench.add(*names(30, "first"))
        else:
            bench.add("first")
        await bench.until_stopped(step=0.1)
        before = asked(bench)
        bench.add(*names(200))
        await bench.time.go_on(8.0, step=0.2)
        expired = bench.ids(TaskStatus.EXPIRED)
        assert expired >= set(names(200))
        assert asked(bench) == before  # the first probe is due after ten seconds
        for signal_id in names(200):
            analysis = bench.ended[signal_id]
            assert "signal_max_age_seconds=5" in (analysis.error or "")
            assert (analysis.attempts, analysis.cost_usd, analysis.rating) == (0, None, None)
            assert bench.worker.get_statistics()["reason"] in (analysis.error or "")
        assert len(changes(caplog)) == 1
    assert rows(tmp_path) == []


async def test_one_probe_at_a_time_while_it_is_half_open(tmp_path: Path) -> None:
    """With a hundred signals and eight lanes waiting, a probe that hangs is the only request."""
    async with rig(tmp_path) as bench:
        bench.simulator.script(*["server_error"] * 40)
        bench.add(*names(100))
        await bench.until_stopped()
        bench.simulator.clear_script()
        bench.simulator.script("hang")
        before = bench.requests
        await bench.time.until(lambda: bench.requests > before, step=1)
        await bench.time.go_on(1.0, step=0.05)  # real time of the probe: far below its timeout
        assert bench.requests == before + 1
        assert bench.worker.get_statistics()["in_flight"] <= 1


async def test_each_outage_has_its_own_pair_of_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three outages with recoveries between them are six lines, in turn."""
    caplog.set_level(logging.WARNING)
    async with rig(tmp_path) as bench:
        for round_number, name in enumerate(["refusing", "500", "resetting"]):
            await OUTAGES[name](bench)
            bench.add(*names(20, f"round{round_number}-"))
            await bench.until_stopped()
            await bench.time.go_on(60)
            await heal(bench)
            total = 20 * (round_number + 1)
            await bench.time.until(lambda total=total: len(bench.ended) == total, step=5)  # type: ignore[misc]  # bound now
    said = ["again" if "again after" in line else "stopped" for line in changes(caplog)]
    assert said == ["stopped", "again"] * 3


async def test_a_third_of_failures_is_no_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Below the failure rate every signal is rated by a retry, and nothing is announced."""
    caplog.set_level(logging.WARNING)
    async with rig(tmp_path, max_concurrency=1) as bench:
        bench.simulator.script(*["ok", "server_error", "ok"] * 30)
        bench.add(*names(60))
        await bench.time.until(lambda: len(bench.ended) == 60, step=1)
    assert bench.ids(TaskStatus.COMPLETED, rated=True) == set(names(60))
    assert not changes(caplog)
    assert bench.requests == 90


async def test_stopping_in_mid_outage_sends_nothing_more(tmp_path: Path) -> None:
    """Stop returns in time while every call hangs, and leaves no request behind."""
    async with rig(tmp_path, request_timeout_seconds=600.0) as bench:
        bench.proxy.black_hole()
        bench.add(*names(30))
        await bench.time.until(lambda: bench.worker.get_statistics()["in_flight"] == 8)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await bench.stop(0.5)
        assert loop.time() - started < 1.5
        connections = bench.proxy.counts["connections"]
        await bench.time.go_on(600)
        assert bench.proxy.counts["connections"] == connections
        assert bench.worker.memory_store.get_statistics()["pending"] == 30


# Silence at the settings' own times


DEFAULTS = LLMConfig()
AT_DEFAULTS: dict[str, Any] = {
    name: getattr(DEFAULTS, name)
    for name in ("request_timeout_seconds", "requests_per_minute", "tokens_per_minute", "max_retries")
}
ENDLESS_SECONDS = 1e9


def loop_follows(bench: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop's own timers, the bound of a request among them, go by the test's clock as well."""
    loop, began = asyncio.get_running_loop(), bench.time.now
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + bench.time.now - began)


def default_rig(folder: Path, **settings: Any) -> AbstractAsyncContextManager[Rig]:
    config = LLMConfig(**AT_DEFAULTS | settings)
    return rig(folder, breaker=lambda time: line_breaker(config, time), **AT_DEFAULTS | settings)


@pytest.mark.parametrize("lanes", [DEFAULTS.max_concurrency, 1])
async def test_a_server_that_accepts_and_never_answers_is_one_outage_at_default_settings(
    lanes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, at most a request per lane and four in all to find out, probes, and all rated afterwards."""
    caplog.set_level(logging.WARNING)
    async with default_rig(tmp_path, max_concurrency=lanes) as bench:
        loop_follows(bench, monkeypatch)
        bench.proxy.black_hole()
        bench.add(*names(20))
        await wait_until(lambda: bench.proxy.counts["connections"] == lanes)  # before time begins to fly
        await bench.time.until(lambda: bench.state == "waiting", step=2, real=ENDLESS_SECONDS)
        found_out = bench.proxy.counts["connections"]
        assert found_out == max(lanes, 4)
        assert [line.startswith("no requests for now") for line in changes(caplog)] == [True]
        await bench.time.go_on(HOUR / 2, step=4)
        assert 4 <= bench.proxy.counts["connections"] - found_out <= 8  # after 10, 20, 40 ... s, each of 60 s
        assert not bench.ended
        await bench.proxy.heal()
        await bench.time.until(lambda: len(bench.ended) == 20, step=2, real=ENDLESS_SECONDS)
    assert bench.ids(TaskStatus.COMPLETED, rated=True) == set(names(20))
    assert len(changes(caplog)) == 2


async def test_silence_with_a_fallback_is_told_as_it_is_found_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fallback is tried; when it is silent as well nothing more is sent but probes."""
    caplog.set_level(logging.WARNING)
    async with default_rig(tmp_path, fallback_models=["openai/gpt-5-mini"]) as bench:
        loop_follows(bench, monkeypatch)
        bench.proxy.black_hole()
        bench.add(*names(20))
        await wait_until(lambda: bench.proxy.counts["connections"] == DEFAULTS.max_concurrency)
        await bench.time.until(lambda: bench.state == "waiting", step=2, real=ENDLESS_SECONDS)
        found_out = bench.proxy.counts["connections"]
        assert found_out <= 2 * DEFAULTS.max_concurrency
        assert ["instead" in line for line in changes(caplog)] == [True, False]
        await bench.time.go_on(HOUR / 2, step=4)
        assert bench.proxy.counts["connections"] - found_out <= 16
        assert len(changes(caplog)) == 2
        await bench.proxy.heal()
        await bench.time.until(lambda: len(bench.ended) == 20, step=2, real=ENDLESS_SECONDS)
    assert bench.ids(TaskStatus.COMPLETED, rated=True) == set(names(20))


@pytest.mark.parametrize("age", [30.0, 60.0, 8.0])
async def test_silence_is_an_outage_also_for_signals_that_live_shorter_than_a_request(
    age: float, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first eight find out; the forty after them expire without a connection, but for a probe."""
    caplog.set_level(logging.WARNING)
    async with default_rig(tmp_path, signal_max_age_seconds=age) as bench:
        loop_follows(bench, monkeypatch)
        bench.proxy.black_hole()
        for batch in range(6):
            bench.add(*names(8, f"b{batch}-"))
            if batch == 0:
                await wait_until(lambda: bench.proxy.counts["connections"] == 8)
            await bench.time.until(
                lambda batch=batch: len(bench.ended) == 8 * (batch + 1),  # type: ignore[misc]  # bound now
                step=1, real=ENDLESS_SECONDS,
            )  # fmt: skip
        assert bench.state == "waiting"
        assert 8 <= bench.proxy.counts["connections"] <= 8 + 6
        assert len(changes(caplog)) == 1
        assert len(bench.ids(TaskStatus.EXPIRED)) == 48
        await bench.proxy.heal()
        await bench.time.until(
            lambda: bench.worker.get_statistics()["in_flight"] == 0, step=1, real=ENDLESS_SECONDS
        )
        await bench.time.go_on(300, step=4)
        bench.add(*names(8))
        await bench.time.until(lambda: len(bench.ended) == 56, step=0.1, real=ENDLESS_SECONDS)
    assert bench.ids(TaskStatus.COMPLETED, rated=True) == set(names(8))
    assert len(changes(caplog)) == 2
