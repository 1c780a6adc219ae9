"""Finished tasks made pending again, in PostgreSQL, beside workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from llm_integration.commands import main
from llm_integration.domain import Claim, TaskStatus
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.retry import RetryChoice
from tests.integration.database_helpers import LEASE, answer, failure, plain, signal

EVERYTHING = RetryChoice(failed=True, expired=True, unrated=True)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[CommandDatabase]:
    async with CommandDatabase(database_url) as database:
        yield database


async def ended(db: CommandDatabase) -> dict[str, Claim]:
    """One signal of each ending: rated, unrated, failed, expired; their claims."""
    claims = await db.claim_signals(
        [signal(name) for name in ("rated", "unrated", "failed", "expired")],
        worker_id="w", lease_seconds=LEASE,
    )  # fmt: skip
    await db.save_outcomes(
        [
            (answer("rated"), claims["rated"]),
            (answer("unrated", rating=None, error="no rating found"), claims["unrated"]),
            (failure("failed", cost_usd=Decimal("0.001")), claims["failed"]),
            (failure("expired", status=TaskStatus.EXPIRED, error="too old"), claims["expired"]),
        ]
    )
    return claims


async def statuses(db: CommandDatabase) -> dict[str, str]:
    names = ("rated", "unrated", "failed", "expired")
    return {name: (await db.get_enhanced_signal_data(name))["status"] for name in names}


@pytest.mark.parametrize("chosen", ["failed", "expired", "unrated"])
async def test_only_what_was_asked_for_becomes_pending(db: CommandDatabase, chosen: str) -> None:
    """A dry run names the same tasks and changes nothing; a rated signal is never among them."""
    await ended(db)
    before = await statuses(db)
    choice = RetryChoice(chosen == "failed", chosen == "expired", chosen == "unrated")
    found = await db.find_retryable(choice)
    assert [task.signal_id for task in found] == [chosen]
    assert await statuses(db) == before
    assert await db.retry(choice) == found
    assert await statuses(db) == {**before, chosen: "pending"}
    assert await db.retry(choice) == []


async def test_a_retried_signal_is_asked_about_once_more_and_both_costs_count(
    db: CommandDatabase, database_url: str
) -> None:
    """The next worker is given it as new, its result takes the old one's place, and the sum is kept."""
    await ended(db)
    await db.retry(EVERYTHING)
    claimed = await db.claim_waiting(worker_id="next", limit=10, lease_seconds=LEASE)
    assert {signal.signal_id for _, signal in claimed} == {"unrated", "failed", "expired"}
    assert all(claim.age_seconds < 5 for claim, _ in claimed)
    assert all(len(found.bars) == 3 for _, found in claimed)
    await db.save_outcomes([(answer(found.signal_id, rating=2), claim) for claim, found in claimed])
    data = await db.get_enhanced_signal_data("unrated")
    assert (data["status"], data["rating"], data["spent_usd"]) == ("completed", 2, Decimal("0.00024"))
    assert (await db.get_enhanced_signal_data("failed"))["spent_usd"] == Decimal("0.00112")
    async with plain(database_url) as connection:
        counts = await connection.fetch("SELECT count(*) AS n FROM llm_analysis_results GROUP BY signal_id")
    assert [row["n"] for row in counts] == [1, 1, 1, 1]


async def test_an_answer_that_is_pending_again_is_nowhere_taken_for_current(
    db: CommandDatabase, database_url: str
) -> None:
    """Between retry and new answer the signal has no result, no opinions and no error."""
    await ended(db)
    await db.retry(EVERYTHING)
    async with plain(database_url) as connection:
        left = await connection.fetch("SELECT signal_id FROM llm_analysis_results")
    assert [row["signal_id"] for row in left] == ["rated"]
    data = await db.get_enhanced_signal_data("failed")
    assert (data["error"], data["completed_at"], data["spent_usd"]) == (None, None, Decimal("0.001"))


async def test_the_old_attempt_stays_in_the_context_and_the_history_is_bounded(db: CommandDatabase) -> None:
    """Bars stay, five earlier endings at most are kept, the newest last."""
    await ended(db)
    for number in range(7):
        (claim,) = (await db.claim_signals([signal("again")], worker_id="w", lease_seconds=LEASE)).values()
        reply = answer("again", rating=None, raw_reply=f"{number}" * 5000, error="unreadable")
        assert await db.save_outcomes([(reply, claim)])
        assert len(await db.retry(RetryChoice(unrated=True))) == (2 if number == 0 else 1)
    context = (await db.get_enhanced_signal_data("again"))["context"]
    assert len(context["bars"]) == 3
    assert [entry["raw_reply"] for entry in context["earlier"]] == [f"{n}" * 1000 for n in (2, 3, 4, 5, 6)]
    assert context["earlier"][-1]["cost_usd"] == "0.00012"
    assert context["earlier"][-1]["reason"] == "unreadable"


async def test_a_worker_that_comes_back_late_cannot_end_a_retried_task(db: CommandDatabase) -> None:
    """The claim of the first attempt is void, also for repeating the very same outcome."""
    claims = await ended(db)
    await db.retry(EVERYTHING)
    late = answer("unrated", rating=5)
    assert await db.save_outcomes([(late, claims["unrated"])]) == set()
    assert (await db.get_enhanced_signal_data("unrated"))["status"] == "pending"


async def test_open_tasks_and_other_sessions_are_left_alone(db: CommandDatabase) -> None:
    """A task that is being worked on is no finished one; session, time and number narrow the choice."""
    await ended(db)
    await db.claim_signals([signal("busy")], worker_id="w", lease_seconds=LEASE)
    other = signal("elsewhere", session_id="session-2")
    claims = await db.claim_signals([other], worker_id="w", lease_seconds=LEASE)
    await db.save_outcomes([(failure("elsewhere"), claims["elsewhere"])])
    found = await db.find_retryable(RetryChoice(failed=True, session_id="session-2"))
    assert [task.signal_id for task in found] == ["elsewhere"]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await db.find_retryable(RetryChoice(failed=True, since=later)) == []
    assert [task.signal_id for task in await db.retry(RetryChoice(failed=True, limit=1))] == ["failed"]
    assert (await db.get_enhanced_signal_data("busy"))["status"] == "processing"


async def test_the_model_to_ask_stands_in_the_context_until_the_next_retry(
    db: CommandDatabase, database_url: str
) -> None:
    """``model`` is set by one retry and gone after one without it, whatever the context was before."""
    await ended(db)
    async with plain(database_url) as connection:
        await connection.execute(
            "UPDATE llm_enhancement_tasks SET context = '[1]' WHERE signal_id = 'failed'"
        )
        await db.retry(RetryChoice(failed=True), model="a/other")
        assert (await db.get_enhanced_signal_data("failed"))["context"]["model"] == "a/other"
        await connection.execute(
            "UPDATE llm_enhancement_tasks SET status = 'failed', completed_at = now() - interval '1 s'"
        )
    await db.retry(RetryChoice(failed=True))
    assert "model" not in (await db.get_enhanced_signal_data("failed"))["context"]


async def test_many_tasks_are_done_in_rounds(db: CommandDatabase) -> None:
    """More than fit one statement are all made pending, each once."""
    names = [f"s-{number:03}" for number in range(450)]
    for start in range(0, len(names), 30):
        part = names[start : start + 30]
        claims = await db.claim_signals([signal(n) for n in part], worker_id="w", lease_seconds=LEASE)
        await db.save_outcomes([(failure(n), claims[n]) for n in part])
    assert [task.signal_id for task in await db.retry(RetryChoice(failed=True))] == names


def test_the_command_says_what_it_would_do_and_then_does_it(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Table and JSON; text from outside reaches the terminal without its control sequences and markup."""
    monkeypatch.chdir(tmp_path)
    hostile = signal("evil\x1b[2J", symbol="[red]ES\x1b]0;title\x07")

    async def prepare() -> None:
        async with CommandDatabase(database_url) as db:
            (claim,) = (await db.claim_signals([hostile], worker_id="w", lease_seconds=LEASE)).values()
            await db.save_outcomes([(failure(hostile.signal_id, error="[bold]why\n\x9b31m"), claim)])

    asyncio.run(prepare())
    url = ["--database-url", database_url]
    assert main(["retry", "--failed", "--dry-run", *url]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]ES" in shown
    assert "1 failed; nothing was changed" in shown
    assert main(["retry", "--failed", "--json", "--model", "openrouter/a/b", *url]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["count"], report["model"], report["dry_run"]) == (1, "a/b", False)
    assert report["tasks"][0]["status"] == "failed"
    assert report["tasks"][0]["spent_usd"] is None
    assert main(["retry", "--failed", *url]) == 0
    assert "nothing to ask again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say which"),
        (["--failed", "--since", "yesterday"], "'yesterday'"),
        (["--failed", "--limit", "0"], "'0'"),
        (["--failed", "--model", "a b"], "not a model id"),
        (["--failed", "--session", "nowhere"], "there is no session 'nowhere'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    database_url: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    """Nothing is changed by a command that was not understood."""
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(["retry", *arguments, "--database-url", database_url])
    except SystemExit as left:
        status = left.code
    captured = capsys.readouterr()
    assert status == 2
    assert told in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
