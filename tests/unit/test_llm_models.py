"""The state of each model: seats, breakers, holds, refusals, statistics."""

from __future__ import annotations

import pytest

from llm_integration.errors import (
    CircuitOpenError,
    LineStoppedError,
    ModelUnavailableError,
    ServerError,
)
from llm_integration.llm_processor.models import ModelBoard, Seat
from tests.unit.test_circuit_breaker import FakeClock

MODELS = ("a/1", "b/2")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def board(clock: FakeClock) -> ModelBoard:
    return ModelBoard(clock)


def seat(board: ModelBoard, *models: str) -> Seat:
    found = board.enter(models or MODELS)
    assert found is not None
    return found


def take_down(board: ModelBoard, model: str) -> None:
    for _ in range(5):
        seat(board, model).failed(ServerError("HTTP 502"))


def test_five_failures_in_a_row_take_a_model_down_however_slowly_they_come(
    board: ModelBoard, clock: FakeClock
) -> None:
    """An hour between them; the first four tell nothing, the fifth once; the next model takes over."""
    told = []
    for _ in range(5):
        clock.now += 3_600
        told.append(seat(board, "a/1").failed(ServerError("HTTP 502")))
    assert [each is not None for each in told] == [False] * 4 + [True]
    assert seat(board).model == "b/2"
    assert board.first_ready(MODELS) == "b/2"
    assert board.ready_in(MODELS) == 0
    assert board.ready_in(("a/1",)) == pytest.approx(10)


def test_a_success_between_failures_starts_the_count_anew(board: ModelBoard, clock: FakeClock) -> None:
    """Four, one good, four: still up."""
    for failures in (4, 4):
        for _ in range(failures):
            clock.now += 3_600
            assert seat(board, "a/1").failed(ServerError("x")) is None
        assert seat(board, "a/1").succeeded() is None


def test_a_model_that_recovers_is_told_once(board: ModelBoard, clock: FakeClock) -> None:
    """One probe at a time; the others are asked meanwhile."""
    take_down(board, "a/1")
    clock.now += 10
    probe = seat(board)
    assert (probe.model, seat(board).model) == ("a/1", "b/2")
    change = probe.succeeded()
    assert change is not None
    assert not change.open
    assert seat(board).model == "a/1"


def test_a_seat_that_is_left_is_neutral(board: ModelBoard, clock: FakeClock) -> None:
    """A cancelled probe makes room for the next one and changes nothing."""
    take_down(board, "a/1")
    clock.now += 10
    seat(board, "a/1").leave()
    assert seat(board, "a/1").model == "a/1"


def test_a_held_model_is_left_alone_for_as_long(board: ModelBoard, clock: FakeClock) -> None:
    """A shorter wish does not shorten it, and it ends by itself without a word."""
    board.hold("a/1", 5)
    board.hold("a/1", 1)
    assert seat(board).model == "b/2"
    assert board.enter(("a/1",)) is None
    assert board.ready_in(("a/1",)) == 5
    assert isinstance(board.refusal(("a/1",)), CircuitOpenError)
    assert board.refusal(("a/1",)).retry_after == 5
    assert board.reason(("a/1",)) is None
    clock.now += 5
    assert seat(board).model == "a/1"


def test_when_all_are_gone_the_refusal_says_which_setting_to_change(board: ModelBoard) -> None:
    """All names, the settings, what the server said, and when it is tried again."""
    for model in MODELS:
        seat(board, model).stop(ModelUnavailableError(f"No endpoints found for {model}."))
    error = board.refusal(MODELS)
    assert type(error) is ModelUnavailableError
    for part in ("'a/1', 'b/2'", "`llm.model`", "`llm.fallback_models`", "No endpoints found for b/2."):
        assert part in str(error)
    assert error.retry_after == 60


def test_of_different_reasons_all_are_named(board: ModelBoard) -> None:
    """Gone and failing: the kind is that of the one tried first again."""
    seat(board, "a/1").stop(ModelUnavailableError("gone"))
    take_down(board, "b/2")
    error = board.refusal(MODELS)
    assert type(error) is CircuitOpenError
    assert "a/1: gone" in str(error)
    assert "b/2: 5 calls in a row failed" in str(error)
    assert error.retry_after == 10
    assert board.reason(MODELS) == str(error)
    assert board.reason((*MODELS, "c/3")) is None


def test_a_setting_that_a_model_cannot_do_keeps_its_own_error(board: ModelBoard) -> None:
    """The advice reaches whoever asks next."""
    seat(board, "a/1").stop(LineStoppedError("set reasoning_effort"))
    assert type(board.refusal(("a/1",))) is LineStoppedError


def test_statistics_tell_of_each_model(board: ModelBoard) -> None:
    """The settings' models first, whether asked or not."""
    take_down(board, "c/3")
    rows = board.statistics(MODELS)
    assert list(rows) == ["a/1", "b/2", "c/3"]
    assert rows["a/1"] == {"state": "closed", "requests": 0, "failures": 0, "reason": None, "ready_in": 0}
    assert (rows["c/3"]["state"], rows["c/3"]["failures"]) == ("open", 5)
    assert "in a row" in rows["c/3"]["reason"]


def test_memory_is_bounded_by_forgetting(board: ModelBoard) -> None:
    """Models made up by a caller do not pile up for ever."""
    for number in range(2_500):
        board.state(f"x/{number}")
    assert len(board.statistics(())) <= 1_000
