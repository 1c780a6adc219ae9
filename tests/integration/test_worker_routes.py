"""Routes, fallbacks, ensembles and shadows over loopback HTTP, and what PostgreSQL knows of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from database import DatabaseManager
from llm_integration import LLMConfig, LLMProcessor, LLMWorker, SignalMemoryStore, prompts
from llm_integration.domain import Opinion
from llm_integration.prompts import PromptLibrary
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator, rate
from tests.integration.database_helpers import plain
from tests.unit.worker_parts import Sink, signal_mapping

pytestmark = pytest.mark.postgres

USUAL, DEAR, THIRD = "google/gemini-2.5-flash-lite", "anthropic/claude-sonnet-4.6", "google/gemini-2.5-flash"
RETIRED = "google/gemini-2.5-flash-preview-05-20"
ODD_NOTES = 'a "quoted" note {{ with braces }}, ümlauts, 日本 and </data> at its end'


def build(
    simulator: OpenRouterSimulator, db: DatabaseManager | None, **values: Any
) -> tuple[LLMWorker, Sink]:
    """A worker, and what it would write to CSV."""
    config = LLMConfig(**{
        "base_url": simulator.base_url, "requests_per_minute": 10_000, "tokens_per_minute": 10**9,
        "model": USUAL, "max_retries": 0, "poll_interval": 0.05, **values,
    })  # fmt: skip
    sink = Sink()
    processor = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY))
    return LLMWorker(config, SignalMemoryStore(), db, sink, processor=processor), sink


@asynccontextmanager
async def running(worker: LLMWorker, *signals: dict[str, Any]) -> AsyncIterator[None]:
    """The worker at work on these signals, all of which wait when it starts."""
    for mapping in signals:
        assert worker.memory_store.add_signal(mapping)
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await worker.stop(1)
        await asyncio.wait_for(task, 5)


async def asked(
    simulator: OpenRouterSimulator, db: DatabaseManager, *signals: dict[str, Any], **values: Any
) -> dict[str, dict[str, Any]]:
    """The stored ends of ``signals``, by id."""
    worker, _ = build(simulator, db, **values)
    async with running(worker, *signals):
        assert await worker.drain(20)
    return {each["signal_id"]: await db.get_enhanced_signal_data(each["signal_id"]) for each in signals}


def bodies(simulator: OpenRouterSimulator) -> list[dict[str, Any]]:
    """Every chat request that arrived, in order."""
    return [request.body for request in simulator.requests if request.body is not None]


async def stored(url: str, sql: str, *arguments: object) -> list[dict[str, Any]]:
    """What an outsider reads."""
    async with plain(url) as connection:
        return [dict(row) for row in await connection.fetch(sql, *arguments)]


async def opinions_of(db: DatabaseManager, ids: Sequence[str], count: int) -> dict[str, tuple[Opinion, ...]]:
    """The opinions about these signals, once there are ``count``: shadows are stored when they come."""
    async with asyncio.timeout(10):
        while sum(map(len, (found := await db.get_opinions(ids)).values())) < count:  # noqa: ASYNC110  in PostgreSQL
            await asyncio.sleep(0.01)
    return found


def said(system: str, user: str) -> list[dict[str, str]]:
    """The messages of a request."""
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


@pytest.fixture
def terse(tmp_path: Path) -> Path:
    """A folder with a prompt of the user's own, called terse."""
    text = (Path(prompts.__file__).parent / "builtin" / "default.md").read_text()
    text = text.replace("name: default", "name: terse").replace("version: 1", "version: 7")
    (tmp_path / "terse.md").write_text(text.replace("at most 60 words", "at most 6 words"))
    return tmp_path


# Routes


async def test_the_first_rule_that_matches_decides_about_model_and_settings(db: DatabaseManager) -> None:
    """Symbol, signal type, risk/reward, indicator and time: each signal's request and row name its rule."""
    routes = [
        {
            "name": "futures",
            "when": {"symbol": "es*", "risk_reward_min": 2},
            "model": DEAR,
            "max_tokens": 700,
        },
        {"when": {"signal_type": "SELL"}, "model": THIRD, "temperature": 0.5},
        {"name": "trending", "when": {"indicator": {"adx_14": {"min": 25}}}, "max_tokens": 900},
        {"name": "night", "when": {"time": "22:00-02:00"}, "model": THIRD},
    ]
    signals = [
        signal_mapping("futures", symbol="ESH6"),
        signal_mapping("cheap", symbol="ESH6", target_price=1.105),
        signal_mapping("sell", signal_type="SELL", stop_loss=1.11, target_price=1.08),
        signal_mapping("trend", indicators={"adx_14": 31.0}),
        signal_mapping("night", timestamp="2026-01-05T23:00:00+00:00"),
    ]
    async with OpenRouterSimulator(seed=1) as simulator:
        rows = await asked(simulator, db, *signals, routes=routes, max_concurrency=1)
        sent = {
            each["signal_id"]: (body["model"], body["max_tokens"], body["temperature"])
            for each, body in zip(signals, bodies(simulator), strict=True)
        }
    assert {name: row["route"] for name, row in rows.items()} == {
        "futures": "futures", "cheap": None, "sell": "route 2", "trend": "trending", "night": "night",
    }  # fmt: skip
    assert sent == {
        "futures": (DEAR, 700, 0.0), "cheap": (USUAL, 2_000, 0.0), "sell": (THIRD, 2_000, 0.5),
        "trend": (USUAL, 900, 0.0), "night": (THIRD, 2_000, 0.0),
    }  # fmt: skip
    assert all(row["model_requested"] == sent[name][0] for name, row in rows.items())
    assert rows["futures"]["model_served"].startswith("simulated/anthropic/")
    assert all(row["rating"] == rate(row["prompt_text"]).rating for row in rows.values())


async def test_a_batch_is_of_one_route_and_says_so(db: DatabaseManager, terse: Path) -> None:
    """Five signals on two routes are two requests; each row has its request's size, model and prompt."""
    signals = [signal_mapping(f"s{number}", symbol=f"SYM{number}") for number in range(5)]
    when = {"symbol": "SYM?", "risk_reward_min": 3}
    routes = [{"name": "odd", "when": when, "model": DEAR, "prompt": "terse"}]
    for number in (1, 3):
        signals[number]["signal_data"]["target_price"] = 1.14
    async with OpenRouterSimulator(seed=1) as simulator:
        rows = await asked(simulator, db, *signals, routes=routes, batch_size=5, prompt_directory=str(terse))
        assert sorted(body["model"] for body in bodies(simulator)) == sorted([DEAR, USUAL])
    found = {name: (row["route"], row["batch_size"], row["prompt_name"]) for name, row in rows.items()}
    usual, odd = (None, 3, "default"), ("odd", 2, "terse")
    assert found == {"s0": usual, "s1": odd, "s2": usual, "s3": odd, "s4": usual}
    assert all(row["rating"] is not None for row in rows.values())


async def test_name_version_and_hash_of_the_prompt_are_stored(
    db: DatabaseManager, database_url: str, terse: Path
) -> None:
    """The columns name the file that was used, so that ratings of two versions can be told apart."""
    async with OpenRouterSimulator(seed=1) as simulator:
        await asked(simulator, db, signal_mapping("usual"))
        await asked(simulator, db, signal_mapping("own"), prompt="terse", prompt_directory=str(terse))
    found = await stored(
        database_url,
        "SELECT signal_id, prompt_name, prompt_version, prompt_hash FROM llm_analysis_results ORDER BY 1",
    )
    own, usual = PromptLibrary(str(terse)).get("terse"), PromptLibrary(None).get("default")
    assert [tuple(row.values()) for row in found] == [
        ("own", "terse", "7", own.hash), ("usual", "default", "1", usual.hash),
    ]  # fmt: skip
    assert own.hash != usual.hash


async def test_the_exact_messages_can_be_had_back(
    db: DatabaseManager, database_url: str, terse: Path
) -> None:
    """What llm_messages gives for a result is, character by character, what the server received for it."""
    several = [signal_mapping(f"b{number}", symbol=f"SYM{number}", notes=ODD_NOTES) for number in range(3)]
    async with OpenRouterSimulator(seed=1) as simulator:
        received: dict[str, dict[str, Any]] = {}
        for signals, values in (
            ([signal_mapping("alone", notes=ODD_NOTES)], {}),
            (several, {"batch_size": 3}),
            ([signal_mapping("own")], {"prompt": "terse", "prompt_directory": str(terse)}),
            ([signal_mapping("fallen")], {"model": RETIRED, "fallback_models": [THIRD]}),
            ([signal_mapping("many")], {"ensemble": [USUAL, DEAR]}),
        ):
            await asked(simulator, db, *signals, **values)
            received |= {each["signal_id"]: bodies(simulator)[-1] for each in signals}
    found = await stored(database_url, "SELECT signal_id, system_text, prompt_text FROM llm_messages")
    messages = {row["signal_id"]: said(row["system_text"], row["prompt_text"]) for row in found}
    assert messages == {name: body["messages"] for name, body in received.items()}
    assert len(messages) == 7


# Fallbacks


async def test_a_dead_primary_is_told_of_once_and_both_models_are_stored(
    db: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Every signal is rated by the fallback; one warning names the primary, the statistics show it down."""
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, _ = build(simulator, db, model=RETIRED, fallback_models=[THIRD], max_concurrency=1)
        signals = [signal_mapping(f"s{number}") for number in range(6)]
        with caplog.at_level(logging.WARNING):
            async with running(worker, *signals):
                assert await worker.drain(20)
                models = worker.get_statistics()["processor"]["models"]
        assert simulator.counters["chat_requests"] == 7
    rows = [await db.get_enhanced_signal_data(f"s{number}") for number in range(6)]
    assert {(row["model_requested"], row["model_served"]) for row in rows} == {
        (RETIRED, f"simulated/{THIRD}")
    }
    assert all(row["rating"] is not None for row in rows)
    assert len([record for record in caplog.records if RETIRED in record.getMessage()]) == 1
    assert (models[RETIRED]["state"], models[THIRD]["state"]) == ("open", "closed")
    assert models[RETIRED]["reason"]


async def test_a_route_falls_back_to_its_own_models(db: DatabaseManager) -> None:
    """The general fallbacks are for the general model."""
    async with OpenRouterSimulator(seed=1) as simulator:
        rows = await asked(
            simulator, db, signal_mapping("es", symbol="ESH6"), signal_mapping("eur"),
            fallback_models=[THIRD],
            routes=[{"name": "es", "when": {"symbol": "ES*"}, "model": RETIRED, "fallbacks": [DEAR]}],
        )  # fmt: skip
    assert "claude" in rows["es"]["model_served"]
    assert (rows["es"]["model_requested"], rows["es"]["route"]) == (RETIRED, "es")
    assert rows["eur"]["model_served"] == f"simulated/{USUAL}"


async def test_a_route_whose_models_are_all_gone_holds_up_nobody_else(db: DatabaseManager) -> None:
    """Its signals wait as pending; those of other routes are rated meanwhile."""
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, _ = build(
            simulator, db, routes=[{"name": "dead", "when": {"symbol": "ES*"}, "model": RETIRED}]
        )
        signals = [signal_mapping("dead", symbol="ESH6"), *(signal_mapping(f"s{n}") for n in range(4))]
        async with running(worker, *signals), asyncio.timeout(10):
            while worker.get_statistics()["rated"] < 4:  # noqa: ASYNC110  it has no event
                await asyncio.sleep(0.01)
    assert [task["signal_id"] for task in await db.get_pending_llm_tasks(10)] == ["dead"]


# Ensembles


async def test_an_ensemble_stores_every_voice_and_the_agreed_reading(
    db: DatabaseManager, database_url: str
) -> None:
    """One result with the spread and the bill of all; one row for each model with its own words and price."""
    async with OpenRouterSimulator(seed=1) as simulator:
        row = (await asked(simulator, db, signal_mapping("s"), ensemble=[USUAL, DEAR, THIRD]))["s"]
        assert sorted(body["model"] for body in bodies(simulator)) == sorted([USUAL, DEAR, THIRD])
    voices = await stored(database_url, "SELECT * FROM llm_opinions ORDER BY position")
    right = rate(row["prompt_text"]).rating
    assert (row["rating"], row["rating_spread"], row["attempts"]) == (right, 0, 3)
    assert [(v["role"], v["model_requested"], v["rating"]) for v in voices] == [
        ("ensemble", model, right) for model in (USUAL, DEAR, THIRD)
    ]
    assert row["cost_usd"] == sum(v["cost_usd"] for v in voices)
    assert row["prompt_tokens"] == sum(v["prompt_tokens"] for v in voices)
    assert len({v["cost_usd"] for v in voices}) == 3
    assert len({v["generation_id"] for v in voices}) == 3
    assert all(v["raw_reply"] and v["prompt_hash"] == row["prompt_hash"] for v in voices)


async def test_a_model_that_is_gone_leaves_the_ensemble_to_the_others(db: DatabaseManager) -> None:
    """Two of three are a quorum; the third's row says why it has no rating."""
    async with OpenRouterSimulator(seed=1) as simulator:
        row = (await asked(simulator, db, signal_mapping("s"), ensemble=[USUAL, RETIRED, THIRD]))["s"]
    voices = (await db.get_opinions(["s"]))["s"]
    assert row["rating"] == rate(row["prompt_text"]).rating
    assert [voice.rating is None for voice in voices] == [False, True, False]
    assert "no longer" in (voices[1].error or "") or RETIRED in (voices[1].error or "")
    assert voices[1].cost_usd is None


async def test_an_ensemble_below_its_quorum_is_unrated_and_paid(db: DatabaseManager) -> None:
    """Two of three replies hold no rating: no rating, the reason, the three replies, and what they cost."""
    async with OpenRouterSimulator(seed=1) as simulator:
        simulator.script("plain_text", "plain_text")
        row = (await asked(simulator, db, signal_mapping("s"), ensemble=[USUAL, DEAR, THIRD]))["s"]
    voices = (await db.get_opinions(["s"]))["s"]
    assert (row["status"], row["rating"]) == ("completed", None)
    assert "1 of 3" in row["unrated_reason"]
    assert sum(voice.rating is not None for voice in voices) == 1
    assert row["cost_usd"] == sum(voice.cost_usd or Decimal(0) for voice in voices)
    assert all(voice.raw_reply for voice in voices)


async def test_an_ensemble_that_nobody_answers_keeps_what_each_model_said(db: DatabaseManager) -> None:
    """The task fails with every reason, and each model's part is stored as it is for a rating."""
    async with OpenRouterSimulator(seed=1) as simulator:
        simulator.script(*["content_filter"] * 3)
        row = (await asked(simulator, db, signal_mapping("s"), ensemble=[USUAL, DEAR, THIRD]))["s"]
    voices = (await db.get_opinions(["s"])).get("s", ())
    assert row["status"] == "failed"
    assert all(model in row["error"] for model in (USUAL, DEAR, THIRD))
    assert [voice.model_requested for voice in voices] == [USUAL, DEAR, THIRD]
    assert all(voice.error and voice.rating is None for voice in voices)
    assert row["spent_usd"] == sum(voice.cost_usd or Decimal(0) for voice in voices)


async def test_an_ensemble_of_one_route_leaves_the_others_their_batch(db: DatabaseManager) -> None:
    """The dear signal is asked alone by two models, its neighbours share one request."""
    signals = [signal_mapping(f"s{n}", symbol=f"SYM{n}") for n in range(4)]
    routes = [{"name": "two", "when": {"symbol": "SYM2"}, "ensemble": [DEAR, THIRD]}]
    async with OpenRouterSimulator(seed=1) as simulator:
        rows = await asked(simulator, db, *signals, routes=routes, batch_size=4)
        assert simulator.counters["chat_requests"] == 3
    assert {name: row["batch_size"] for name, row in rows.items()} == {"s0": 3, "s1": 3, "s2": 1, "s3": 3}
    assert {name: len(found) for name, found in (await db.get_opinions(list(rows))).items()} == {"s2": 2}


# Shadows


async def test_a_shadow_is_stored_beside_the_result_and_never_delivered(
    db: DatabaseManager, terse: Path
) -> None:
    """Another model and prompt: its own row with its own price; result, CSV and counts know nothing."""
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, sink = build(
            simulator, db, prompt_directory=str(terse),
            shadow=[{"model": DEAR, "prompt": "terse", "share": 1.0}],
        )  # fmt: skip
        async with running(worker, signal_mapping("s")):
            assert await worker.drain(10)
            voices = (await opinions_of(db, ["s"], 1))["s"]
            statistics = worker.get_statistics()
        assert [body["model"] for body in bodies(simulator)] == [USUAL, DEAR]
    row = await db.get_enhanced_signal_data("s")
    (voice,) = voices
    assert (voice.role, voice.model_requested, voice.prompt_name) == ("shadow", DEAR, "terse")
    assert voice.rating == row["rating"]
    assert voice.cost_usd is not None
    assert (row["model_requested"], row["prompt_name"], row["rating_spread"]) == (USUAL, "default", None)
    assert [analysis.opinions for _, analysis in sink.rows] == [()]
    assert (statistics["completed"], statistics["shadows"]) == (1, {"asked": 1, "left_out": 0})
    assert row["cost_usd"] == statistics["cost_usd"] != row["cost_usd"] + voice.cost_usd


async def test_every_shadow_that_was_asked_is_stored(db: DatabaseManager) -> None:
    """However close its answer comes to the result's own way into PostgreSQL, neither displaces the other."""
    names = [f"s{number}" for number in range(60)]
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, _ = build(simulator, db, shadow=[{"model": DEAR, "share": 1.0}])
        async with running(worker, *(signal_mapping(name) for name in names)):
            assert await worker.drain(20)
            async with asyncio.timeout(10):
                while any(task.get_name() == "sidecar shadow" for task in asyncio.all_tasks()):  # noqa: ASYNC110  not ours to await
                    await asyncio.sleep(0.01)
            shadows = worker.get_statistics()["shadows"]
    found = await db.get_opinions(names)
    assert sum(map(len, found.values())) == shadows["asked"] > 4
    assert shadows["asked"] + shadows["left_out"] == 60


async def test_a_shadow_is_not_lost_while_the_result_is_on_its_way(db: DatabaseManager) -> None:
    """PostgreSQL takes the result late; the shadow's answer, which was there first, stands all the same."""
    late = LateResults(db)
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, _ = build(simulator, late, shadow=[{"model": DEAR, "share": 1.0}])  # type: ignore[arg-type]  # it passes everything on
        async with running(worker, signal_mapping("s")):
            await asyncio.wait_for(simulator.wait_for_requests(2), 10)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(late.heard.wait(), 0.2)
            late.go.set()
            assert await worker.drain(10)
            (voice,) = (await opinions_of(db, ["s"], 1))["s"]
    assert voice.rating is not None


class LateResults:
    """A database that takes results when it is told to; everything else at once."""

    def __init__(self, db: DatabaseManager) -> None:
        self._db = db
        self.go, self.heard = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._db, name)  # type: ignore[no-any-return]  # whatever the real one has

    async def save_outcomes(self, outcomes: Any) -> Any:
        await self.go.wait()
        return await self._db.save_outcomes(outcomes)

    async def save_opinions(self, signal_id: str, opinions: Sequence[Opinion]) -> None:
        await self._db.save_opinions(signal_id, opinions)
        self.heard.set()


async def test_a_shadow_that_fails_says_why_and_harms_nobody(db: DatabaseManager) -> None:
    """The model of the comparison refuses: the rating stands, the comparison's row has the reason."""
    async with OpenRouterSimulator(seed=1) as simulator:
        simulator.script("ok", "moderation")
        worker, _ = build(simulator, db, shadow=[{"model": DEAR, "share": 1.0}])
        async with running(worker, signal_mapping("s")):
            assert await worker.drain(10)
            (voice,) = (await opinions_of(db, ["s"], 1))["s"]
    assert (voice.rating, voice.role) == (None, "shadow")
    assert voice.error
    assert (await db.get_enhanced_signal_data("s"))["rating"] is not None


async def test_a_hanging_shadow_holds_up_neither_results_nor_the_end(db: DatabaseManager) -> None:
    """Its answer never comes: the result is stored, stop returns in time, nothing is said of the shadow."""
    async with OpenRouterSimulator(seed=1) as simulator:
        simulator.script("ok", "hang")
        worker, _ = build(simulator, db, shadow=[{"model": DEAR, "share": 1.0}])
        async with running(worker, signal_mapping("s")):
            assert await worker.drain(10)
            await asyncio.wait_for(simulator.wait_for_requests(2), 10)
            started = asyncio.get_running_loop().time()
            await worker.stop(1)
            assert asyncio.get_running_loop().time() - started < 2
    assert (await db.get_enhanced_signal_data("s"))["rating"] is not None
    assert await db.get_opinions(["s"]) == {}
