"""The parts of a sidecar: built from the record to the worker, ended from the worker to the record."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llm_integration.availability import Availability
from llm_integration.config import LLMConfig
from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.ports import Provider, Sink
from llm_integration.record import DatabaseConfig, EmbeddedPostgres
from llm_integration.record.outcomes import OutcomeStore
from llm_integration.sidecar.background import Background
from llm_integration.sidecar.bounds import CloseBounds
from llm_integration.sidecar.ending import Ending
from llm_integration.sidecar.files import SessionFiles
from llm_integration.sidecar.handing import GivenBar, unasked
from llm_integration.sidecar.outcomes import OutcomeSink
from llm_integration.sidecar.rating import Rating
from llm_integration.sidecar.recording import Recording, connected
from llm_integration.sidecar.sessions import HostSession, SessionEntry
from llm_integration.sinks import LatestAnalyses, SinkList

__all__ = ["Parts", "Wanted"]

UNBOUNDED = 1_000_000
"""Bars at once where nobody keeps them waiting."""
NOTHING_WAITS: Mapping[str, Any] = {"signals": 0, "bars": 0, "outbox": None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be built. See Sidecar, whose arguments these are."""

    config: LLMConfig
    block: DatabaseConfig | None
    sinks: Sequence[Sink] | None
    session: HostSession | None
    adopt: bool
    simulate: bool
    models_folder: Path
    summary: Callable[[], Mapping[str, object]]
    provider: Provider | None = None


class Parts:
    """Everything that a sidecar owns between ``open`` and ``close``."""

    def __init__(
        self,
        wanted: Wanted,
        store: SignalMemoryStore,
        answers: LatestAnalyses,
        outcomes: OutcomeSink,
        ending: Ending,
    ) -> None:
        self._wanted, self._store = wanted, store
        self._ending = ending
        self.config = wanted.config
        """The settings; of a session that goes on with the folder of its files."""
        self.background = Background()
        self.server: EmbeddedPostgres | None = None
        self.recording: Recording | None = None
        self.availability = Availability(time.monotonic)
        """What all parts know of PostgreSQL: an outage is announced once, whoever meets it first."""
        self.rating = Rating(
            wanted.config, ending, simulate=wanted.simulate, models_folder=wanted.models_folder,
            provider=wanted.provider,
        )  # fmt: skip
        self.files: SessionFiles | None = None
        self.sinks = SinkList([answers])
        self._answers, self._outcomes = answers, outcomes
        self.answered: set[str] = set()
        """Signals of earlier runs of the session that have their answer."""

    async def open(self) -> None:
        """Build, connect and start; what was built has its end in ``ending``, whatever is raised here.

        Raises ConfigError, SessionError, and DatabaseError if PostgreSQL is required.
        """
        wanted = self._wanted
        worker_id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._ending.background.add("the tasks behind the worker", lambda _: self.background.stop())
        await self._open_record(worker_id)
        self._make_sinks()
        session = self.session
        self.rating.config = self.config
        await self.rating.open(
            self._store, self.sinks, self.recording, self.background,
            worker_id=worker_id,
            stores_signals=not self._resumable,
            session=self.session_id,
            adopt=wanted.adopt,
            any_endpoint=wanted.adopt or (session is not None and session.continued is not None),
        )  # fmt: skip
        self._start_sinks()
        if self.recording is not None:
            self.recording.start_recorder(self._ending, self.background, off_reason=self.rating.off_reason)
        self._restore_answers()
        if self.rating.worker is not None:
            self.background.start("worker", self.rating.worker.run)

    async def _open_record(self, worker_id: str) -> None:
        wanted = self._wanted
        if wanted.block is None:
            return
        self.server = EmbeddedPostgres() if wanted.block.embedded else None
        manager = await connected(
            wanted.block, self.server, ending=self._ending,
            simulated=wanted.config.model.startswith("simulated/"),
            others="CSV" if wanted.sinks is None else "the other sinks",
        )  # fmt: skip
        if manager is not None:
            self.recording = Recording(
                manager, wanted.block, wanted.config, worker_id=worker_id, availability=self.availability
            )
            await self.recording.open(wanted.session, self._ending, self.background)
        if self.session is not None:
            self.config = self.session.config

    def _make_sinks(self) -> None:
        given = self._wanted.sinks
        if given is None:
            self.files = SessionFiles(self.config, statistics=self.summary)
            self.files.goes_on = self._resumable
            given = [self.files]
        self.sinks = SinkList([self._answers, *given, self._outcomes])
        self._outcomes.begin(
            self.config.output_folder if self._wanted.sinks is None else None,
            stored=self.recording is not None,
        )

    def _start_sinks(self) -> None:
        """From here on nothing is waited for: files that stand there say that the host may begin."""
        self.sinks.start()
        if self.recording is not None and self._outcomes.enabled:
            store = OutcomeStore(self.recording.manager.connections)
            self.background.start("outcomes", partial(self._outcomes.store, store))
            self._ending.records.add(
                "the last outcomes", lambda bounds: self._outcomes.store_rest(store, bounds.session - 0.1)
            )
        self._ending.stores.add("the sinks", lambda bounds: self.sinks.close(bounds.stores - 0.6))

    def _restore_answers(self) -> None:
        """Of a session that goes on: what was answered before stands in the sinks, and is not asked for."""
        if self.session is None or self.session.continued is None:
            return
        self._tell(self.session.earlier)
        self.session.earlier = []
        self._ending.late_answers.add("late answers", self._restore_late_answers)

    async def _restore_late_answers(self, _bounds: CloseBounds) -> None:
        """What another process answered of the session's earlier part after this one had looked."""
        if self.session is not None and self.session.completed and not self._ending.hurried:
            self._tell(await self.session.look_for_late_answers())

    def _tell(self, outcomes: Sequence[tuple[Signal, LLMAnalysis]]) -> None:
        for signal, analysis in outcomes:
            if signal.signal_id not in self.answered and self._answers.get(signal.signal_id) is None:
                self.sinks.write_analysis(signal, analysis)
                self.answered.add(signal.signal_id)

    def note_end(self, *, completed: bool, bars_ended: bool) -> None:
        """What the host says of the end of its session, for PostgreSQL and for the files."""
        if self.session is not None:
            self.session.completed, self.session.bars_ended = completed, bars_ended
        if self.files is not None:
            self.files.goes_on = self._resumable and not bars_ended

    def unstored(self) -> dict[str, Any]:
        """What PostgreSQL does not have yet, in memory and in the outbox."""
        waiting = self.recording.waiting() if self.recording is not None else NOTHING_WAITS
        results = self.rating.worker.unwritten if self.rating.worker is not None else 0
        return {
            "signals": waiting["signals"], "bars": waiting["bars"], "results": results,
            "outbox": waiting["outbox"],
        }  # fmt: skip

    def take_bar(self, given: GivenBar, signal: Signal | None) -> None:
        """A closed bar and the signal that it brought: to the sinks, and to the tables of the session."""
        self.sinks.record_bar(self.session_id, given.symbol, given.bar, signal)
        if signal is not None and self.rating.off_reason is not None:
            self.sinks.write_analysis(signal, unasked(signal, self.rating.off_reason))
        if self.recording is not None and self.recording.recorder is not None and not given.stored:
            self.recording.recorder.record_bar(given.bar, given.symbol)

    @property
    def room(self) -> int:
        """Bars that may be added now before they pile up."""
        rooms = [] if self.files is None else [self.files.room]
        rooms += [] if self.recording is None else [self.recording.room]
        return min(rooms, default=UNBOUNDED)

    def statistics(self) -> dict[str, Any]:
        """Counters and states of all parts."""
        worker = self.rating.worker
        figures = worker.get_statistics() if worker is not None else {"state": "off"}
        return {
            **figures,
            "session": self.session_id,
            "sink_errors": dict(self.sinks.errors),
            "database_error": self.availability.error,
            "outbox": self.unstored()["outbox"],
            "outcomes": self._outcomes.figures(),
            "restarts": dict(self.background.crashes),
            "gone_models": list(self.rating.gone_models),
            "budgets": self.rating.budgets(),
        }

    def summary(self) -> dict[str, object]:
        """The ``run`` part of the summary file: what the host says, and what it cannot know."""
        return {
            "session_id": self.session_id,
            **self._wanted.summary(),
            "waiting_for_database": self.unstored(),
            "restarts": dict(self.background.crashes),
            "budgets": self.rating.budgets(),
        }

    @property
    def _resumable(self) -> bool:
        return self._wanted.session is not None and self._wanted.session.resumable

    @property
    def session(self) -> SessionEntry | None:
        """The session in PostgreSQL."""
        return self.recording.session if self.recording is not None else None

    @property
    def session_id(self) -> str | None:
        """The session that runs: that of the host, or the one it goes on with."""
        if self.session is not None:
            return self.session.session_id
        return self._wanted.session.session_id if self._wanted.session is not None else None
