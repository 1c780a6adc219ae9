"""Waiting for answers: for that of one signal, and for those of a whole session."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from llm_integration.domain import LLMAnalysis
from llm_integration.record import DatabaseError
from llm_integration.sidecar.parts import Parts
from llm_integration.sidecar.recording import Recording
from llm_integration.sinks import LatestAnalyses

__all__ = ["Waiters", "session_answered"]

LOOK_SECONDS = 0.25
PAUSE_SECONDS = 0.2


class Waiters:
    """Wakes whoever waits for a signal when it has its end, and then tells the host with ``told``."""

    def __init__(self, told: Callable[[LLMAnalysis], None]) -> None:
        self._told = told
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.answers = LatestAnalyses(self._tell)
        """The sink that hears of each end."""

    async def wait(self, signal_id: str, timeout: float) -> LLMAnalysis | None:
        """How the signal ended; None when it has not within ``timeout`` seconds."""
        analysis = self.answers.get(signal_id)
        if analysis is not None or timeout <= 0:
            return analysis
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(signal_id, set()).add(came)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await came
        finally:
            others = self._waiting.get(signal_id, set())
            others.discard(came)
            if not others:
                self._waiting.pop(signal_id, None)
        return self.answers.get(signal_id)

    def _tell(self, analysis: LLMAnalysis) -> None:
        for came in self._waiting.pop(analysis.signal_id, ()):
            if not came.done():
                came.set_result(None)
        self._told(analysis)


async def session_answered(parts: Parts, *, adopt: bool) -> None:
    """Until no signal of the session waits in memory or in PostgreSQL, or nothing will change by itself."""
    worker, recording = parts.rating.worker, parts.recording
    if worker is None or parts.rating.off_reason is not None:
        return
    while not parts.rating.wants_a_key:
        if not await worker.drain(LOOK_SECONDS):
            continue
        if recording is None:
            return
        with contextlib.suppress(DatabaseError):
            if not await _tasks_waiting(recording, parts.session_id, adopt=adopt):
                return
        await asyncio.sleep(PAUSE_SECONDS)


async def _tasks_waiting(recording: Recording, session_id: str | None, *, adopt: bool) -> int:
    """Open tasks of this session, and with ``adopt`` those of others that are free."""
    stats = await recording.manager.get_llm_processing_stats(session_id)
    open_tasks = int(stats["pending"] + stats["processing"])
    if not open_tasks and adopt:
        return await recording.manager.waiting_tasks(recording.worker_id)
    return open_tasks
