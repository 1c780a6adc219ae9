"""Outcomes on their way: rows of ``signal_outcomes``, and of ``llm_outcomes.csv``, live and rebuilt."""

from __future__ import annotations

import csv
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import export
from llm_integration.commands.line import load_command
from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.outcomes import (
    OUTCOME_COLUMNS,
    OUTCOME_FILE,
    OutcomeFile,
    OutcomeIndex,
    outcome_row,
)
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.outcomes import OutcomeStore, record_row
from llm_integration.worth.outcome import Exit, Outcome, OutcomeRecord, Reason
from llm_integration.worth.rules import ResolverRules
from tests.integration.database_helpers import plain, signal

AT = 1_709_290_800_000_000
RULES = ResolverRules(spread=0.00001).as_json()


def a_record(name: str = "s-1", **changes: Any) -> OutcomeRecord:
    """Numbers that need all their digits."""
    values: dict[str, Any] = {
        "entry_at": AT, "entry_price": 1.0486, "exit_at": AT + 1, "exit_price": 0.1 + 0.2, "bars_held": 7,
        "r_gross": 2.0139211136890833, "r_net": 1 / 3, "r_optimistic": 2.0, "mfe": 1e-17, "mae": -0.1,
        "ambiguous": True, "reward_risk": 2 / 3, **changes,
    }  # fmt: skip
    fill = values.pop("fill", None)
    outcome = Outcome(name, values.pop("exit", Exit.STOP), values.pop("reason", None), **values)
    return OutcomeRecord(outcome, RULES, fill, None if fill is None else AT)


BARS = a_record()
FILLED = a_record(fill=1.05, r_net=-0.5)
HOST = a_record(source="host", exit=Exit.TIME, r_net=0.25, mfe=None, mae=None, bars_held=0)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[CommandDatabase]:
    async with CommandDatabase(database_url) as database:
        yield database


@pytest.fixture
def out(tmp_path: Path) -> Iterator[OutcomeFile]:
    file = OutcomeFile(tmp_path, clock=time.monotonic, pause=lambda: None)
    yield file
    file.close()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / OUTCOME_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.postgres
@pytest.mark.parametrize("order", list(itertools.permutations((BARS, FILLED, HOST))))
async def test_the_host_stands_over_its_fill_and_that_over_bars(
    db: CommandDatabase, database_url: str, order: tuple[OutcomeRecord, ...], tmp_path: Path, out: OutcomeFile
) -> None:
    """In whatever order they come and however often: one row, the best that is known, in table and file."""
    store = OutcomeStore(db.connections)
    for record in (*order, *order):
        await store.save([record_row(record)])
        out.put(record)
        out.write()
    async with plain(database_url) as link:
        (row,) = await link.fetch("SELECT * FROM signal_outcomes")
    assert (row["source"], row["r_net"]) == ("host", 0.25)
    (kept,) = rows(tmp_path)
    assert (kept["source"], kept["r_net"], kept["bars_held"]) == ("host", "0.25", "")
    before = row["updated_at"]
    await store.save([record_row(order[0]), record_row(a_record("other"))])
    async with plain(database_url) as link:
        assert await link.fetchval("SELECT updated_at FROM signal_outcomes WHERE signal_id = 's-1'") == before


@pytest.mark.postgres
async def test_numbers_come_back_to_the_last_bit(db: CommandDatabase) -> None:
    """A stored outcome is the one that was told, with its rules; of an open one the fill is kept."""
    await db.record_signal(signal("s-1"))
    await db.record_signal(signal("s-2"))
    store = OutcomeStore(db.connections)
    opened = OutcomeRecord(Outcome("s-2", Exit.OPEN), RULES, 1.1, AT)
    await store.save([record_row(BARS), record_row(opened)])
    assert [record async for record in store.ended(None)] == [BARS]
    assert await store.reported("session-1") == [opened]
    assert await store.reported("another") == []


@pytest.mark.parametrize("source", ["bars", "host"])
@pytest.mark.parametrize("cut", range(1, 30, 3))
def test_a_torn_line_is_cut_off_and_written_again(tmp_path: Path, cut: int, source: str) -> None:
    """Half a row of a process that died is no row; one that lacks its line break alone stays."""
    record = a_record(source=source)
    whole = outcome_row(record)
    path = tmp_path / OUTCOME_FILE
    path.write_text(",".join(OUTCOME_COLUMNS) + "\n" + outcome_row(a_record("s-0")) + whole[:-cut])
    file = OutcomeFile(tmp_path, clock=time.monotonic, pause=lambda: None)
    file.put(record)
    file.write()
    file.close()
    assert [row["signal_id"] for row in rows(tmp_path)] == ["s-0", "s-1"]
    assert path.read_text().endswith("\n" + whole)


def test_hostile_ids_are_text_and_stay_apart(tmp_path: Path, out: OutcomeFile) -> None:
    """A formula, quotes, breaks: one row each, no command to a spreadsheet."""
    names = ["=1+1", 'a"b', "a,b", "a\nb", "a b", " a b", "@x", "a\u200bb"]
    for name in names:
        out.put(a_record(name))
    out.put(a_record("bad", exit=Exit.UNRESOLVABLE, reason=Reason.NO_STOP))
    out.write()
    found = [row["signal_id"] for row in rows(tmp_path)]
    assert len(set(found)) == len(names) + 1
    assert not any(cell.startswith(("=", "@")) for cell in found)


def test_while_another_process_holds_the_file_rows_wait(tmp_path: Path, out: OutcomeFile) -> None:
    """They are written when it lets go, a correction too."""
    out.put(a_record())
    out.write()
    other = AppendFile(tmp_path / OUTCOME_FILE, OUTCOME_COLUMNS, OutcomeIndex(), pause=lambda: None)
    with other.locked():
        out.put(HOST)
        out.put(a_record("s-2"))
        out.write()
        assert out.waiting == 2
    until = time.monotonic() + 10
    while out.waiting and time.monotonic() < until:
        out.write()
    other.close()
    assert [(row["signal_id"], row["source"]) for row in rows(tmp_path)] == [("s-1", "host"), ("s-2", "bars")]


@pytest.mark.postgres
async def test_export_writes_the_file_anew(
    db: CommandDatabase, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], out: OutcomeFile,
) -> None:  # fmt: skip
    """Byte for byte what a run had written, without open ones; rows of others stay unless told to go."""
    monkeypatch.chdir(tmp_path)
    records = [a_record(), a_record("s-2", exit=Exit.TIME, ambiguous=False), replace(HOST, fill_price=1.1)]
    records[2] = replace(records[2], outcome=replace(HOST.outcome, signal_id="s-3"))
    for number, record in enumerate(records):
        when = datetime(2024, 3, 1, number, tzinfo=UTC)
        await db.record_signal(signal(record.outcome.signal_id, timestamp=when))
        out.put(record)
    await db.record_signal(signal("s-4"))
    opened = OutcomeRecord(Outcome("s-4", Exit.OPEN), RULES, 1.1, AT)
    await OutcomeStore(db.connections).save([record_row(record) for record in (*records, opened)])
    out.write()
    live = (tmp_path / OUTCOME_FILE).read_bytes()

    async def run(*given: str) -> dict[str, Any]:
        words = ["--database-url", database_url, "--output", ".", "--json", "--all", *given]
        assert await export.run(load_command("export")[1].parse_args(words)) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    (tmp_path / OUTCOME_FILE).unlink()
    assert (await run())["outcome_rows"] == 3
    assert (tmp_path / OUTCOME_FILE).read_bytes() == live
    with (tmp_path / OUTCOME_FILE).open("a") as file:
        file.write(outcome_row(a_record("elsewhere")))
    assert (await run())["kept_outcome_rows"] == 1
    assert (await run("--drop-others"))["kept_outcome_rows"] == 0
    assert (tmp_path / OUTCOME_FILE).read_bytes() == live
