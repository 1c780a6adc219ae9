"""What a file already holds, learnt from its lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.csv_exporter.escape import id_cell
from llm_integration.csv_exporter.index import BarIndex, IdSet, Row, SignalIndex
from llm_integration.csv_exporter.rows import NO_SIGNAL, PENDING, bar_cells, signal_cells, stream_key
from llm_integration.domain import TaskStatus
from tests.unit.test_csv_rows import START, a_bar, a_signal, an_answer, ending_of, signal_line


@given(st.lists(st.text(max_size=3)))
def test_an_id_set_behaves_like_a_set(texts: list[str]) -> None:
    """Each text is new once, found afterwards, and counted once."""
    ids, plain = IdSet(), set[str]()
    for text in texts:
        assert (text in ids) == (text in plain)
        assert ids.add(text) == (text not in plain)
        plain.add(text)
        assert len(ids) == len(plain)
    assert all(text in ids for text in texts)


def test_an_id_set_takes_eight_bytes_an_id() -> None:
    """A hundred thousand ids stay under two megabytes, growth reserve included."""
    ids = IdSet()
    for number in range(100_000):
        ids.add(f"signal-{number}")
    assert len(ids) == 100_000
    assert sum(part.__sizeof__() for part in ids._parts) < 2_000_000


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=())))
def test_a_signal_is_recognised_in_the_line_that_was_written_for_it(signal_id: str) -> None:
    """Any id, however hostile, is found again in its row."""
    index = SignalIndex()
    row = Row(id_cell(signal_id), b"")
    assert index.fresh([row, row]) == [row]
    index.learn(signal_line(a_signal(signal_id), an_answer(signal_id)).rstrip("\n"))
    assert index.fresh([row]) == []


@given(st.text(max_size=8) | st.none(), st.text(max_size=8))
def test_a_bar_is_recognised_in_the_line_that_was_written_for_it(session: str | None, symbol: str) -> None:
    """Any session and symbol are found again, with the bar's time."""
    key = stream_key(session, symbol)
    index = BarIndex()
    index.learn((bar_cells(key, a_bar(3)) + NO_SIGNAL).rstrip("\n"))
    assert index.last_time(key) == START + timedelta(hours=3)


def test_bars_up_to_the_last_known_one_are_not_fresh() -> None:
    """Only later bars of the stream are, each once; other streams are their own."""
    key, other = stream_key("run", "A"), stream_key("run", "B")
    index = BarIndex()
    index.add((key, START + timedelta(hours=5)))
    index.add((key, START + timedelta(hours=2)))
    rows = [Row((key, START + timedelta(hours=at)), b"") for at in (4, 5, 6, 6, 7)]
    rows.append(Row((other, START), b""))
    assert index.fresh(rows) == [rows[2], rows[4], rows[5]]
    index.clear()
    assert index.last_time(key) is None


@pytest.mark.parametrize("line", ["", "x", ",", '"', '"a', "a,b", '"a,b,c', "\ufffd,,", "a,b,c,d", "\r"])
def test_lines_that_are_none_of_ours_are_ignored(line: str) -> None:
    """A file edited by hand teaches nothing wrong and raises nothing."""
    bars = BarIndex()
    bars.learn(line)
    assert bars.key_of(line) is None
    SignalIndex().learn(line)


TEXTS: dict[str, dict[str, Any]] = {
    "long": {"analysis": 'A "clean" trend; room, much of it.', "recommendations": "Take it, at 1.2."},
    "one word": {"analysis": "up", "recommendations": "buy"},
    "none": {"analysis": None, "recommendations": None},
    "empty": {"analysis": "", "recommendations": ""},
    "broken": {"analysis": "a\nb", "recommendations": "take\nit\r\nnow"},
    "other script": {"analysis": "\u4e0a\u5347", "recommendations": "\u8d2d\u4e70"},
    "a formula": {"analysis": "=1+1", "recommendations": "+buy"},
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "changes", [{}, {"rating": None}, {"choppiness": None}, {"total_ms": None}], ids=repr
)
def test_only_a_whole_signal_row_is_one(texts: dict[str, Any], changes: dict[str, Any]) -> None:
    """Without its line break it stays; cut anywhere else it is half a row."""
    line = signal_line(a_signal(), an_answer(**texts, **changes)).rstrip("\n")
    index = SignalIndex()
    assert [cut for cut in range(len(line) + 1) if index.is_whole(line[:cut])] == [len(line)]


@pytest.mark.parametrize("processed_at", [None, START, START + timedelta(microseconds=1)])
def test_a_signal_row_that_does_not_say_when_may_go_on(processed_at: datetime | None) -> None:
    """Its last cell is empty, or half of a time, or a whole one."""
    line = signal_line(a_signal(), an_answer(processed_at=processed_at)).rstrip("\n")
    assert SignalIndex().is_whole(line) is (processed_at is not None)
    assert not SignalIndex().is_whole(line + ",")


ENDINGS = {
    "no signal": NO_SIGNAL,
    "pending": signal_cells(a_signal()) + PENDING,
    "failed": signal_cells(a_signal()) + ending_of(an_answer(status=TaskStatus.FAILED, rating=None)),
    "expired": signal_cells(a_signal()) + ending_of(an_answer(status=TaskStatus.EXPIRED, rating=None)),
    **{name: signal_cells(a_signal()) + ending_of(an_answer(**texts)) for name, texts in TEXTS.items()},
    "unrated": signal_cells(a_signal()) + ending_of(an_answer(rating=None, choppiness=None)),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_only_a_whole_bar_row_is_one(ending: str) -> None:
    """With any ending, an answer of one word or none included."""
    line = (bar_cells(stream_key("run", "EURUSD"), a_bar()) + ending).rstrip("\n")
    index = BarIndex()
    assert [cut for cut in range(len(line) + 1) if index.is_whole(line[:cut])] == [len(line)]


def test_a_row_of_an_older_version_whose_last_word_may_go_on_is_half() -> None:
    """Answers that end without quotes are no longer written."""
    line = bar_cells(stream_key("run", "EURUSD"), a_bar()) + signal_cells(a_signal())
    assert not BarIndex().is_whole(line + ",completed,4,no,up,bu")
    assert not BarIndex().is_whole(line + ",completed,4,no,up,")
    assert BarIndex().is_whole(line + ',completed,4,no,up,"bu"')
