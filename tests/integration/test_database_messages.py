"""What was said to the models is stored once and comes back exactly, and so do single opinions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import asyncpg
import orjson
import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import Claim, LLMAnalysis, Opinion, ParseMethod
from llm_integration.record import queries
from tests.integration.database_helpers import LEASE, answer, failure, plain, signal

OPINION = Opinion(
    role="ensemble", model_requested="a/b", rating=4, choppiness="no", analysis="up", recommendations="buy",
    parse_method=ParseMethod.JSON, model_served="a/b-1", provider="P", generation_id="g", prompt_tokens=10,
    completion_tokens=5, cost_usd=Decimal("0.0003"), api_ms=12.5, attempts=1, prompt_name="base",
    prompt_version="2", prompt_hash="abc", raw_reply='{"rating": 4}',
)  # fmt: skip
SHADOW = Opinion(role="shadow", model_requested="c/d", error="refused")
NEW_FIELDS: dict[str, Any] = {
    "prompt_name": "base",
    "prompt_hash": "0a1b",
    "system_text": "You rate signals.",
    "route": "futures",
    "rating_spread": 2,
    "cached_tokens": 700,
    "cache_write_tokens": 0,
    "reasoning_tokens": 64,
    "service_tier": "flex",
}


async def claimed(db: DatabaseManager, *ids: str) -> dict[str, Claim]:
    """Claims on fresh signals of these ids."""
    return await db.claim_signals([signal(name) for name in ids], worker_id="w", lease_seconds=LEASE)


async def save(db: DatabaseManager, *analyses: LLMAnalysis) -> None:
    """Store outcomes of fresh signals."""
    claims = await claimed(db, *(analysis.signal_id for analysis in analyses))
    outcomes = [(analysis, claims[analysis.signal_id]) for analysis in analyses]
    assert await db.save_outcomes(outcomes) == set(claims)


async def texts(url: str) -> list[str]:
    """Every text that is stored by its content."""
    async with plain(url) as connection:
        rows = await connection.fetch("SELECT content, text_id = sha256(content::bytea) AS ok FROM llm_texts")
    assert all(row["ok"] for row in rows)
    return sorted(row["content"] for row in rows)


async def test_prompt_route_and_system_text_come_back(db: DatabaseManager) -> None:
    """A result says by which template and route it came about."""
    given = answer(**NEW_FIELDS)
    await save(db, given)
    ((_, analysis),) = await db.session_analyses("session-1")
    assert analysis == replace(given, task_id=analysis.task_id)
    data = await db.get_enhanced_signal_data("s-1")
    assert {name: data[name] for name in NEW_FIELDS} == NEW_FIELDS


async def test_a_batch_stores_its_prompt_once(db: DatabaseManager, database_url: str) -> None:
    """Twenty results of one request share one text, and each gives the whole prompt back."""
    names = [f"s-{number}" for number in range(20)]
    shared = {**NEW_FIELDS, "batch_size": 20, "prompt_text": "twenty signals"}
    await save(db, *(answer(name, **shared) for name in names))
    assert await texts(database_url) == ["You rate signals.", "twenty signals"]
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT count(prompt_text) FROM llm_analysis_results") == 0
    for _, analysis in await db.session_analyses("session-1"):
        assert (analysis.prompt_text, analysis.batch_size) == ("twenty signals", 20)


async def test_a_single_request_keeps_its_prompt_in_the_result(
    db: DatabaseManager, database_url: str
) -> None:
    """A prompt that occurs once is read without a join, as before."""
    await save(db, answer(**NEW_FIELDS))
    assert await texts(database_url) == ["You rate signals."]
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT prompt_text FROM llm_analysis_results") == "the prompt"


async def test_the_view_gives_the_exact_messages_of_every_result(
    db: DatabaseManager, database_url: str
) -> None:
    """Alone, in a batch, without a system text, with unstorable characters made safe."""
    await save(
        db,
        answer("alone", **NEW_FIELDS),
        answer("batch", batch_size=2, prompt_text="two\0", system_text="s"),
        answer("bare"),
    )
    reply = '{"rating": 4}'
    async with plain(database_url) as connection:
        rows = await connection.fetch(
            "SELECT signal_id, system_text, prompt_text, raw_reply FROM llm_messages ORDER BY signal_id"
        )
    assert [tuple(row) for row in rows] == [
        ("alone", "You rate signals.", "the prompt", reply),
        ("bare", None, "the prompt", reply),
        ("batch", "s", "two\ufffd", reply),
    ]
    assert await db.get_messages("batch") == {
        "system_text": "s",
        "prompt_text": "two\ufffd",
        "raw_reply": reply,
    }
    assert await db.get_messages("nobody") is None


async def test_opinions_come_back_in_their_order_where_asked(db: DatabaseManager) -> None:
    """The readings behind an agreed one, and those that were never delivered."""
    given = answer(opinions=(OPINION, SHADOW))
    await save(db, given, answer("plain"))
    found = await db.get_opinions(["s-1", "plain", "nobody"])
    assert found == {"s-1": (OPINION, SHADOW)}
    by_id = {found.signal_id: analysis for found, analysis in await db.session_analyses("session-1")}
    assert by_id["s-1"].opinions == ()
    pairs = await db.session_analyses("session-1", opinions=True)
    assert {found.signal_id: analysis.opinions for found, analysis in pairs} == {
        "s-1": (OPINION, SHADOW),
        "plain": (),
    }


async def test_opinions_of_a_failed_task_are_kept(db: DatabaseManager) -> None:
    """No quorum is a failure, and what each model said is the reason."""
    await save(db, failure(opinions=(OPINION, replace(SHADOW, role="ensemble"))))
    assert len((await db.get_opinions(["s-1"]))["s-1"]) == 2


async def test_saving_again_stores_no_opinion_twice_and_a_new_answer_replaces_them(
    db: DatabaseManager,
) -> None:
    """A lost confirmation changes nothing; a task that is tried again has the opinions of its last answer."""
    claims = await claimed(db, "s-1")
    for _ in range(2):
        await db.save_outcomes([(answer(opinions=(OPINION, SHADOW)), claims["s-1"])])
    assert len((await db.get_opinions(["s-1"]))["s-1"]) == 2
    await db.update_task_status(claims["s-1"].task_id, "pending")
    ((claim, _),) = await db.claim_waiting(worker_id="w", limit=1, lease_seconds=LEASE)
    await db.save_outcomes([(answer(opinions=(SHADOW,)), claim)])
    assert await db.get_opinions(["s-1"]) == {"s-1": (SHADOW,)}


async def test_an_outcome_behind_the_fence_leaves_no_opinion(db: DatabaseManager) -> None:
    """Another worker's answer stands with its own opinions."""
    claims = await claimed(db, "s-1")
    await db.save_outcomes([(answer(opinions=(OPINION,)), claims["s-1"])])
    void = replace(claims["s-1"], claim_id="00000000-0000-0000-0000-000000000007")
    assert await db.save_outcomes([(answer(opinions=(SHADOW,)), void)]) == set()
    assert await db.get_opinions(["s-1"]) == {"s-1": (OPINION,)}


async def test_opinions_from_outside_the_scale_are_stored_as_unknown(db: DatabaseManager) -> None:
    """A reading that is none must not become one, nor hold up its neighbours."""
    odd = replace(OPINION, rating=9, cost_usd=Decimal("nan"), error="\0", attempts=-1, prompt_tokens=2**70)
    await save(db, answer(opinions=(odd,)), answer("other"))
    (stored,) = (await db.get_opinions(["s-1"]))["s-1"]
    assert (stored.rating, stored.cost_usd, stored.error, stored.attempts) == (None, None, "\ufffd", 0)
    assert stored.prompt_tokens is None


async def test_a_mapping_may_carry_the_new_fields(db: DatabaseManager) -> None:
    """Results by hand have the same names; what does not fit is left out."""
    task = await db.record_signal(signal())
    values = {**NEW_FIELDS, "rating": 3, "prompt_text": "p", "batch_size": 3, "rating_spread": "wide"}
    assert await db.save_llm_analysis_result(task, "s-1", values)
    ((_, analysis),) = await db.session_analyses("session-1")
    assert (analysis.batch_size, analysis.rating_spread, analysis.prompt_text) == (3, None, "p")
    assert analysis.system_text == "You rate signals."


@pytest.mark.parametrize(
    ("opinions", "reply", "statements"),
    [(0, 100, [32, 32, 16]), (3, 100, [8] * 10), (0, 30_000, [3] * 26 + [2]), (0, 150_000, [1] * 80)],
)
async def test_a_batch_is_one_statement_of_bounded_size(
    db: DatabaseManager, opinions: int, reply: int, statements: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 32 rows, opinions counted as rows, and no more text than one reply or 100,000 characters."""
    claims = await claimed(db, *(f"s-{number}" for number in range(80)))
    saved: list[int] = []
    fetch = db._connections.fetch

    async def counted(doing: str, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        saved.extend([len(orjson.loads(arguments[0]))] if sql == queries.SAVE_OUTCOMES else [])
        return await fetch(doing, sql, *arguments)

    monkeypatch.setattr(db._connections, "fetch", counted)
    outcomes = [
        (answer(name, **{**NEW_FIELDS, "raw_reply": "r" * reply}, opinions=(OPINION,) * opinions), claim)
        for name, claim in claims.items()
    ]
    assert len(await db.save_outcomes(outcomes)) == 80
    assert saved == statements
