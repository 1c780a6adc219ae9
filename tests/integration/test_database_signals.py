"""Signals and their tasks in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import asyncpg
import orjson
import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import Signal, TaskStatus
from llm_integration.record.errors import BadRowError, UnknownSignalError, UnknownTaskError
from llm_integration.signal_formatter import SignalFormatter
from tests.integration.database_helpers import LEASE, answer, bars, lapse, plain, signal
from tests.unit.test_long_bars import MOST_CALLS_IN_A_CALLBACK, CallsPerCallback


async def test_a_signal_and_its_task_are_stored_once(db: DatabaseManager) -> None:
    """Recording a signal again changes nothing and gives the same task."""
    task = await db.record_signal(signal())
    assert await db.record_signal(signal(entry_price=9.9)) == task
    data = await db.get_enhanced_signal_data("s-1")
    assert (data["task_id"], data["status"], data["entry_price"], data["rating"]) == (
        task,
        "pending",
        1.1,
        None,
    )


async def test_a_signal_comes_back_as_it_was_handed_in(db: DatabaseManager) -> None:
    """Bars, indicators, strategy and notes reach whichever worker takes the task."""
    await db.record_signal(signal())
    ((claim, back),) = await db.claim_waiting(worker_id="w", limit=5, lease_seconds=LEASE)
    assert back == signal()
    assert (claim.signal_id, claim.attempts) == ("s-1", 1)
    assert 0 <= claim.age_seconds < 60


async def test_a_signal_taken_back_gives_the_same_prompt(db: DatabaseManager) -> None:
    """What PostgreSQL cannot store of a hostile signal is not shown to the model in the first place."""
    prompt = SignalFormatter().format_signal_data
    for hostile in (*HOSTILE, signal("replaced", notes="before \ufffd after", strategy="\0")):
        await db.record_signal(hostile)
        ((_, back),) = await db.claim_waiting(worker_id="w", limit=5, lease_seconds=LEASE)
        assert prompt(back) == prompt(hostile)


async def test_sessions_are_made_as_needed(db: DatabaseManager, database_url: str) -> None:
    """A signal of a session that PostgreSQL has not heard of is not lost over it."""
    await db.record_signal(signal(session_id="other"))
    await db.claim_signals([signal("s-2", session_id=None)], worker_id="w", lease_seconds=LEASE)
    async with plain(database_url) as connection:
        rows = await connection.fetch("SELECT session_id FROM trading_sessions")
    assert [row[0] for row in rows] == ["other"]


HOSTILE = [
    signal("nul\0id", symbol="A\0B", notes="x\0"),
    signal("surrogate\ud800", symbol="\udfff", signal_type="{format} %s", strategy="'; DROP TABLE x; --"),
    signal("long" * 500_000, notes="n" * 1_000_000, symbol="=cmd()" * 1_000),
    signal("nan", entry_price=math.nan, stop_loss=math.inf, indicators={"a\0": math.nan, "b\ud800": 1.0}),
    Signal("bare", None, "", "", None, None, None),
    signal("", session_id="\0\ud800" * 999),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_signals_go_all_the_way(db: DatabaseManager, hostile: Signal) -> None:
    """Whatever a signal holds, it is stored, claimed under its own id, answered and read back."""
    task = await db.record_signal(hostile)
    claims = await db.claim_signals([hostile], worker_id="w", lease_seconds=LEASE)
    assert claims[hostile.signal_id].task_id == task
    done = answer(hostile.signal_id, raw_reply="\0\ud800" * 10, analysis="\0", warnings=("\udfff",))
    assert await db.save_outcomes([(done, claims[hostile.signal_id])]) == {hostile.signal_id}
    data = await db.get_enhanced_signal_data(hostile.signal_id)
    assert (data["task_id"], data["rating"], data["analysis"]) == (task, 4, "�")


async def test_random_code_points_are_stored_in_every_text(db: DatabaseManager) -> None:
    """PostgreSQL itself agrees with the boundary, for ids, texts and JSON."""
    rng = random.Random(20240301)
    wide = [0, 1, 0x7F, 0x80, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF]

    def text() -> str:
        points = [rng.choice(wide) if rng.random() < 0.5 else rng.randrange(0x110000) for _ in range(12)]
        return "".join(map(chr, points))

    signals = [
        signal(text(), symbol=text(), notes=text(), session_id=text(), indicators={text(): 1.0})
        for _ in range(200)
    ]
    claims = await db.claim_signals(signals, worker_id="w", lease_seconds=LEASE)
    assert set(claims) == {one.signal_id for one in signals}
    outcomes = [
        (answer(name, raw_reply=text(), warnings=(text(),), provider=text()), claims[name]) for name in claims
    ]
    assert await db.save_outcomes(outcomes) == set(claims)
    assert db.refused_rows == 0


async def test_an_outsiders_signal_needs_only_the_documented_columns(
    db: DatabaseManager, database_url: str
) -> None:
    """Another process may insert signals; a task is made on request and rated like any other."""
    async with plain(database_url) as connection:
        await connection.execute(
            'INSERT INTO trading_signals (signal_id, symbol, "timestamp", signal_type, entry_price, '
            "stop_loss, target_price) VALUES ('x', 'ES', now(), 'SELL', 10, 11, 8)"
        )
    task = await db.create_llm_enhancement_task("x")
    assert await db.create_llm_enhancement_task("x") == task
    ((claim, back),) = await db.claim_waiting(worker_id="w", limit=5, lease_seconds=LEASE)
    assert (claim.task_id, back.symbol, back.bars, dict(back.indicators)) == (task, "ES", (), {})


async def test_bars_reach_a_task_that_was_made_before_them(db: DatabaseManager, database_url: str) -> None:
    """A claim with the signal at hand fills in the context that an earlier hand left empty."""
    await db.record_signal(signal(bars=()))
    await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)
    await lapse(database_url)
    ((_, back),) = await db.claim_waiting(worker_id="v", limit=5, lease_seconds=LEASE)
    assert back.bars == signal().bars


@pytest.mark.parametrize(
    ("context", "known"),
    [
        ("null", 0), ("7", 0), ('"bars"', 0), ("[]", 0), ('{"bars": null}', 0), ('{"bars": {"a": 1}}', 0),
        ('{"bars": [null, 3, [], ["x", 1, 2, 3, 4, 5], ["2026-01-05T09:00:00Z", 1, 2, 0.5, 1.5, 10]]}', 1),
        (f'{{"bars": [["2026-01-05T09:00:00Z", 1, 2, 0.5, 1.5, 1{"0" * 400}]], "model": "m/m"}}', None),
    ],
)  # fmt: skip
async def test_whatever_an_outsider_wrote_beside_a_task_it_is_claimed(
    db: DatabaseManager, database_url: str, context: str, known: int | None
) -> None:
    """Bars that are no bars are left out, and so is a number that nobody can read."""
    await db.record_signal(signal(bars=()))
    async with plain(database_url) as connection:
        await connection.execute("UPDATE llm_enhancement_tasks SET context = $1::text::jsonb", context)
    ((claim, back),) = await db.claim_waiting(worker_id="w", limit=5, lease_seconds=LEASE)
    assert claim.signal_id == back.signal_id == "s-1"
    assert known is None or len(back.bars) == known


async def test_hundreds_of_stored_bars_are_read_in_turns_of_the_loop(db: DatabaseManager) -> None:
    """Signals found waiting come with all their bars, and the host's loop gets its turn in between."""
    signals = [signal(f"s-{number}", bars=bars(500)) for number in range(8)]
    await db.record_signals(signals)
    calls = CallsPerCallback()
    with calls.watching():
        found = await db.claim_waiting(worker_id="w", limit=8, lease_seconds=LEASE)
    assert [back for _, back in found] == signals
    assert max(calls.counts) <= MOST_CALLS_IN_A_CALLBACK


async def test_ids_that_do_not_exist_are_named_in_the_error(db: DatabaseManager) -> None:
    """Each lookup of something unknown says what is unknown, and is not worth repeating."""
    with pytest.raises(UnknownSignalError, match="nowhere"):
        await db.create_llm_enhancement_task("nowhere")
    with pytest.raises(UnknownSignalError, match="nowhere"):
        await db.get_enhanced_signal_data("nowhere")
    with pytest.raises(UnknownTaskError, match="77"):
        await db.update_task_status(77, "failed")
    with pytest.raises(UnknownTaskError, match="77"):
        await db.save_llm_analysis_result(77, "nowhere", answer())


async def test_pending_tasks_are_listed_oldest_first(db: DatabaseManager) -> None:
    """The list shows what waits, with the signal's data, and claims nothing."""
    for name in ("b", "a", "c"):
        await db.record_signal(signal(name))
    listed = await db.get_pending_llm_tasks(limit=2)
    assert [(row["signal_id"], row["status"], row["symbol"]) for row in listed] == [
        ("b", "pending", "EURUSD"), ("a", "pending", "EURUSD"),
    ]  # fmt: skip
    assert len(await db.get_pending_llm_tasks()) == 3
    assert await db.get_pending_llm_tasks(-1) == []


async def test_a_status_set_by_hand_voids_the_claim(db: DatabaseManager) -> None:
    """Who decides by hand wins over a worker that is still at it."""
    claims = await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)
    task = claims["s-1"].task_id
    await db.update_task_status(task, TaskStatus.FAILED, "by hand")
    assert await db.save_outcomes([(answer(), claims["s-1"])]) == set()
    data = await db.get_enhanced_signal_data("s-1")
    assert (data["status"], data["error"], data["completed_at"] is None) == ("failed", "by hand", False)
    await db.update_task_status(task, "pending")
    data = await db.get_enhanced_signal_data("s-1")
    assert (data["status"], data["error"], data["completed_at"]) == ("pending", None, None)
    with pytest.raises(ValueError, match="done"):
        await db.update_task_status(task, "done")


async def test_the_simple_calls_work_one_after_the_other(db: DatabaseManager) -> None:
    """Task, status, result by hand: the documented calls, with a plain dictionary."""
    await db.record_signal(signal())
    task = await db.create_llm_enhancement_task("s-1")
    await db.update_task_status(task, "processing")
    assert await db.save_llm_analysis_result(task, "s-1", {"rating": 5, "choppiness": "yes", "analysis": "a"})
    assert not await db.save_llm_analysis_result(task, "s-1", {"rating": 1})
    data = await db.get_enhanced_signal_data("s-1")
    assert (data["status"], data["rating"], data["choppiness"], data["analysis"]) == (
        "completed",
        5,
        "yes",
        "a",
    )
    with pytest.raises(BadRowError, match="belongs to"):
        await db.save_llm_analysis_result(task, "s-2", {"rating": 1})


async def test_a_task_called_completed_by_hand_still_takes_its_result(db: DatabaseManager) -> None:
    """The order of the two calls does not matter."""
    task = await db.record_signal(signal())
    await db.update_task_status(task, "completed")
    assert await db.save_llm_analysis_result(task, "s-1", {"rating": 2})
    assert (await db.get_enhanced_signal_data("s-1"))["rating"] == 2


async def test_signals_recorded_at_the_same_moment_do_not_disturb_each_other(db: DatabaseManager) -> None:
    """Ten writers of the same three signals make three tasks."""
    tasks = await asyncio.gather(*(db.record_signal(signal(f"s-{number % 3}")) for number in range(30)))
    assert len(set(tasks)) == 3
    assert len({tasks[number] for number in range(0, 30, 3)}) == 1


async def test_many_signals_are_recorded_as_one_would_be(db: DatabaseManager) -> None:
    """Hostile and repeated ones among them: each is reserved for the worker, and stays as it was first."""
    await db.record_signal(signal("s-1", entry_price=9.9), worker_id="w")
    many = [*HOSTILE, *(signal(f"s-{number}") for number in range(40)), signal("s-3", entry_price=9.9)]
    assert await db.record_signals(many, worker_id="w") == len(many)
    assert await db.record_signals(many[:3], worker_id="w") == 3
    assert db.refused_rows == 0
    assert len(await db.get_pending_llm_tasks(100)) == len(HOSTILE) + 40
    prices = [(await db.get_enhanced_signal_data(f"s-{number}"))["entry_price"] for number in (1, 3)]
    assert prices == [9.9, 1.1]
    assert await db.claim_signals(many, worker_id="v", lease_seconds=LEASE) == {}  # reserved for w
    assert len(await db.claim_signals(many, worker_id="w", lease_seconds=LEASE)) == len(HOSTILE) + 40


@pytest.mark.parametrize(
    ("bars_each", "statements"), [(20, [32, 8]), (100, [12, 12, 12, 4]), (1_000, [1] * 40)]
)
async def test_a_statement_takes_no_more_bars_than_the_loop_can_bear(
    db: DatabaseManager, bars_each: int, statements: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 32 signals and 100,000 characters, whether they are stored or claimed."""
    sent: list[int] = []
    fetch = db._connections.fetch

    async def counted(doing: str, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        sent.append(len(orjson.loads(arguments[0])))
        return await fetch(doing, sql, *arguments)

    monkeypatch.setattr(db._connections, "fetch", counted)
    signals = [signal(f"s-{number}", bars=bars(bars_each)) for number in range(40)]
    assert await db.record_signals(signals, worker_id="w") == 40
    new = [signal(f"n-{number}", bars=bars(bars_each)) for number in range(40)]
    assert len(await db.claim_signals(new, worker_id="w", lease_seconds=LEASE)) == 40
    assert sent == statements * 2


async def test_recording_finished_or_claimed_signals_again_changes_nothing(db: DatabaseManager) -> None:
    """A worker that finds a signal waiting in memory cannot undo what became of it."""
    claims = await db.claim_signals([signal("s-1"), signal("s-2")], worker_id="w", lease_seconds=LEASE)
    assert await db.save_outcomes([(answer("s-1"), claims["s-1"])]) == {"s-1"}
    assert await db.record_signals([signal("s-1"), signal("s-2")], worker_id="v") == 2
    states = [(await db.get_enhanced_signal_data(name))["status"] for name in ("s-1", "s-2")]
    assert states == ["completed", "processing"]
    assert await db.save_outcomes([(answer("s-2"), claims["s-2"])]) == {"s-2"}
    assert await db.record_signals([]) == 0


async def test_a_signal_that_cannot_be_stored_does_not_hold_up_the_others(
    db: DatabaseManager, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One row of a statement is refused for what is in it: it is named, the rest is stored."""
    async with plain(database_url) as connection:
        await connection.execute("ALTER TABLE trading_signals ADD CHECK (symbol <> 'BAD')")
    assert await db.record_signals([signal("s-1"), signal("s-2", symbol="BAD"), signal("s-3")]) == 3
    assert db.refused_rows == 1
    assert "'s-2' cannot be stored" in caplog.text
    assert [task["signal_id"] for task in await db.get_pending_llm_tasks(9)] == ["s-1", "s-3"]
