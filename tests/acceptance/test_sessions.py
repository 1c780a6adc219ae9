"""Sessions that are cut short, continued elsewhere, worked off by others and kept apart, as processes."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from database import DatabaseManager, Outbox
from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE
from llm_integration.domain import Signal
from llm_integration.record.outbox.thread import folder_for
from tests.acceptance.test_commands import simulated
from tests.acceptance.test_commands_export import command
from tests.acceptance.test_program import PROGRAM, bars_file, environment, fetch, rows, run
from tests.integration.database_helpers import answer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

QUICK = {"LLM_REQUESTS_PER_MINUTE": "6000", "LLM_DRAIN_TIMEOUT_SECONDS": "2", "LLM_POLL_INTERVAL": "0.2"}
BARS = 700


class Trader:
    """Runs the program over the same bars, database and output folder again and again."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.bars = bars_file(folder, BARS)
        self.out = folder / "out"

    def run(
        self, *arguments: str, variables: Mapping[str, str], cwd: Path | None = None, output: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """One run to its end."""
        where = ["--output", str(self.out)] if output else []
        return subprocess.run(
            [sys.executable, str(PROGRAM), "--data", str(self.bars), "--database-url", self.url,
             "--no-dashboard", *where, *arguments],
            capture_output=True, text=True, timeout=90, env=environment(**QUICK, **variables), check=False,
            cwd=cwd or self.folder,
        )  # fmt: skip

    def statuses(self) -> list[str]:
        """What the results file says of its signals, in the order of the bars."""
        return [row["llm_status"] for row in rows(self.out / RESULT_FILE) if row["signal_id"]]


@pytest.fixture
def trader(tmp_path: Path, database_url: str) -> Trader:
    return Trader(tmp_path, database_url)


def refused(server: Mapping[str, str]) -> dict[str, str]:
    """The same server with a key that it does not know."""
    return {**server, "OPENROUTER_API_KEY": "sk-or-v1-" + "0" * 64}


async def statuses_of_tasks(url: str) -> dict[str, int]:
    found = await fetch(url, "SELECT status, count(*) AS n FROM llm_enhancement_tasks GROUP BY 1")
    return {row["status"]: row["n"] for row in found}


async def test_signals_that_wait_are_named_at_the_end_and_filled_in_by_the_next_run(trader: Trader) -> None:
    """A refused key: every bar is in the file, the last lines say why and what to do; --resume does it."""
    with simulated() as server:
        done = trader.run(variables=refused(server))
        assert done.returncode == 0, done.stderr
        *_, waiting, go_on = done.stdout.splitlines()
        number = int(re.match(r"(\d+) signals wait: .*(401|OPENROUTER_API_KEY)", waiting)[1])  # type: ignore[index]
        assert number > 3
        assert go_on.startswith("go on with: python main_with_database.py --data")
        assert go_on.endswith(" --resume")
        assert trader.url not in go_on
        assert len(rows(trader.out / RESULT_FILE)) == BARS
        assert trader.statuses() == ["pending"] * number
        (session,) = await fetch(trader.url, "SELECT * FROM trading_sessions")
        assert session["status"] == "stopped"

        again = trader.run("--resume", variables=server)
    assert again.returncode == 0, again.stderr
    assert f"{number} of its signals are unanswered" in again.stderr
    assert "signals wait" not in again.stdout
    assert f"rated {number}" in again.stdout
    assert trader.statuses() == ["completed"] * number
    assert len(rows(trader.out / RESULT_FILE)) == BARS
    assert len(rows(trader.out / SIGNAL_FILE)) == number
    (session,) = await fetch(trader.url, "SELECT * FROM trading_sessions")
    assert session["status"] == "completed"
    assert await statuses_of_tasks(trader.url) == {"completed": number}


async def test_another_session_leaves_the_waiting_signals_alone_unless_it_is_to_adopt_them(
    trader: Trader,
) -> None:
    """Their answers are in no count, file or cost of a run that was not asked; --adopt counts them apart."""
    with simulated() as server:
        first = trader.run(variables=refused(server))
        number = len(trader.statuses())
        (left,) = await fetch(trader.url, "SELECT session_id FROM trading_sessions")
        trader.out = trader.folder / "second"
        second = trader.run(variables=server)
        assert second.returncode == 0, second.stderr
        assert f"{number} waiting task(s) of 1 other session(s) are left alone" in second.stderr
        assert f"signals {number}, rated {number}," in second.stdout
        assert await statuses_of_tasks(trader.url) == {"completed": number, "pending": number}

        trader.out = trader.folder / "third"
        third = trader.run("--adopt", variables=server)
    assert third.returncode == 0, third.stderr
    assert f"signals {number}, rated {number}," in third.stdout
    assert f"of other sessions, for which it was asked: rated {number} of {number}" in third.stdout
    assert await statuses_of_tasks(trader.url) == {"completed": 3 * number}
    assert len(rows(trader.out / SIGNAL_FILE)) == number
    assert left["session_id"] not in (trader.out / RESULT_FILE).read_text()
    assert left["session_id"] in first.stdout


async def test_resume_takes_the_newest_session_with_something_to_do_and_session_a_named_one(
    trader: Trader,
) -> None:
    """Not one that is complete, nor an older one; a name that does not fit is refused in one line."""
    with simulated() as server:
        trader.run(variables=refused(server))
        trader.run(variables=refused(server))
        trader.run(variables=server)
        sessions = await fetch(
            trader.url, "SELECT session_id, status FROM trading_sessions ORDER BY started_at"
        )
        old, newer, complete = (row["session_id"] for row in sessions)
        assert [row["status"] for row in sessions] == ["stopped", "stopped", "completed"]
        assert f"session {newer} finished" in trader.run("--resume", variables=server).stdout
        assert f"session {old} finished" in trader.run("--session", old, variables=server).stdout
        fresh = trader.run("--resume", variables=server)
        assert "no session of EURUSD to go on with; a new one starts" in fresh.stderr
        assert not any(name in fresh.stdout for name in (old, newer, complete))
        for arguments, reason in (
            (["--session", "none such"], "there is no session 'none such'"),
            (["--session", old, "--symbol", "ES"], "is about 'EURUSD', not 'ES'"),
            (["--session", old, "--simulate"], "is a real one and cannot go on as a simulated one"),
        ):
            wrong = trader.run(*arguments, variables=server)
            assert wrong.returncode == 2
            assert reason in wrong.stderr.splitlines()[-1]


async def test_a_task_goes_to_another_address_only_when_that_is_said(trader: Trader) -> None:
    """--resume under a changed address is asking for it, and one line names both addresses."""
    with simulated() as server:
        trader.run(variables=refused(server))
        meant_for = server["OPENROUTER_BASE_URL"]
    number = len(trader.statuses())
    with simulated() as other:
        now = other["OPENROUTER_BASE_URL"]
        left = command("work", "--until-empty", "--database-url", trader.url, **QUICK, **other)
        assert left.returncode == 0, left.stderr
        assert f"{number} signals were meant for {meant_for} and are left alone; --adopt" in left.stdout
        assert await statuses_of_tasks(trader.url) == {"pending": number}
        done = trader.run("--resume", variables=other)
    assert f"{number} waiting task(s) were meant for {meant_for} and are sent to {now}" in done.stderr
    assert await statuses_of_tasks(trader.url) == {"completed": number}
    endpoints = await fetch(trader.url, "SELECT DISTINCT endpoint FROM llm_enhancement_tasks")
    assert [row["endpoint"] for row in endpoints] == [now]


async def test_a_worker_program_answers_what_waits(trader: Trader) -> None:
    """Without bars, of one session or of all, until nothing waits; --resume then only fills the files."""
    with simulated() as server:
        trader.run(variables=refused(server))
        trader.run(variables=refused(server))
        number = len(trader.statuses()) // 2
        old, newer = (
            row["session_id"]
            for row in await fetch(trader.url, "SELECT session_id FROM trading_sessions ORDER BY started_at")
        )
        work = ["work", "--until-empty", "--database-url", trader.url, "--json"]
        one = command(*work, "--session", old, **QUICK, **server)
        assert one.returncode == 0, one.stderr
        assert {**json.loads(one.stdout), "cost_usd": ""} == {
            "completed": number, "failed": 0, "expired": 0, "rated": number, "cost_usd": "", "waiting": 0,
            "left_alone": {},
        }  # fmt: skip
        assert await statuses_of_tasks(trader.url) == {"completed": number, "pending": number}
        rest = command(*work, **QUICK, **server)
        assert json.loads(rest.stdout)["rated"] == number
        assert await statuses_of_tasks(trader.url) == {"completed": 2 * number}
        unknown = command(*work, "--session", "none such", **QUICK, **server)
        assert (unknown.returncode, unknown.stderr) == (
            2, "work: there is no session 'none such' in this database\n",
        )  # fmt: skip
        refusal = command(*work, **QUICK, **refused(server))
        assert refusal.returncode == 0, "nothing waits: the key is never used"
        done = trader.run("--session", newer, variables=refused(server))
    assert done.returncode == 0, done.stderr
    assert trader.statuses()[number:] == ["completed"] * number
    assert "signals wait" not in done.stdout


async def test_a_run_that_goes_on_elsewhere_finds_outbox_and_files_of_its_session(trader: Trader) -> None:
    """From another working folder, with other settings: paid answers in the old outbox are not paid again."""
    old = trader.folder / "old"
    old.mkdir()
    config = old / "config.json"
    config.write_text(json.dumps({"database": {"outbox_directory": str(old / "outbox")}}))
    with simulated() as server:
        trader.run("--config", str(config), variables=refused(server))
        (session,) = await fetch(trader.url, "SELECT * FROM trading_sessions")
        target = DatabaseManager(trader.url).address
        assert json.loads(session["folders"]) == {
            "host": socket.gethostname(), "outbox": str(folder_for(old / "outbox", target)),
            "output": str(trader.out),
        }  # fmt: skip
        signals = await fetch(trader.url, "SELECT signal_id FROM trading_signals ORDER BY 1")
        outbox = Outbox(old / "outbox", target=target)
        async with DatabaseManager(trader.url) as db:
            paid = await db.get_enhanced_signal_data(signals[0]["signal_id"])
        assert paid["status"] == "pending"
        kept = await kept_signal(trader.url, signals[0]["signal_id"])
        outbox.keep_outcome(kept, answer(kept.signal_id, rating=5, model_served="paid/before"))
        outbox.close(10)
        new = trader.folder / "new"
        new.mkdir()
        (new / "config.json").write_text(json.dumps({"database": {"outbox_directory": str(new / "outbox")}}))
        done = trader.run(
            "--config", str(new / "config.json"), "--resume", cwd=new, output=False, variables=server
        )
    assert done.returncode == 0, done.stderr
    assert f"files: {trader.out}" in done.stdout
    assert set(trader.statuses()) == {"completed"}
    served = await fetch(
        trader.url, "SELECT signal_id FROM llm_analysis_results WHERE model_served = 'paid/before'"
    )
    assert [row["signal_id"] for row in served] == [signals[0]["signal_id"]]
    assert not outbox.path.exists()


async def test_a_run_does_not_go_on_without_the_outbox_of_its_session(trader: Trader) -> None:
    """The folder is gone, or on another host: one line that says where it was; nothing is asked or paid."""
    with simulated() as server:
        config = trader.folder / "config.json"
        config.write_text(json.dumps({"database": {"outbox_directory": str(trader.folder / "box")}}))
        trader.run("--config", str(config), variables=refused(server))
        (trader.folder / "box").rmdir()
        config.write_text(json.dumps({"database": {"outbox_directory": str(trader.folder / "other")}}))
        done = trader.run("--config", str(config), "--resume", variables=server)
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert "kept its outbox in" in last
        assert str(trader.folder / "box") in last
        assert set(await statuses_of_tasks(trader.url)) == {"pending"}
        (trader.folder / "box").mkdir()
        assert trader.run("--config", str(config), "--resume", variables=server).returncode == 0


async def test_a_server_that_wants_a_key_is_not_waited_for_when_none_was_given(trader: Trader) -> None:
    """Nothing would change by itself: the run ends with its bars, and says what it lacks."""
    with simulated() as server:
        keyless = {"OPENROUTER_BASE_URL": server["OPENROUTER_BASE_URL"]}
        started = time.monotonic()
        done = run(
            "--data", str(trader.bars), "--database-url", trader.url, "--no-dashboard", "--output",
            str(trader.out), variables={**keyless, "LLM_REQUESTS_PER_MINUTE": "6000"},
        )  # fmt: skip
    assert done.returncode == 0
    assert time.monotonic() - started < 40, "drain_timeout_seconds is 120"
    assert "signals wait: " in done.stdout
    assert "OPENROUTER_API_KEY" in done.stdout


async def kept_signal(url: str, signal_id: str) -> Signal:
    """A stored signal as the domain has it."""
    async with DatabaseManager(url) as db:
        ((claim, found),) = [
            pair
            for pair in await db.claim_waiting(worker_id="look", limit=1_000, lease_seconds=60)
            if pair[0].signal_id == signal_id
        ]
        await db.retire_worker("look")
        assert claim.signal_id == found.signal_id
        return found
