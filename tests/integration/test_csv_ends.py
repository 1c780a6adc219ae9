"""CSV files as editors and crashes leave them, ids that look alike, and the mark that Excel wants."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from database.db_manager import DatabaseManager
from llm_integration import SignalMemoryStore
from llm_integration.config import LLMConfig
from llm_integration.csv_exporter import (
    RESULT_COLUMNS,
    RESULT_FILE,
    SIGNAL_COLUMNS,
    SIGNAL_FILE,
    LLMCSVExporter,
    Rebuild,
    rebuild,
)
from llm_integration.domain import Signal, TaskStatus
from tests.integration.database_helpers import LEASE, answer, signal
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer

LINES = (Path(__file__).parent.parent / "data" / "ids.jsonl").read_text("utf-8").splitlines()
IDS: list[str] = [json.loads(line)["id"] for line in LINES]
COLUMNS = {SIGNAL_FILE: SIGNAL_COLUMNS, RESULT_FILE: RESULT_COLUMNS}
MARK = b"\xef\xbb\xbf"


def write(folder: Path, numbers: range, **settings: Any) -> dict[str, Any]:
    """A run: bars and answered signals of ``numbers``, and what the exporter says about it."""
    exporter = LLMCSVExporter(LLMConfig(**settings), output_directory=folder)
    exporter.start()
    for number in numbers:
        item = a_signal(f"s-{number}", number)
        assert exporter.record_bar("run", "EURUSD", a_bar(number), item)
        assert exporter.write_analysis(item, an_answer(f"s-{number}"))
    assert exporter.close(10.0)
    return exporter.get_statistics()


def read(path: Path) -> list[dict[str, str]]:
    """The rows, the byte order mark or not."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.mark.parametrize("name", [SIGNAL_FILE, RESULT_FILE])
@pytest.mark.parametrize("end", [b"", b"\r"])
@pytest.mark.parametrize("mark", [b"", MARK])
def test_a_last_row_without_its_line_break_stays(tmp_path: Path, name: str, end: bytes, mark: bytes) -> None:
    """An editor dropped it, or a crash came just there: the row is whole, and further ones follow."""
    write(tmp_path, range(3))
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes(mark + whole.removesuffix(b"\n") + end)
    with Rebuild(tmp_path):  # looks and changes nothing
        pass
    figures = write(tmp_path, range(3, 5))
    assert path.read_bytes() == mark + whole[:-1] + end + b"\n" + path.read_bytes()[len(mark + whole + end) :]
    assert [row["signal_id"] for row in read(path)] == [f"s-{number}" for number in range(5)]
    assert figures["files"][name]["torn_lines_repaired"] == 1


@pytest.mark.parametrize("name", [SIGNAL_FILE, RESULT_FILE])
def test_a_row_that_was_cut_anywhere_is_written_again_once(tmp_path: Path, name: str) -> None:
    """Whatever was left of the last row, after the next run it stands there once, and nothing else."""
    write(tmp_path, range(3))
    path = tmp_path / name
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(whole) + 1):
        path.write_bytes(whole[:cut])
        write(tmp_path, range(3))
        assert path.read_bytes() == whole, cut


def test_a_whole_last_row_is_carried_over_by_an_export(tmp_path: Path) -> None:
    """Rows of other sessions stay, the last one without its line break included."""
    write(tmp_path, range(2))
    for name in (SIGNAL_FILE, RESULT_FILE):
        path = tmp_path / name
        path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    other = a_signal("other", 9)
    rebuilt = rebuild([("later", "EURUSD", a_bar(9), other)], [(other, an_answer("other"))], tmp_path)
    assert (rebuilt.kept_signal_rows, rebuilt.kept_bar_rows) == (2, 2)
    assert {row["signal_id"] for row in read(tmp_path / RESULT_FILE)} == {"s-0", "s-1", "other"}


def test_ids_that_differ_have_rows_of_their_own(tmp_path: Path) -> None:
    """Blanks, hidden marks, apostrophes, case and composition make no two signals one, also on resuming."""
    for expected in (len(IDS), 0):
        exporter = LLMCSVExporter(output_directory=tmp_path)
        exporter.start()
        for number, name in enumerate(IDS):
            item = a_signal(name, number)
            exporter.record_bar("run", "EURUSD", a_bar(number), item)
            exporter.write_analysis(item, an_answer(name, rating=number % 5 + 1))
        assert exporter.close(10.0)
        assert exporter.get_statistics()["files"][SIGNAL_FILE]["rows_written"] == expected
    for name in (SIGNAL_FILE, RESULT_FILE):
        found = read(tmp_path / name)
        assert [row["llm_rating"] for row in found] == [str(n % 5 + 1) for n in range(len(IDS))]
        assert len({row["signal_id"] for row in found}) == len(IDS)


def test_sessions_and_symbols_that_differ_have_bars_of_their_own(tmp_path: Path) -> None:
    """The bars of one session are not taken for those of another that looks the same."""
    exporter = LLMCSVExporter(output_directory=tmp_path)
    exporter.start()
    for name in IDS:
        exporter.record_bar(name, "ES", a_bar(0))
        exporter.record_bar("run", name, a_bar(0))
    assert exporter.close(10.0)
    assert len(read(tmp_path / RESULT_FILE)) == 2 * len(IDS)


def test_the_store_keeps_ids_apart() -> None:
    """In memory an id is what it is."""
    store = SignalMemoryStore()
    for name in IDS:
        assert store.add_signal({"signal_id": name, "signal_data": {"symbol": name[:1]}})
    assert [entry["signal_id"] for entry in store.get_pending_signals(1_000)] == IDS


async def test_the_database_keeps_ids_and_sessions_apart(db: DatabaseManager) -> None:
    """A NUL or half a character, which PostgreSQL cannot hold, makes no id another one."""
    items = [signal(name, session_id=name) for name in IDS]
    claims = await db.claim_signals(items, worker_id="w", lease_seconds=LEASE)
    assert set(claims) == set(IDS)
    outcomes = [(answer(name, rating=number % 5 + 1), claims[name]) for number, name in enumerate(IDS)]
    assert await db.save_outcomes(outcomes) == set(IDS)
    for number, name in enumerate(IDS):
        ((_, analysis),) = await db.session_analyses(name)
        assert analysis.rating == number % 5 + 1


def test_long_and_blank_sessions_stay_apart() -> None:
    """Sessions that begin alike are cut with a digest, blanks around an id are part of it."""
    names = ["x" * 128, "x" * 129, "x" * 130, "x" * 128 + "y", " x", "x ", "x"]
    sessions = {Signal.from_mapping("s", {"session_id": name}).session_id for name in names}
    assert len(sessions) == len(names)
    assert {Signal.from_mapping("s", {"session_id": name}).session_id for name in ("", "  ", None)} == {None}


def test_a_new_file_begins_with_the_mark_where_it_is_wanted(tmp_path: Path) -> None:
    """Once, at the beginning of both; a later run without the setting goes on behind it."""
    write(tmp_path, range(2), csv_byte_order_mark=True)
    write(tmp_path, range(4), csv_byte_order_mark=False)
    for name, columns in COLUMNS.items():
        data = (tmp_path / name).read_bytes()
        assert data.startswith(MARK + ",".join(columns).encode() + b"\n")
        assert data.count(MARK) == 1
        assert [row["signal_id"] for row in read(tmp_path / name)] == [f"s-{number}" for number in range(4)]


def test_a_file_that_is_there_gets_no_mark(tmp_path: Path) -> None:
    """Its beginning is never written again."""
    write(tmp_path, range(2))
    write(tmp_path, range(4), csv_byte_order_mark=True)
    for name in COLUMNS:
        assert MARK not in (tmp_path / name).read_bytes()
        assert len(read(tmp_path / name)) == 4


@pytest.mark.parametrize("length", [1, 2, 3, 10, None])
def test_a_header_that_was_cut_behind_its_mark_is_written_again(tmp_path: Path, length: int | None) -> None:
    """A crash in the very first write leaves a file of ours, not somebody else's."""
    for name, columns in COLUMNS.items():
        (tmp_path / name).write_bytes((MARK + ",".join(columns).encode())[:length])
    write(tmp_path, range(2), csv_byte_order_mark=True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".csv") == sorted(COLUMNS)
    for name in COLUMNS:
        assert (tmp_path / name).read_bytes().startswith(MARK)
        assert len(read(tmp_path / name)) == 2


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_an_export_writes_the_mark_as_it_is_set(tmp_path: Path, mark: bool, before: bool) -> None:
    """It makes new files; rows of the present ones are carried over without a mark among them."""
    write(tmp_path, range(2), csv_byte_order_mark=before)
    other = a_signal("other", 9)
    with Rebuild(tmp_path, byte_order_mark=mark) as files:
        files.add_outcomes([(other, an_answer("other"))])
        files.add_bars([("later", "EURUSD", a_bar(9), other)])
        files.finish()
    for name in COLUMNS:
        data = (tmp_path / name).read_bytes()
        assert (data.startswith(MARK), data.count(MARK)) == (mark, int(mark))
        assert {row["signal_id"] for row in read(tmp_path / name)} == {"s-0", "s-1", "other"}


def test_an_answer_that_never_came_is_whole_too(tmp_path: Path) -> None:
    """A bar whose signal failed, or that brought none, is the last row and stays."""
    for number, item in enumerate([None, a_signal("f", 1)]):
        folder = tmp_path / str(number)
        exporter = LLMCSVExporter(output_directory=folder)
        exporter.start()
        exporter.record_bar("run", "EURUSD", a_bar(number), item)
        if item is not None:
            exporter.write_analysis(item, an_answer("f", status=TaskStatus.FAILED, rating=None))
        assert exporter.close(10.0)
        path = folder / RESULT_FILE
        whole = path.read_bytes()
        path.write_bytes(whole.removesuffix(b"\n"))
        again = LLMCSVExporter(output_directory=folder)
        again.start()
        assert again.close(10.0)
        assert path.read_bytes() == whole
