"""What a file already holds, learnt from its lines."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.csv_exporter.escape import text_cell
from llm_integration.csv_exporter.index import BarIndex, IdSet, Row, SignalIndex
from llm_integration.csv_exporter.rows import NO_SIGNAL, bar_cells, stream_key
from tests.unit.test_csv_rows import START, a_bar, a_signal, an_answer, signal_line


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
    row = Row(text_cell(signal_id), b"")
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
