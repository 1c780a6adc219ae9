"""The state of each model: entries, breakers, holds, refusals, statistics."""

from __future__ import annotations

import pytest

from llm_integration.errors import (
    CircuitOpenError,
    LineStoppedError,
    ModelUnavailableError,
    ServerError,
)
from llm_integration.llm_processor.models import ModelEntry, ModelStates
from tests.unit.test_circuit_breaker import FakeClock

MODELS = ("a/1", "b/2")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def states(clock: FakeClock) -> ModelStates:
    return ModelStates(clock)


def entry(states: ModelStates, *models: str) -> ModelEntry:
    found = states.enter(models or MODELS)
    assert found is not None
    return found


def take_down(states: ModelStates, model: str) -> None:
    for _ in range(5):
        entry(states, model).failed(ServerError("HTTP 502"))


def test_five_failures_in_a_row_take_a_model_down_however_slowly_they_come(
    states: ModelStates, clock: FakeClock
) -> None:
    """An hour between them; the first four tell nothing, the fifth once; the next model takes over."""
    told = []
    for _ in range(5):
        clock.now += 3_600
        told.append(entry(states, "a/1").failed(ServerError("HTTP 502")))
    assert [each is not None for each in told] == [False] * 4 + [True]
    assert entry(states).model == "b/2"
    assert states.first_ready(MODELS) == "b/2"
    assert states.ready_in(MODELS) == 0
    assert states.ready_in(("a/1",)) == pytest.approx(10)


def test_a_success_between_failures_starts_the_count_anew(states: ModelStates, clock: FakeClock) -> None:
    """Four, one good, four: still up."""
    for failures in (4, 4):
        for _ in range(failures):
            clock.now += 3_600
            assert entry(states, "a/1").failed(ServerError("x")) is None
        assert entry(states, "a/1").succeeded() is None


def test_a_model_that_recovers_is_told_once(states: ModelStates, clock: FakeClock) -> None:
    """One probe at a time; the others are asked meanwhile."""
    take_down(states, "a/1")
    clock.now += 10
    probe = entry(states)
    assert (probe.model, entry(states).model) == ("a/1", "b/2")
    change = probe.succeeded()
    assert change is not None
    assert not change.open
    assert entry(states).model == "a/1"


def test_a_seat_that_is_left_is_neutral(states: ModelStates, clock: FakeClock) -> None:
    """A cancelled probe makes room for the next one and changes nothing."""
    take_down(states, "a/1")
    clock.now += 10
    entry(states, "a/1").leave()
    assert entry(states, "a/1").model == "a/1"


def test_a_held_model_is_left_alone_for_as_long(states: ModelStates, clock: FakeClock) -> None:
    """A shorter wish does not shorten it, and it ends by itself without a word."""
    states.hold("a/1", 5)
    states.hold("a/1", 1)
    assert entry(states).model == "b/2"
    assert states.enter(("a/1",)) is None
    assert states.ready_in(("a/1",)) == 5
    assert isinstance(states.refusal(("a/1",)), CircuitOpenError)
    assert states.refusal(("a/1",)).retry_after == 5
    assert states.reason(("a/1",)) is None
    clock.now += 5
    assert entry(states).model == "a/1"


def test_when_all_are_gone_the_refusal_says_which_setting_to_change(states: ModelStates) -> None:
    """All names, the settings, what the server said, and when it is tried again."""
    for model in MODELS:
        entry(states, model).stop(ModelUnavailableError(f"No endpoints found for {model}."))
    error = states.refusal(MODELS)
    assert type(error) is ModelUnavailableError
    for part in ("'a/1', 'b/2'", "`llm.model`", "`llm.fallback_models`", "No endpoints found for b/2."):
        assert part in str(error)
    assert error.retry_after == 60


def test_of_different_reasons_all_are_named(states: ModelStates) -> None:
    """Gone and failing: the kind is that of the one tried first again."""
    entry(states, "a/1").stop(ModelUnavailableError("gone"))
    take_down(states, "b/2")
    error = states.refusal(MODELS)
    assert type(error) is CircuitOpenError
    assert "a/1: gone" in str(error)
    assert "b/2: 5 calls in a row failed" in str(error)
    assert error.retry_after == 10
    assert states.reason(MODELS) == str(error)
    assert states.reason((*MODELS, "c/3")) is None


def test_a_setting_that_a_model_cannot_do_keeps_its_own_error(states: ModelStates) -> None:
    """The advice reaches whoever asks next."""
    entry(states, "a/1").stop(LineStoppedError("set reasoning_effort"))
    assert type(states.refusal(("a/1",))) is LineStoppedError


def test_statistics_tell_of_each_model(states: ModelStates) -> None:
    """The settings' models first, whether asked or not."""
    take_down(states, "c/3")
    rows = states.statistics(MODELS)
    assert list(rows) == ["a/1", "b/2", "c/3"]
    assert rows["a/1"] == {"state": "closed", "requests": 0, "failures": 0, "reason": None, "ready_in": 0}
    assert (rows["c/3"]["state"], rows["c/3"]["failures"]) == ("open", 5)
    assert "in a row" in rows["c/3"]["reason"]


def test_memory_is_bounded_by_forgetting(states: ModelStates) -> None:
    """Models made up by a caller do not pile up for ever."""
    for number in range(2_500):
        states.state(f"x/{number}")
    assert len(states.statistics(())) <= 1_000
