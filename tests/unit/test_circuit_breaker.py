"""When the line opens, when it is probed, and what is worth a message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.circuit_breaker import BUCKETS, Change, CircuitBreaker, Entry
from llm_integration.errors import CircuitOpenError, KeyRefusedError, LineStoppedError


class FakeClock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def line(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(clock=clock)


def enter(line: CircuitBreaker) -> Entry:
    entry = line.enter()
    assert entry is not None
    return entry


def fail(line: CircuitBreaker, times: int = 1, reason: str = "HTTP 502") -> Change | None:
    change = None
    for _ in range(times):
        change = line.failed(enter(line), reason)
    return change


def test_few_failures_do_not_open_it(line: CircuitBreaker) -> None:
    """Below the minimum volume even nothing but failures is no reason to stop."""
    assert fail(line, 9) is None
    assert (line.state, line.ready_in(), line.reason) == ("closed", 0.0, None)


def test_half_of_enough_calls_failing_opens_it_with_one_message(line: CircuitBreaker) -> None:
    """The change names the share and the last cause, and no call is let in any more."""
    for _ in range(5):
        assert line.succeeded(enter(line)) is None
    change = fail(line, 5, "HTTP 503")
    assert change == Change(True, "5 of the last 10 calls failed, last: HTTP 503", 10.0)
    assert line.state == "open"
    assert line.enter() is None
    assert line.ready_in() == 10.0


def test_a_few_silent_calls_open_it_however_long_they_take(clock: FakeClock, line: CircuitBreaker) -> None:
    """Four an hour apart do, quick failures between them or not; an answer or a recovery starts anew."""
    for outcome in "sssassfs":
        clock.now += 3_600
        entry = enter(line)
        if outcome == "a":
            change = line.succeeded(entry)
        else:
            change = line.failed(entry, "no byte", silent=outcome == "s")
        assert change is None
    change = line.failed(enter(line), "no byte", silent=True)
    assert change == Change(True, "4 calls in a row met with silence, last: no byte", 10.0)
    clock.now += 10
    assert line.succeeded(enter(line)) is not None
    for _ in range(3):
        assert line.failed(enter(line), "no byte", silent=True) is None


def test_it_knows_whether_anybody_was_answered_since_a_call(line: CircuitBreaker) -> None:
    """An answer to a call that was let in before counts, one that came before does not."""
    early = enter(line)
    line.succeeded(enter(line))
    late = enter(line)
    assert (line.answered_since(early), line.answered_since(late)) == (True, False)
    line.failed(enter(line), "HTTP 502")
    assert not line.answered_since(late)
    line.succeeded(early)
    assert line.answered_since(late)


def test_mostly_successes_keep_it_closed(line: CircuitBreaker) -> None:
    """A failure rate below the threshold is an ordinary day."""
    for _ in range(60):
        line.succeeded(enter(line))
        line.succeeded(enter(line))
        assert fail(line) is None


def test_failures_in_a_row_open_it_however_long_they_take(clock: FakeClock) -> None:
    """Where asked for: three an hour apart do; a success, or a recovery, starts the count anew."""
    line = CircuitBreaker(in_a_row=3, clock=clock)
    told: list[Change | None] = []
    for outcome in "ffsfff":
        clock.now += 3_600
        entry = enter(line)
        told.append(line.failed(entry, "HTTP 502") if outcome == "f" else line.succeeded(entry))
    assert [change is not None for change in told] == [False] * 5 + [True]
    assert "3 calls in a row failed" in (line.reason or "")
    clock.now += 3_600
    line.succeeded(enter(line))
    assert fail(line, 2) is None
    assert fail(line) is not None


def test_old_failures_are_forgotten(line: CircuitBreaker, clock: FakeClock) -> None:
    """Failures count for one window only."""
    fail(line, 9)
    clock.now += 60.0
    assert fail(line, 9) is None


def test_memory_does_not_grow_with_the_number_of_calls(line: CircuitBreaker, clock: FakeClock) -> None:
    """The window is kept in a fixed number of buckets."""
    for _ in range(20_000):
        line.succeeded(enter(line))
        clock.now += 0.01
    assert len(line._buckets) <= BUCKETS + 1


def test_half_open_lets_exactly_one_probe_through(line: CircuitBreaker, clock: FakeClock) -> None:
    """While the probe runs nobody else gets in, however many ask."""
    fail(line, 10)
    clock.now += 10.0
    assert line.ready_in() == 0
    probe = line.enter()
    assert probe is not None
    assert line.state == "half_open"
    assert [line.enter() for _ in range(5)] == [None] * 5
    assert line.ready_in() > 0


def test_a_good_probe_closes_it_with_one_message(line: CircuitBreaker, clock: FakeClock) -> None:
    """Recovery tells how long it took and starts with a clean record."""
    fail(line, 10)
    clock.now += 12.0
    change = line.succeeded(enter(line))
    assert change is not None
    assert (change.open, change.seconds) == (False, 12.0)
    assert line.state == "closed"
    assert fail(line, 9) is None


def test_failed_probes_double_the_wait_up_to_the_cap_without_a_message(
    line: CircuitBreaker, clock: FakeClock
) -> None:
    """An outage of an hour is one message, and the waits grow to five minutes."""
    fail(line, 10)
    waits = []
    for _ in range(8):
        clock.now += line.ready_in()
        assert fail(line) is None
        waits.append(line.ready_in())
    assert waits == [20, 40, 80, 160, 300, 300, 300, 300]
    clock.now += 300
    line.succeeded(enter(line))
    fail(line, 10)
    assert line.ready_in() == 10.0  # the next outage starts anew


def test_a_cancelled_probe_is_neutral(line: CircuitBreaker, clock: FakeClock) -> None:
    """It neither closes nor reopens the circuit, and its slot is free at once."""
    fail(line, 10)
    clock.now += 10
    line.leave(enter(line))
    assert line.ready_in() == 0
    assert line.state == "half_open"
    assert line.enter() is not None


def test_cancelled_calls_do_not_count(line: CircuitBreaker) -> None:
    """Neither as calls nor as failures."""
    fail(line, 9)
    for _ in range(50):
        line.leave(enter(line))
    assert fail(line) is not None  # the tenth call, ten failures


def test_calls_from_before_the_opening_change_nothing_any_more(
    line: CircuitBreaker, clock: FakeClock
) -> None:
    """Late outcomes of calls that were under way neither close, reopen nor prolong."""
    late = [enter(line) for _ in range(3)]
    fail(line, 10)
    assert line.failed(late[0], "x") is None
    assert line.succeeded(late[1]) is None
    assert line.stop(late[2], KeyRefusedError, "401") is None
    assert line.ready_in() == 10.0
    clock.now += 10
    assert line.enter() is not None


def test_late_successes_do_not_dilute_the_record_after_a_recovery(
    line: CircuitBreaker, clock: FakeClock
) -> None:
    """Answers to calls from before the outage say nothing about the time after it."""
    late = [enter(line) for _ in range(9)]
    fail(line, 10)
    clock.now += 10
    line.succeeded(enter(line))
    for entry in late:
        line.succeeded(entry)
    assert fail(line, 9) is None  # nine calls, not eighteen


def test_a_stop_opens_at_once_and_refuses_with_its_own_error(line: CircuitBreaker) -> None:
    """One refused key is enough; what is refused afterwards says why."""
    change = line.stop(enter(line), KeyRefusedError, "User not found")
    assert change == Change(True, "User not found", 60.0)
    refusal = line.refusal()
    assert type(refusal) is KeyRefusedError
    assert str(refusal) == line.reason == "User not found"
    assert refusal.retry_after == 60.0


def test_a_stop_is_probed_after_60_s_doubling_to_15_minutes(line: CircuitBreaker, clock: FakeClock) -> None:
    """The same refusal again is no news."""
    line.stop(enter(line), KeyRefusedError, "401")
    waits = []
    for _ in range(6):
        waits.append(line.ready_in())
        clock.now += line.ready_in()
        assert line.stop(enter(line), KeyRefusedError, "401") is None
    assert waits == [60, 120, 240, 480, 900, 900]


def test_another_reason_to_stop_is_news(line: CircuitBreaker, clock: FakeClock) -> None:
    """From an outage to a refused key: the trader has to know, and the waits start anew."""
    fail(line, 10)
    clock.now += 10
    change = line.stop(enter(line), KeyRefusedError, "402")
    assert change == Change(True, "402", 60.0)


def test_a_stopped_line_whose_probe_meets_an_outage_keeps_its_reason(
    line: CircuitBreaker, clock: FakeClock
) -> None:
    """A 502 says nothing about the key that was refused before."""
    line.stop(enter(line), KeyRefusedError, "401")
    clock.now += 60
    assert fail(line) is None
    assert line.reason == "401"
    assert type(line.refusal()) is KeyRefusedError


def test_a_wait_named_by_the_server_is_kept(line: CircuitBreaker) -> None:
    """Retry-After: 3600 means the next try in an hour, not in a minute."""
    line.stop(enter(line), CircuitOpenError, "429", 3600.0)
    assert line.ready_in() == 3600.0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "ok", "fail", "stop", "leave", "wait", "back"]), st.integers(0, 400)
        ),
        max_size=80,
    )
)
def test_whatever_happens_an_open_line_has_at_most_one_call_and_tells_changes_in_turn(
    steps: list[tuple[str, int]],
) -> None:
    """Openings and recoveries alternate; an open line admits one probe; it can always be probed again."""
    clock = FakeClock()
    line = CircuitBreaker(minimum_calls=3, clock=clock)
    running: list[Entry] = []
    open_now = False
    for name, number in steps:
        change = None
        if name == "wait":
            clock.now += number
        elif name == "back":
            clock.now -= number
        elif name == "enter":
            was_open = line.reason is not None
            entry = line.enter()
            if entry is not None:
                running.append(entry)
                assert not was_open or line.enter() is None
        elif running:
            entry = running.pop(number % len(running))
            match name:
                case "ok":
                    change = line.succeeded(entry)
                case "fail":
                    change = line.failed(entry, "x")
                case "stop":
                    kinds: list[type[LineStoppedError]] = [KeyRefusedError, CircuitOpenError]
                    change = line.stop(entry, kinds[number % 2], "y")
                case _:
                    line.leave(entry)
        if change is not None:
            assert change.open or open_now, "recovered without having been open"
            open_now = change.open
        assert open_now == (line.reason is not None)
    for entry in running:
        line.leave(entry)
    clock.now += line.ready_in()
    line.succeeded(enter(line))
    assert line.state == "closed"


def test_rounds_of_failures_open_it_after_any_number_of_answers(clock: FakeClock) -> None:
    """What was under way together is one round; the share of failures in the window plays no part."""
    line = CircuitBreaker(rounds=3, clock=clock)
    for _ in range(500):
        line.succeeded(enter(line))
    for _ in range(2):
        for entry in [enter(line) for _ in range(8)]:
            assert line.failed(entry, "connection refused") is None
    change = line.failed(enter(line), "connection refused")
    assert change == Change(True, "nobody was answered in 3 rounds of calls, last: connection refused", 10.0)


def test_an_answer_between_two_rounds_begins_the_count_anew(clock: FakeClock) -> None:
    """Somebody was answered: the server is there."""
    line = CircuitBreaker(rounds=3, clock=clock)
    for _ in range(20):
        assert fail(line, 2) is None
        for _ in range(5):
            assert line.succeeded(enter(line)) is None
    assert line.state == "closed"
