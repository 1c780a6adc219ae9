"""A failing file: when it is tried again, and one message per change."""

from __future__ import annotations

import errno
import logging

import pytest

from llm_integration.csv_exporter.health import LOCK_PATIENCE_SECONDS, Health

FULL = OSError(errno.ENOSPC, "No space left on device")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, level first."""
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_one_message_per_change_of_state(caplog: pytest.LogCaptureFixture) -> None:
    """Many failures say it once, another cause says it again, recovery says how long it was."""
    caplog.set_level(logging.INFO)
    health = Health("x.csv")
    for now in range(5):
        health.failed(FULL, now)
    health.failed(OSError(errno.EROFS, "ro"), 5)
    health.worked(7.5)
    health.worked(8)
    assert messages(caplog) == [
        "WARNING x.csv: No space left on device; rows wait in memory and are tried again",
        "WARNING x.csv: Read-only file system; rows wait in memory and are tried again",
        "INFO x.csv: written again after 7.5 s",
    ]
    assert health.errors == 6


def test_a_short_lock_is_not_worth_a_message(caplog: pytest.LogCaptureFixture) -> None:
    """Processes that take turns say nothing; a lock kept longer is named."""
    caplog.set_level(logging.INFO)
    health = Health("x.csv")
    health.failed(BlockingIOError(), 0.0)
    health.worked(0.01)
    assert messages(caplog) == []
    health.failed(BlockingIOError(), 1.0)
    health.failed(BlockingIOError(), 1.0 + LOCK_PATIENCE_SECONDS)
    health.failed(BlockingIOError(), 9.0)
    assert messages(caplog) == [
        "WARNING x.csv: locked by another process; rows wait in memory and are tried again"
    ]
    assert health.errors == 0


def test_waits_grow_to_a_bound_and_start_anew_after_success() -> None:
    """A lock is tried four times a second at the least, a full disk every five seconds."""
    for error, first, longest in ((FULL, 0.05, 5.0), (BlockingIOError(), 0.01, 0.25)):
        health = Health("x.csv")
        waits = []
        for _ in range(12):
            health.failed(error, 100.0)
            waits.append(health.retry_at - 100.0)
        assert waits[0] == pytest.approx(first)
        assert waits == sorted(waits)
        assert waits[-1] == pytest.approx(longest)
        health.worked(101.0)
        assert health.retry_at == 0.0
        health.failed(error, 200.0)
        assert health.retry_at - 200.0 == pytest.approx(first)
