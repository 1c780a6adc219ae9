"""How outcomes end their tasks."""

from __future__ import annotations

import logging
from dataclasses import replace
from decimal import Decimal

import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import Claim, LLMAnalysis, TaskStatus
from tests.integration.database_helpers import LEASE, T0, answer, failure, lapse, plain, signal


async def claim(db: DatabaseManager, *ids: str, worker_id: str = "w") -> dict[str, Claim]:
    """Claims on fresh signals of these ids."""
    return await db.claim_signals([signal(name) for name in ids], worker_id=worker_id, lease_seconds=LEASE)


async def finished(db: DatabaseManager) -> dict[str, LLMAnalysis]:
    """The finished analyses of the session, by signal."""
    return {found.signal_id: analysis for found, analysis in await db.session_analyses("session-1")}


async def count(url: str, table: str) -> int:
    """Rows in a table."""
    async with plain(url) as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_every_field_of_an_analysis_comes_back(db: DatabaseManager) -> None:
    """What was measured and paid for is stored, exactly."""
    claims = await claim(db, "s-1")
    await db.save_outcomes([(answer(), claims["s-1"])])
    ((back, analysis),) = await db.session_analyses("session-1")
    assert analysis == replace(answer(), task_id=claims["s-1"].task_id)
    assert back == replace(signal(), bars=())


async def test_an_answer_without_a_rating_is_completed_and_unrated(db: DatabaseManager) -> None:
    """The reply is kept, the rating is NULL, the reason is stored."""
    claims = await claim(db, "s-1")
    await db.save_outcomes([(answer(rating=None, choppiness=None, error="prose only"), claims["s-1"])])
    analysis = (await finished(db))["s-1"]
    assert (analysis.status, analysis.rating, analysis.error) == (TaskStatus.COMPLETED, None, "prose only")
    assert analysis.raw_reply == '{"rating": 4}'
    assert (await db.get_enhanced_signal_data("s-1"))["unrated_reason"] == "prose only"


async def test_failed_and_expired_tasks_have_a_reason_and_no_result(
    db: DatabaseManager, database_url: str
) -> None:
    """What calls without an answer cost is kept with the task."""
    claims = await claim(db, "f", "e")
    expired = failure("e", status=TaskStatus.EXPIRED, error="too old")
    cost = Decimal("0.002")
    assert await db.save_outcomes([(failure("f", cost_usd=cost), claims["f"]), (expired, claims["e"])]) == {
        "f",
        "e",
    }
    analyses = await finished(db)
    assert (analyses["f"].error, analyses["f"].cost_usd) == ("refused", cost)
    assert (analyses["e"].status, analyses["e"].error, analyses["e"].cost_usd) == (
        TaskStatus.EXPIRED,
        "too old",
        None,
    )
    assert await count(database_url, "llm_analysis_results") == 0


async def test_saving_the_same_outcomes_again_is_accepted_and_changes_nothing(
    db: DatabaseManager, database_url: str
) -> None:
    """When a confirmation is lost, the batch is sent again and is not taken for another worker's."""
    claims = await claim(db, "a", "f")
    batch = [
        (answer("a"), claims["a"]),
        (failure("f", cost_usd=Decimal(1)), claims["f"]),
        (answer("unclaimed"), None),
        (failure("gone"), None),
    ]
    for _ in range(2):
        assert await db.save_outcomes(batch) == {"a", "f", "unclaimed", "gone"}
    assert await count(database_url, "llm_analysis_results") == 2
    assert await count(database_url, "llm_enhancement_tasks") == 4
    assert (await finished(db))["f"].cost_usd == 1


async def test_one_batch_ends_every_task_as_it_should(db: DatabaseManager, database_url: str) -> None:
    """A hundred mixed outcomes in one statement, those behind the fence left out."""
    ids = [f"s-{number}" for number in range(100)]
    claims = await claim(db, *ids)
    await lapse(database_url)
    stolen = await db.claim_waiting(worker_id="v", limit=10, lease_seconds=LEASE)
    batch = [(answer(name) if n % 2 else failure(name), claims[name]) for n, name in enumerate(ids)]
    accepted = await db.save_outcomes(batch)
    assert accepted == set(ids) - {taken.signal_id for taken, _ in stolen}
    stats = await db.get_llm_processing_stats("session-1")
    assert (stats["completed"], stats["failed"], stats["processing"]) == (45, 45, 10)


async def test_an_outcome_without_a_claim_ends_a_task_nobody_else_holds(
    db: DatabaseManager, database_url: str
) -> None:
    """PostgreSQL was away when the work began; the answer still finds its task."""
    await db.record_signal(signal("free"))
    await db.record_signal(signal("mine"), worker_id="w")
    async with DatabaseManager(database_url) as other:
        await other.record_signal(signal("theirs"), worker_id="v")
        await claim(other, "worked on", worker_id="v")
    outcomes = [(answer(name), None) for name in ("free", "mine", "theirs", "worked on")]
    assert await db.save_outcomes(outcomes) == {"free", "mine"}
    await lapse(database_url)
    assert await db.save_outcomes(outcomes) == {"free", "mine", "theirs", "worked on"}


async def test_an_outcome_without_a_claim_does_not_replace_another(db: DatabaseManager) -> None:
    """A finished task stays as it ended."""
    claims = await claim(db, "s-1")
    await db.save_outcomes([(answer(rating=5), claims["s-1"])])
    assert await db.save_outcomes([(answer(rating=1), None), (failure("s-2"), None)]) == {"s-2"}
    assert (await finished(db))["s-1"].rating == 5


async def test_a_result_that_comes_before_its_signal_waits_for_it(db: DatabaseManager) -> None:
    """After an outage results may arrive first: nothing is lost, and nothing is asked twice."""
    assert await db.save_outcomes([(answer(), None)]) == {"s-1"}
    assert (await db.get_enhanced_signal_data("s-1"))["symbol"] is None
    await db.record_signal(signal(), worker_id="w")
    assert await claim(db, "s-1") == {}
    ((back, analysis),) = await db.session_analyses("session-1")
    assert (back, analysis.rating) == (replace(signal(), bars=()), 4)
    await db.record_signal(signal(symbol="other"))
    assert (await db.get_enhanced_signal_data("s-1"))["symbol"] == "EURUSD"


async def test_two_outcomes_for_one_signal_in_a_batch_make_one_result(db: DatabaseManager) -> None:
    """The first counts."""
    claims = await claim(db, "s-1")
    assert await db.save_outcomes([(answer(), claims["s-1"]), (answer(rating=1), claims["s-1"])]) == {"s-1"}
    assert (await finished(db))["s-1"].rating == 4


async def test_a_task_tried_again_adds_up_what_it_cost(db: DatabaseManager) -> None:
    """The cost of failed attempts does not vanish behind the answer."""
    claims = await claim(db, "s-1")
    await db.save_outcomes([(failure(cost_usd=Decimal("0.5")), claims["s-1"])])
    await db.update_task_status(claims["s-1"].task_id, "pending")
    ((again, _),) = await db.claim_waiting(worker_id="w", limit=1, lease_seconds=LEASE)
    await db.save_outcomes([(answer(cost_usd=Decimal("0.25")), again)])
    stats = await db.get_llm_processing_stats("session-1")
    assert (stats["completed"], stats["cost_usd"]) == (1, Decimal("0.75"))


async def test_one_row_that_cannot_be_stored_does_not_hold_up_the_others(
    db: DatabaseManager, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task ends as failed with the reason, the neighbours are stored, the log names it once."""
    async with plain(database_url) as connection:
        await connection.execute("ALTER TABLE llm_analysis_results ADD CHECK (analysis <> 'poison')")
    claims = await claim(db, "a", "bad", "c")
    batch = [
        (answer("a"), claims["a"]),
        (answer("bad", analysis="poison", cost_usd=Decimal(2)), claims["bad"]),
        (answer("c"), claims["c"]),
    ]
    with caplog.at_level(logging.ERROR):
        assert await db.save_outcomes(batch) == {"a", "bad", "c"}
        assert await db.save_outcomes(batch) == {"a", "bad", "c"}
    analyses = await finished(db)
    assert (analyses["a"].rating, analyses["c"].rating) == (4, 4)
    assert analyses["bad"].status is TaskStatus.FAILED
    assert "PostgreSQL refused the result" in str(analyses["bad"].error)
    assert analyses["bad"].cost_usd == 2
    said = [message.partition(" cannot be stored: ")[0] for message in caplog.messages]
    assert said == ["result of signal 'bad'"]
    assert db.refused_rows == 1


async def test_a_signal_that_cannot_be_stored_does_not_hold_up_the_others(
    db: DatabaseManager, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A constraint that somebody added costs the signals it forbids, and the log says so."""
    async with plain(database_url) as connection:
        await connection.execute("ALTER TABLE trading_signals ADD CHECK (symbol <> 'poison')")
    batch = [signal("a"), signal("bad", symbol="poison"), signal("c")]
    with caplog.at_level(logging.ERROR):
        claims = await db.claim_signals(batch, worker_id="w", lease_seconds=LEASE)
    assert set(claims) == {"a", "c"}
    assert "'bad' cannot be stored" in caplog.text


async def test_an_outcome_nothing_of_which_can_be_stored_is_left_out(
    db: DatabaseManager, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even then the neighbours are stored."""
    async with plain(database_url) as connection:
        await connection.execute("ALTER TABLE trading_signals ADD CHECK (signal_id <> 'bad')")
    with caplog.at_level(logging.ERROR):
        assert await db.save_outcomes([(answer("bad"), None), (answer("good"), None)]) == {"good"}
    assert "'bad' cannot be stored" in caplog.text


async def test_statistics_add_up(db: DatabaseManager) -> None:
    """Counts, reasons, methods, costs, tokens and times of a session; other sessions do not enter."""
    claims = await claim(db, "a", "b", "c", "d", "open")
    await db.save_outcomes(
        [
            (answer("a", total_ms=100.0), claims["a"]),
            (answer("b", rating=2, total_ms=300.0, cost_usd=None), claims["b"]),
            (answer("c", rating=None, error="prose", parse_method="none"), claims["c"]),
            (failure("d", cost_usd=Decimal("0.001")), claims["d"]),
        ]
    )
    await db.record_signal(signal("waits"))
    await db.record_signal(signal("elsewhere", session_id="session-2"))
    stats = await db.get_llm_processing_stats("session-1")
    wanted = {
        "total": 6, "pending": 1, "processing": 1, "completed": 3, "failed": 1, "expired": 0, "rated": 2,
        "unrated": 1,
        "ratings": {"4": 1, "2": 1}, "unrated_reasons": {"prose": 1}, "failure_reasons": {"refused": 1},
        "by_parse_method": {"json": 2, "none": 1}, "by_model": {"a/b-1": 3}, "average_rating": 3.0,
        "cost_usd": Decimal("0.00124"), "cost_unknown": 1, "prompt_tokens": 2700, "completion_tokens": 240,
        "p50_total_ms": 252.0, "average_total_ms": pytest.approx(217.33, abs=0.01),
    }  # fmt: skip
    assert {name: stats[name] for name in wanted} == wanted
    assert (await db.get_llm_processing_stats())["total"] == 7
    nothing = await db.get_llm_processing_stats("nowhere")
    assert (nothing["total"], nothing["cost_usd"], nothing["p95_total_ms"], nothing["ratings"]) == (
        0,
        0,
        None,
        {},
    )


async def test_analyses_come_in_the_order_of_their_signals(db: DatabaseManager) -> None:
    """By the time of the signal, whatever the order of the answers."""
    later = signal("a", timestamp=T0.replace(hour=15))
    claims = await db.claim_signals([later, signal("b")], worker_id="w", lease_seconds=LEASE)
    for name in ("a", "b"):
        await db.save_outcomes([(answer(name), claims[name])])
    assert [found.signal_id for found, _ in await db.session_analyses("session-1")] == ["b", "a"]


async def test_how_signals_ended_is_told_by_the_ids_that_were_asked_for(db: DatabaseManager) -> None:
    """Answered, failed and open ones among more than one statement takes; a hostile id stays itself."""
    names = ["nul\0id", *(f"s-{number}" for number in range(60))]
    claims = await claim(db, "w", *names)
    await db.save_outcomes([(answer(name), claims[name]) for name in names[:40]])
    await db.save_outcomes([(failure("s-50"), claims["s-50"])])
    found = {analysis.signal_id: analysis for analysis in await db.finished_analyses([*names, "unknown"])}
    assert set(found) == {*names[:40], "s-50"}
    assert found["nul\0id"].rating == 4
    assert (found["s-50"].status, found["s-50"].rating) == (TaskStatus.FAILED, None)
    assert await db.finished_analyses([]) == []
