"""What a worker says of itself: plain numbers and text, cheap enough to ask several times a second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from llm_integration.worker.parts import WorkerParts
from llm_integration.worker.ports import Processor
from llm_integration.worker.subscribers import Subscribers

__all__ = ["status"]


def status(
    parts: WorkerParts,
    processor: Processor,
    subscribers: Subscribers,
    *,
    off: str | None,
    stopped: bool,
    crashes: Mapping[str, int],
) -> dict[str, Any]:
    """See ``LLMWorker.get_statistics``."""
    book, line = parts.shared.book, processor.stopped_reason() or parts.intake.full_reason()
    return {
        "state": "off" if off else "stopped" if stopped else "waiting" if line else "running",
        "reason": off or line,
        "note": off or _note(line, processor.ready_in(), parts.shared.wall()),
        "model": parts.shared.config.model,
        "queued": book.waiting + parts.ready.qsize(),
        "waiting_for_budget": book.line.parked,
        "in_flight": parts.replies.in_flight,
        "taken_elsewhere": book.taken_elsewhere,
        "refused_by_fence": book.answers.refused,
        "unwritten": book.answers.unstored,
        "undelivered": book.answers.undelivered,
        "sink_errors": parts.delivering.sink_errors,
        "database_error": parts.shared.availability.error,
        "crashes": dict(crashes),
        "shadows": {"asked": parts.shadows.asked, "left_out": parts.shadows.left_out},
        "memory": parts.shared.store.get_statistics(),
        "processor": processor.statistics(),
        **parts.tally.statistics(),
        **subscribers.statistics(),
    }


def _note(line: str | None, ready_in: float, now: datetime) -> str | None:
    """What it waits for and until when, as it is shown to people."""
    if line is None or ready_in <= 0:
        return line if line is None else f"waiting: {line}"
    return f"waiting until {(now + timedelta(seconds=ready_in)).astimezone():%H:%M:%S}: {line}"
