"""Bars go out in order, none before the signal it brought has an outcome."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from llm_integration.csv_exporter.holdback import MAX_EARLY, HoldBack
from llm_integration.csv_exporter.rows import NO_SIGNAL, PENDING, StreamKey
from tests.unit.test_csv_rows import START

A, B = StreamKey("run", "A"), StreamKey("run", "B")


def add(holdback: HoldBack, number: int, signal_id: str | None = None, key: StreamKey = A) -> None:
    """The ``number``-th bar of a stream; its cells are its number."""
    holdback.add(key, START + timedelta(hours=number), str(number), signal_id)


def rows(holdback: HoldBack, limit: int = 1_000) -> list[str]:
    """The rows that may be written, taken."""
    return [bar.row for bar in holdback.take(limit)]


def test_bars_without_a_signal_go_straight_through() -> None:
    """Nothing is held back when there is nothing to wait for."""
    holdback = HoldBack(10)
    for number in range(3):
        add(holdback, number)
    assert rows(holdback) == ["0" + NO_SIGNAL, "1" + NO_SIGNAL, "2" + NO_SIGNAL]
    assert holdback.held == 0


def test_an_unanswered_signal_holds_its_bar_and_the_later_ones() -> None:
    """The bars before it go out, it and those behind it follow once it has an outcome."""
    holdback = HoldBack(10)
    add(holdback, 0)
    add(holdback, 1, "x")
    add(holdback, 2)
    assert rows(holdback) == ["0" + NO_SIGNAL]
    assert (holdback.held, holdback.unresolved) == (2, 1)
    holdback.resolve("x", "!")
    assert rows(holdback) == ["1!", "2" + NO_SIGNAL]
    assert (holdback.held, holdback.unresolved) == (0, 0)


def test_another_stream_is_not_held_back() -> None:
    """Order counts within a session and symbol only."""
    holdback = HoldBack(10)
    add(holdback, 0, "x")
    add(holdback, 0, key=B)
    assert rows(holdback) == ["0" + NO_SIGNAL]


def test_an_outcome_that_comes_before_its_bar_is_remembered() -> None:
    """A fast answer, or one fed from the database first, still fills its bar."""
    holdback = HoldBack(10)
    holdback.resolve("x", "!")
    add(holdback, 0, "x")
    assert rows(holdback) == ["0!"]


def test_an_outcome_that_no_bar_will_ask_for_is_not_kept() -> None:
    """One whose bar is in the file is forgotten, and what is remembered is bounded."""
    holdback = HoldBack(10)
    holdback.resolve("gone", "!")
    holdback.forget("gone")
    add(holdback, 0, "gone")
    assert rows(holdback) == []

    for number in range(MAX_EARLY + 1):
        holdback.resolve(f"early-{number}", "!")
    add(holdback, 0, "early-0", key=B)
    assert rows(holdback) == []
    holdback.resolve("early-0", "?")
    assert rows(holdback) == ["0?"]


def test_past_the_bound_the_oldest_signal_is_given_up() -> None:
    """Its bar goes out as pending, with the bars behind it up to the next unanswered signal."""
    holdback = HoldBack(3)
    add(holdback, 0, "x")
    add(holdback, 1)
    add(holdback, 2, "y")
    assert rows(holdback) == []
    add(holdback, 3)
    assert rows(holdback) == ["0" + PENDING, "1" + NO_SIGNAL]
    assert (holdback.held, holdback.given_up, holdback.unresolved) == (2, 1, 1)


def test_a_bound_of_zero_holds_nothing_back() -> None:
    """Every bar is written at once, those of signals as pending."""
    holdback = HoldBack(0)
    add(holdback, 0, "x")
    add(holdback, 1)
    assert rows(holdback) == ["0" + PENDING, "1" + NO_SIGNAL]


def test_the_end_releases_everything_in_order() -> None:
    """All that is held goes out, unanswered signals as pending, answered ones with their answer."""
    holdback = HoldBack(10)
    add(holdback, 0, "x")
    add(holdback, 1, "y")
    add(holdback, 2)
    holdback.resolve("y", "!")
    holdback.release_all()
    assert rows(holdback) == ["0" + PENDING, "1!", "2" + NO_SIGNAL]


def test_a_signal_named_by_two_bars_holds_only_the_later() -> None:
    """A host's mistake cannot block a stream for ever."""
    holdback = HoldBack(10)
    add(holdback, 0, "x")
    add(holdback, 1, "x")
    assert rows(holdback) == ["0" + PENDING]
    holdback.resolve("x", "!")
    assert rows(holdback) == ["1!"]


def test_a_limit_takes_a_part_and_the_rest_follows() -> None:
    """Rows may be taken in slices without losing the order."""
    holdback = HoldBack(10)
    for number in range(5):
        add(holdback, number)
    assert rows(holdback, 2) == ["0" + NO_SIGNAL, "1" + NO_SIGNAL]
    assert holdback.has_ready
    assert [row[0] for row in rows(holdback)] == ["2", "3", "4"]
    assert not holdback.has_ready


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("bar"), st.sampled_from([A, B]), st.booleans()),
        st.tuples(st.just("answer"), st.integers(0, 30), st.booleans()),
        st.tuples(st.just("take"), st.integers(1, 4), st.booleans()),
    ),
    max_size=60,
)


@given(ACTIONS, st.integers(0, 8))
def test_every_bar_goes_out_once_and_in_order(
    actions: list[tuple[str, StreamKey | int, bool]], bound: int
) -> None:
    """Whatever the order of bars, answers and takes: each bar once, in order, answered when it could be."""
    holdback = HoldBack(bound)
    number, taken = 0, []
    for what, detail, flag in actions:
        if what == "bar" and isinstance(detail, StreamKey):
            add(holdback, number, f"id{number}" if flag else None, detail)
            number += 1
        elif what == "answer":
            holdback.resolve(f"id{detail}", "!")
        elif isinstance(detail, int):
            taken += holdback.take(detail)
        if not holdback.has_ready:
            assert holdback.held <= bound
    holdback.release_all()
    taken += holdback.take(1_000)

    assert sorted(bar.time for bar in taken) == [START + timedelta(hours=at) for at in range(number)]
    for key in (A, B):
        times = [bar.time for bar in taken if bar.key == key]
        assert times == sorted(times)
    if not holdback.given_up:
        assert not any(bar.row.endswith(PENDING) for bar in taken)
    assert holdback.held == holdback.unresolved == 0
