"""What a request without a response means, and over which time the line is judged."""

from __future__ import annotations

import pytest

from llm_integration.config import LLMConfig
from llm_integration.errors import CallTimeoutError, DeadlineError, NoCompletionError, TransportError
from llm_integration.llm_processor import LLMProcessor
from llm_integration.llm_processor.judge import line_breaker, without_response


@pytest.mark.parametrize("lanes", [1, 3, 8, 64])
@pytest.mark.parametrize("timeout", [5.0, 60.0, 600.0])
def test_the_window_has_room_for_enough_calls_that_take_their_whole_time(lanes: int, timeout: float) -> None:
    """Calls of which one in eight is answered open the circuit, whatever lanes and time-out are."""
    now = [0.0]
    config = LLMConfig(max_concurrency=lanes, request_timeout_seconds=timeout)
    line = LLMProcessor(config, clock=lambda: now[0])._line
    ended = 0
    for _ in range(1 + 24 // lanes):
        entries = [line.enter() for _ in range(lanes)]
        now[0] += timeout + 0.5
        for entry in entries:
            assert entry is not None
            ended += 1
            if ended % 8 == 0:
                line.succeeded(entry)
            elif line.failed(entry, "no complete reply"):
                assert ended <= 10 + 1
                return
    pytest.fail("the circuit stayed closed")


def test_with_short_calls_the_window_is_a_minute() -> None:
    """Failures that are a minute old say nothing about now."""
    now = [0.0]
    line = line_breaker(LLMConfig(request_timeout_seconds=5.0), lambda: now[0])
    for when in (0.0, 61.0):
        now[0] = when
        for entry in [line.enter() for _ in range(9)]:  # together: one round
            assert entry is not None
            assert line.failed(entry, "HTTP 502") is None


@pytest.mark.parametrize(
    ("timeout", "heard", "limit", "age", "silent"),
    [
        (60.0, False, 60.0, 3_600.0, True),
        (60.0, True, 60.0, 3_600.0, False),
        (10.0, False, 60.0, 3_600.0, True),
        (10.0, True, 60.0, 3_600.0, False),
        (9.9, False, 60.0, 3_600.0, False),
        (4.0, False, 8.0, 3_600.0, True),
        (3.9, False, 8.0, 3_600.0, False),
        (8.0, False, 8.0, 3_600.0, True),
        (3.0, False, 60.0, 6.0, True),
        (2.9, False, 60.0, 6.0, False),
    ],
)
def test_silence_tells_something_when_it_was_long(
    timeout: float, heard: bool, limit: float, age: float, silent: bool
) -> None:
    """Ten seconds, or half of what a request ever has; nothing once a response had begun."""
    error = CallTimeoutError("no complete reply")
    failure = without_response(error, timeout=timeout, limit=limit, age=age, heard=heard)
    assert failure.silent is silent
    cut_short = timeout < limit
    assert isinstance(failure.error, DeadlineError) is cut_short
    assert failure.of_model is not cut_short


def test_other_faults_are_not_silence() -> None:
    """A refused connection is the line's, a reply without end the model's."""
    refused = without_response(TransportError("refused"), timeout=60.0, limit=60.0, age=3_600.0, heard=False)
    endless = without_response(
        NoCompletionError("too long"), timeout=60.0, limit=60.0, age=3_600.0, heard=True
    )
    assert (refused.silent, refused.of_model) == (False, False)
    assert (endless.silent, endless.of_model) == (False, True)
