"""PostgreSQL lost in mid-run in every way: bars keep their speed, on its return all is stored once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.kill_rounds import LATENCY_SECONDS
from tests.chaos.program import Program, connected
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.truth import compare, end_state, expected_signals, slice_of_bars
from tests.conftest import PostgresForTests

__all__ = ["OUTAGES", "Outcome", "go_through"]

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

BARS, SPEED = 300, 120.0
AWAY_SECONDS = 1.0
STARVED_SECONDS = 15.0
"""How much longer it stays away on a machine too busy for the pace; waiting shows in the longest bar."""
AT_ONCE = 3
STATEMENT_SECONDS = 2.0
MOST_MESSAGES = 12
"""Recorder, worker and result writer each say when it goes and when it is back, perhaps twice."""
HANDOFF_SECONDS = 0.05
"""What a bar with a signal may wait for PostgreSQL, by default."""

DISK_FULL = """
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON trading_signals EXECUTE FUNCTION disk_full();
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON market_data EXECUTE FUNCTION disk_full();
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON llm_enhancement_tasks EXECUTE FUNCTION disk_full();
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON llm_analysis_results EXECUTE FUNCTION disk_full();
"""
DISK_FREE = "DROP FUNCTION disk_full CASCADE"
READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = on"
READ_WRITE = "ALTER DATABASE {} RESET default_transaction_read_only"
END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'tradent' AND datname = current_database()"
)

Step = Callable[[FaultProxy, str], Awaitable[None]]


async def _stopped(proxy: FaultProxy, _url: str) -> None:
    await proxy.refuse()


async def _cut(proxy: FaultProxy, _url: str) -> None:
    proxy.reset()


async def _black_hole(proxy: FaultProxy, _url: str) -> None:
    proxy.black_hole()


async def _slow(proxy: FaultProxy, _url: str) -> None:
    proxy.latency(0.15, jitter=0.1)


async def _healed(proxy: FaultProxy, _url: str) -> None:
    await proxy.heal()


async def _execute(url: str, *statements: str) -> None:
    async with connected(url) as link:
        name = await link.fetchval("SELECT quote_ident(current_database())")
        await link.execute("SET default_transaction_read_only = off")
        for sql in statements:
            await link.execute(sql.format(name) if "{}" in sql else sql)


async def _read_only(_proxy: FaultProxy, url: str) -> None:
    await _execute(url, READ_ONLY, END_CONNECTIONS)


async def _read_write(_proxy: FaultProxy, url: str) -> None:
    """The server takes writes again; nobody ends the sessions that began while it did not."""
    await _execute(url, READ_WRITE)


async def _table_gone(_proxy: FaultProxy, url: str) -> None:
    await _execute(url, "ALTER TABLE market_data RENAME TO gone")


async def _table_back(_proxy: FaultProxy, url: str) -> None:
    await _execute(url, "ALTER TABLE gone RENAME TO market_data")


async def _schema_moved(_proxy: FaultProxy, url: str) -> None:
    """Sessions that begin now look elsewhere."""
    await _execute(url, "ALTER DATABASE {} SET search_path = nowhere", END_CONNECTIONS)


async def _schema_back(_proxy: FaultProxy, url: str) -> None:
    await _execute(url, "ALTER DATABASE {} RESET search_path")


async def _disk_full(_proxy: FaultProxy, url: str) -> None:
    await _execute(url, DISK_FULL)


async def _disk_free(_proxy: FaultProxy, url: str) -> None:
    await _execute(url, DISK_FREE)


OUTAGES: dict[str, tuple[Step, Step]] = {
    "stopped": (_stopped, _healed),
    "cut": (_cut, _healed),
    "black hole": (_black_hole, _healed),
    "slow": (_slow, _healed),
    "read-only": (_read_only, _read_write),
    "read-only, writes asked for": (_read_only, _read_write),
    "table gone": (_table_gone, _table_back),
    "schema moved": (_schema_moved, _schema_back),
    "disk full": (_disk_full, _disk_free),
}
"""How PostgreSQL goes, and how it comes back. Coming back does no more than the world would."""
WORDS = {"read-only, writes asked for": "?target_session_attrs=read-write"}
"""What the URL says beside the place."""


@dataclass(slots=True)
class Outcome:
    """What one outage brought."""

    problems: list[str] = field(default_factory=list)
    longest_bar_seconds: float = 0.0
    bars_while_away: int = 0
    signals_in: int = 0
    signals: int = 0
    duplicates: int = 0
    torn_lines: int = 0
    log: str = ""

    def broken(self, away: float = AWAY_SECONDS) -> list[str]:
        """Which promises did not hold, in words."""
        changes = [line for line in self.log.splitlines() if " WARNING " in line or " ERROR " in line]
        return self.problems + [
            text
            for holds, text in (
                (self.bars_while_away > SPEED * away / 3, f"{self.bars_while_away} bars while it was away"),
                (
                    self.longest_bar_seconds < HANDOFF_SECONDS + STATEMENT_SECONDS / 2,
                    f"a bar took {self.longest_bar_seconds} s",
                ),
                ("Traceback" not in self.log, "the log holds a traceback"),
                (len(changes) <= MOST_MESSAGES, f"{len(changes)} messages: {changes}"),
            )
            if not holds
        ]


async def go_through(outage: str, url: str, folder: Path, *, away: float = AWAY_SECONDS) -> Outcome:
    """One run with PostgreSQL away for ``away`` seconds in its middle."""
    goes, returns = OUTAGES[outage]
    async with (
        OpenRouterSimulator(latency_seconds=LATENCY_SECONDS, log_size=10_000) as simulator,
        FaultProxy(postgres_target(url), seed=1) as proxy,
    ):
        program = Program(
            folder, proxy.postgres_url(url) + WORDS.get(outage, ""), simulator.base_url,
            slice_of_bars(folder, 0, BARS), speed=SPEED,
            database={"statement_timeout_seconds": STATEMENT_SECONDS},
        )  # fmt: skip
        await program.start()
        try:
            await program.until(lambda: program.answers_written() >= 5)
            await goes(proxy, url)
            before = program.bars_traded()
            await asyncio.sleep(away)
            given_up = time.monotonic() + STARVED_SECONDS
            while (traded := program.bars_traded() - before) <= SPEED * away / 3:
                if program.bars_traded() == BARS:  # it went late: longer, and the run would end without it
                    traded = BARS
                    break
                if time.monotonic() > given_up:
                    break
                await asyncio.sleep(0.05)
            await returns(proxy, url)
            await program.finish()
        finally:
            await program.close()
    state = await end_state(url, program.out)
    found = compare(program, state, None)
    return Outcome(
        problems=found.problems, longest_bar_seconds=program.longest_bar_seconds, bars_while_away=traded,
        signals_in=len(expected_signals(program.bars)), signals=len(set(state.signals)),
        duplicates=found.duplicates, torn_lines=found.torn_lines, log=program.log,
    )  # fmt: skip


async def test_an_outage_in_mid_run_delays_and_loses_nothing(
    postgres: PostgresForTests, tmp_path: Path
) -> None:
    """Bars keep their pace meanwhile; afterwards tables and files hold each bar and signal once."""
    urls = {outage: postgres.create() for outage in OUTAGES}
    free = asyncio.Semaphore(AT_ONCE)

    async def one(outage: str) -> list[str]:
        async with free:
            outcome = await go_through(outage, urls[outage], tmp_path / outage)
        return [f"{outage}: {text}" for text in outcome.broken()]

    found = await asyncio.gather(*(one(outage) for outage in OUTAGES))
    assert [text for texts in found for text in texts] == []


async def test_postgresql_that_is_away_at_the_start_gets_everything_later(
    database_url: str, tmp_path: Path
) -> None:
    """With "required": false it trades and rates from the first bar on; nothing is missing at the end."""
    async with (
        OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator,
        FaultProxy(postgres_target(database_url)) as proxy,
    ):
        await proxy.refuse()
        program = Program(
            tmp_path, proxy.postgres_url(database_url), simulator.base_url, slice_of_bars(tmp_path, 0, BARS),
            speed=SPEED, resume=False, database={"required": False},
        )  # fmt: skip
        await program.start()
        try:
            await program.until(lambda: program.answers_written() >= 5)
            await proxy.heal()
            await program.finish()
        finally:
            await program.close()
    assert compare(program, await end_state(database_url, program.out), None).problems == []
    assert "Traceback" not in program.log
