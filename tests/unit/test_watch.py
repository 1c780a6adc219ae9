"""The thread that has a killed server started again: soon, ever more slowly, and with few words."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.watch import Watch

LOOK_SECONDS = 0.001


class Server:
    """One that fails to start for some reasons, one after the other, and then lives."""

    def __init__(self, *reasons: str, raising: Callable[[str], Exception] = EmbeddedServerError) -> None:
        self.reasons = list(reasons)
        self.raising = raising
        self.alive = False
        self.tries: list[float] = []
        self.back = threading.Event()

    def running(self) -> bool:
        return self.alive

    def revive(self) -> bool:
        self.tries.append(time.monotonic())
        if self.reasons:
            raise self.raising(self.reasons.pop(0))
        self.alive = True
        self.back.set()
        return True


@contextmanager
def watched(server: Server) -> Iterator[Watch]:
    """A watch over it."""
    watch = Watch(server.running, server.revive, look_seconds=LOOK_SECONDS)
    watch.start()
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def test_a_server_that_has_ended_is_started_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """And one line says so."""
    server, began = Server(), time.monotonic()
    with caplog.at_level(logging.INFO), watched(server):
        assert server.back.wait(10)
    assert server.tries[0] - began < 0.4
    assert [record.levelname for record in caplog.records] in (
        [],
        ["WARNING"],
    )  # it may say it a moment later


def test_one_that_cannot_start_is_tried_ever_more_slowly_and_said_once_for_each_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pauses double; the same reason again is not said again."""
    server = Server("no room", "no room", "no rights")
    with caplog.at_level(logging.WARNING), watched(server):
        assert server.back.wait(30)
    pauses = [later - sooner for sooner, later in zip(server.tries, server.tries[1:], strict=False)]
    assert [pause >= least for pause, least in zip(pauses, (0.5, 1.0, 2.0), strict=True)] == [True] * 3
    said = [record.message.partition(";")[0] for record in caplog.records if record.levelname == "ERROR"]
    assert said == ["no room", "no rights"]


def test_what_nobody_has_thought_of_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of our own in there is logged with its cause, and the server is still started."""
    server = Server("a fault", raising=ZeroDivisionError)
    with caplog.at_level(logging.ERROR), watched(server):
        assert server.back.wait(10)
    assert "ZeroDivisionError" in caplog.text


def test_a_watch_that_was_stopped_starts_nothing() -> None:
    """Nobody brings back a server that was given up."""
    server = Server(*["no room"] * 100)
    with watched(server):
        while not server.tries:
            threading.Event().wait(0.001)
    tries = len(server.tries)
    threading.Event().wait(0.7)
    assert len(server.tries) == tries


def test_without_a_thread_the_server_is_used_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no thread can be started that is said, and nothing raises into the host."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = Server()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with watched(server):
            assert "is not watched (can't start new thread)" in caplog.text
    assert server.tries == []
