"""The limiter's rule: exact windows, order, reconciliation, freezing, and clocks that jump."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_integration.errors import OversizeRequestError
from llm_integration.rate_limiter import Permit, RateLimiter, SteadyClock


class FakeClock:
    """Time that moves when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def limiter(clock: FakeClock, *, requests: int = 2, tokens: int = 100, guard: float = 0.0) -> RateLimiter:
    return RateLimiter(requests, tokens, clock=clock, guard=guard)


def send(core: RateLimiter, tokens: int = 1) -> Permit:
    """Join, be granted at once and send."""
    permit = core.join(tokens)
    assert core.grant() == [permit]
    core.sent(permit)
    return permit


def test_no_burst_beyond_the_limit_in_the_first_minute() -> None:
    """A full limit spent at once comes back 60 s after it was sent, not little by little."""
    clock = FakeClock()
    core = limiter(clock)
    send(core)
    send(core)
    waiting = core.join(1)
    clock.now += 59.9
    assert core.grant() == []
    clock.now += 0.1
    assert core.grant() == [waiting]


def test_a_permit_counts_from_the_moment_of_sending() -> None:
    """A request that hangs in its connection keeps its permit until 60 s after it really left."""
    clock = FakeClock()
    core = limiter(clock, requests=1)
    held = core.join(1)
    core.grant()
    waiting = core.join(1)
    clock.now += 500
    assert core.grant() == []
    assert core.wait_seconds() is None  # only sent() or release() can help
    core.sent(held)
    assert core.wait_seconds() == 60
    clock.now += 60
    assert core.grant() == [waiting]


def test_the_guard_is_added_to_the_window() -> None:
    """The margin for network jitter delays the return of a permit."""
    clock = FakeClock()
    core = limiter(clock, requests=1, guard=0.25)
    send(core)
    core.join(1)
    assert core.wait_seconds() == 60.25


def test_the_default_guard_leaves_98_percent_of_the_quota() -> None:
    """An hour of constant demand uses more than 98 % of 14 requests a minute."""
    clock = FakeClock()
    core = RateLimiter(clock=clock)
    sent = 0
    while clock.now < 1000.0 + 3600:
        core.join(100)
        for permit in core.grant():
            core.sent(permit)
            sent += 1
        clock.now += core.wait_seconds() or 0.0
    assert 0.98 * 14 * 60 <= sent <= 14 * 60 + 14


def test_strict_order_even_when_a_smaller_request_would_fit() -> None:
    """A large request at the head is not overtaken."""
    clock = FakeClock()
    core = limiter(clock, requests=10)
    send(core, 60)
    large, small = core.join(50), core.join(1)
    assert core.grant() == []
    clock.now += 60
    assert core.grant() == [large, small]


def test_an_oversize_request_is_refused_at_once() -> None:
    """More tokens than a whole minute has: the error names the setting and nothing is queued."""
    core = limiter(FakeClock())
    with pytest.raises(OversizeRequestError, match="tokens_per_minute=100"):
        core.join(101)
    assert core.usage().waiting == 0
    assert core.join(100) in core.grant()


def test_fewer_tokens_than_reserved_make_room() -> None:
    """Reconciling downwards lets the next request go at once."""
    core = limiter(FakeClock())
    first = send(core, 90)
    waiting = core.join(50)
    assert core.grant() == []
    core.settle(first, 40)
    assert core.grant() == [waiting]
    assert core.usage().tokens == 90


def test_more_tokens_than_reserved_delay_the_next() -> None:
    """Reconciling upwards makes later requests wait until the excess has left the window."""
    clock = FakeClock()
    core = limiter(clock)
    core.settle(send(core, 10), 150)
    core.join(1)
    assert core.grant() == []
    assert core.usage().tokens == 150
    clock.now += 60
    assert len(core.grant()) == 1


def test_usage_that_arrives_after_the_window_changes_nothing() -> None:
    """Tokens count at the moment of sending; a reply that took longer than the window is past it."""
    clock = FakeClock()
    core = limiter(clock)
    slow = send(core, 10)
    clock.now += 60
    core.settle(slow, 90)
    assert (core.usage().requests, core.usage().tokens) == (0, 0)


def test_an_unused_permit_is_given_back_and_a_sent_one_is_not() -> None:
    """Release refunds a request that never left, once, and leaves a sent one taken."""
    core = limiter(FakeClock(), requests=1)
    unused = core.join(10)
    core.grant()
    core.release(unused)
    core.release(unused)
    assert (core.usage().requests, core.usage().tokens) == (0, 0)
    used = send(core, 10)
    core.release(used)
    assert (core.usage().requests, core.usage().tokens) == (1, 10)


def test_leaving_the_line_lets_the_next_one_up() -> None:
    """One who gives up in line does not hold up those behind, nor take a permit."""
    core = limiter(FakeClock())
    send(core, 60)
    gives_up, next_one = core.join(60), core.join(40)
    core.release(gives_up)
    assert core.grant() == [next_one]
    assert not gives_up.granted


def test_a_freeze_holds_everybody_and_is_never_shortened() -> None:
    """Nothing is granted before the latest end of all freezes."""
    clock = FakeClock()
    core = limiter(clock)
    core.freeze(1030.0)
    core.freeze(1010.0)
    waiting = core.join(1)
    assert core.grant() == []
    assert core.wait_seconds() == core.usage().frozen_for == 30
    clock.now = 1030.0
    assert core.grant() == [waiting]
    assert core.usage().frozen_for == 0


def test_a_step_back_of_the_clock_neither_breaks_nor_stalls_the_limit() -> None:
    """After a step of an hour back the permit still returns after 60 s of running time."""
    clock = FakeClock(10_000.0)
    core = limiter(clock, requests=1)
    send(core)
    waiting = core.join(1)
    clock.now -= 3600
    assert core.grant() == []
    clock.now += 59
    assert core.grant() == []
    clock.now += 1
    assert core.grant() == [waiting]


def test_a_freeze_survives_a_step_back_of_the_clock() -> None:
    """A freeze asked for after a step back lasts as long as it says."""
    clock = FakeClock(10_000.0)
    core = limiter(clock)
    core.grant()
    clock.now -= 3600
    core.freeze(clock.now + 20)
    assert core.usage().frozen_for == pytest.approx(20)


def test_the_steady_clock_never_runs_backwards() -> None:
    """A step back counts as no time; what runs afterwards counts in full."""
    raw = FakeClock(100.0)
    steady = SteadyClock(raw)
    raw.now = 40.0
    assert steady() == 100.0
    raw.now = 45.0
    assert steady() == 105.0


def test_memory_is_bounded_by_the_limit_and_the_line() -> None:
    """A long run of requests, and of waiters that give up, leaves nothing behind."""
    clock = FakeClock()
    core = limiter(clock, requests=5, tokens=1000)
    for _ in range(2_000):
        send(core)
        core.release(core.join(1))
        clock.now += 12
    assert len(core._sent) <= 5
    assert len(core._waiting) == 0


@pytest.mark.parametrize(("requests", "tokens"), [(0, 10), (10, 0), (-1, 10)])
def test_limits_below_one_are_refused(requests: int, tokens: int) -> None:
    """A limiter that could never grant anything cannot be built."""
    with pytest.raises(ValueError, match="at least 1"):
        RateLimiter(requests, tokens)


WINDOW, REQUESTS, TOKENS = 60.0, 4, 100


class LimiterMachine(RuleBasedStateMachine):
    """Any interleaving of joining, sending, giving up, settling, freezing and clock steps."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0.0)
        self.real = 0.0  # time that really passed, whatever the clock shows
        self.core = RateLimiter(REQUESTS, TOKENS, clock=self.clock, window=WINDOW, guard=0.0)
        self.line: list[Permit] = []
        self.held: list[Permit] = []
        self.sent: list[tuple[float, Permit]] = []
        self.frozen_until = 0.0

    def pump(self) -> None:
        granted = self.core.grant()
        assert granted == self.line[: len(granted)], "granted out of order"
        assert not granted or self.real >= self.frozen_until, "granted while frozen"
        del self.line[: len(granted)]
        self.held += granted

    @rule(tokens=st.integers(0, TOKENS))
    def join(self, tokens: int) -> None:
        self.line.append(self.core.join(tokens))
        self.pump()

    @rule(seconds=st.integers(0, 80))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        self.real += seconds
        self.pump()

    @rule(seconds=st.integers(1, 4000))
    def step_back(self, seconds: int) -> None:
        self.core.usage()  # the last look before the step; what the clock showed unseen is not known
        self.clock.now -= seconds
        self.pump()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        permit = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.core.sent(permit)
        self.sent.append((self.real, permit))
        self.pump()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def settle_downwards(self, data: st.DataObject) -> None:
        _, permit = self.sent[data.draw(st.integers(0, len(self.sent) - 1))]
        self.core.settle(permit, data.draw(st.integers(0, permit.tokens)))
        self.pump()

    @precondition(lambda self: self.held or self.line)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        everyone = self.held + self.line
        permit = everyone[data.draw(st.integers(0, len(everyone) - 1))]
        (self.held if permit in self.held else self.line).remove(permit)
        self.core.release(permit)
        self.pump()

    @rule(seconds=st.integers(0, 30))
    def freeze(self, seconds: int) -> None:
        self.core.freeze(self.clock.now + seconds)
        self.frozen_until = max(self.frozen_until, self.real + seconds)

    @invariant()
    def no_window_is_over(self) -> None:
        for start, _ in self.sent:
            inside = [permit for moment, permit in self.sent if start <= moment < start + WINDOW]
            assert len(inside) <= REQUESTS
            assert sum(permit.tokens for permit in inside) <= TOKENS

    @invariant()
    def no_permit_leaks(self) -> None:
        alive = [permit for moment, permit in self.sent if moment + WINDOW > self.real] + self.held
        usage = self.core.usage()
        assert usage.requests == len(alive)
        assert usage.tokens == sum(permit.tokens for permit in alive)
        assert usage.waiting == len(self.line)

    def teardown(self) -> None:
        """In the end everybody who still waits is served, in order."""
        for permit in self.held:
            self.core.release(permit)
        self.held.clear()
        while self.line:
            self.wait(int(-(-(self.core.wait_seconds() or 1) // 1)))
            for permit in self.held:
                self.core.sent(permit)
                self.sent.append((self.real, permit))
            self.held.clear()
        self.no_window_is_over()


TestLimiterMachine = LimiterMachine.TestCase
TestLimiterMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_room_counts_what_would_be_granted_at_once() -> None:
    """Those who wait in line come first; what is left over is room."""
    clock = FakeClock()
    core = limiter(clock, requests=3)
    assert core.room() == (3, 0.0)
    send(core)
    core.join(1)
    assert core.room() == (1, 0.0)


def test_without_room_the_wait_is_until_the_oldest_permit_comes_back() -> None:
    """Whoever makes batches knows when the next request may be sent."""
    clock = FakeClock()
    core = limiter(clock, requests=2)
    send(core)
    clock.now += 10
    send(core)
    assert core.room() == (0, 50.0)
    clock.now += 50
    assert core.room() == (1, 0.0)


def test_a_frozen_limiter_and_spent_tokens_leave_no_room() -> None:
    """A wait asked for by the server counts, and so do tokens."""
    clock = FakeClock()
    core = limiter(clock, requests=10, tokens=100)
    core.freeze(clock.now + 7)
    assert core.room() == (0, 7.0)
    clock.now += 7
    send(core, tokens=100)
    assert core.room() == (0, 60.0)


def test_requests_about_to_be_sent_are_looked_at_again_soon() -> None:
    """Nothing has been sent, so nobody can say when the next permit comes back."""
    core = limiter(FakeClock(), requests=1)
    core.join(1)
    core.grant()
    free, wait = core.room()
    assert free == 0
    assert 0 < wait <= 0.1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.integers(-5, 100)),
            st.tuples(st.just("wait"), st.integers(1, 50)),
            st.tuples(st.sampled_from(["send", "settle", "release", "freeze"]), st.integers(0, 40)),
        ),
        max_size=40,
    )
)
def test_a_permit_taken_at_once_is_the_one_that_waiting_would_have_given(
    steps: list[tuple[str, int]],
) -> None:
    """``take`` gives one exactly when ``join`` and ``grant`` do, and everything after it is the same."""
    clock = FakeClock()
    short, long = limiter(clock, requests=4), limiter(clock, requests=4)
    pairs: list[tuple[Permit, Permit]] = []
    for what, number in steps:
        if what == "ask":
            joined = long.join(number)
            long.grant()
            taken = short.take(number)
            assert (taken is not None) == joined.granted
            if taken is not None:
                pairs.append((taken, joined))
            else:
                long.release(joined)
        elif what == "wait":
            clock.now += number
        elif what == "freeze":
            short.freeze(clock.now + number)
            long.freeze(clock.now + number)
        elif pairs:
            for core, permit in zip((short, long), pairs[number % len(pairs)], strict=True):
                if what == "send":
                    core.sent(permit)
                elif what == "settle":
                    core.settle(permit, number)
                else:
                    core.release(permit)
        assert short.usage() == long.usage()
        assert short.room() == long.room()


def test_nobody_takes_a_permit_past_those_who_wait() -> None:
    """A small request gets no permit at once while a large one waits for room."""
    core = limiter(FakeClock(), requests=5)
    send(core, 60)
    core.join(50)
    assert core.grant() == []
    assert core.take(1) is None
