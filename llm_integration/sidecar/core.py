"""Sidecar: a second opinion on every signal, as one object in a host's event loop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from llm_integration.config import LLMConfig, load_settings
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.errors import InvalidSignalError
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.ports import Provider, Sink
from llm_integration.record import DatabaseConfig
from llm_integration.sidecar.bounds import CLOSE, CloseBounds
from llm_integration.sidecar.ending import Ending
from llm_integration.sidecar.handing import BarQueue, GivenBar, as_mapping, in_session
from llm_integration.sidecar.joining import SignalsOfBars
from llm_integration.sidecar.outcomes import OutcomeSink
from llm_integration.sidecar.parts import Parts, Wanted
from llm_integration.sidecar.rating import check_prompts
from llm_integration.sidecar.sessions import HostSession
from llm_integration.sidecar.settings_file import SettingsFile
from llm_integration.sidecar.waiting import Waiters, session_answered
from llm_integration.threads import in_thread
from llm_integration.worker import LLMWorker

__all__ = ["Sidecar"]

logger = logging.getLogger(__name__)

UNSTARTED_SECONDS = 0.5


class Sidecar:
    """Builds, owns and ends every part: store, worker, client, files, PostgreSQL, outbox, ledger.

    ::

        async with Sidecar.from_config("config.json") as sidecar:
            sidecar.add_signal({"signal_id": "ES-1", "signal_data": {...}})
            analysis = await sidecar.rating("ES-1", timeout=5.0)

    ``config`` says what is asked and how; without one the defaults and the environment do. With
    ``database_url`` (or the ``database`` block of a file) signals and results are stored in PostgreSQL, at
    that URL or, for ``"embedded"``, in a server that comes with the installation. Results also go to
    ``sinks``; None: to the CSV files of the settings, ``()``: nowhere else. ``session`` names what this host
    does: the unfinished signals of a session are taken up by the next sidecar of that name, and its bars are
    stored; signals without one count as one session; a ``HostSession`` says more of it. With ``adopt``
    waiting signals of other sessions are answered, too. ``told`` is called in the event loop with each
    result, and must return at once. With ``simulate`` a simulated model answers, for a trial: no key, no
    network. ``summary`` is what the host adds to the summary file, called in a thread. Lists of models are
    kept in ``models_folder`` (None: ``.tradent/models`` beside the settings). ``provider`` says how the
    server is asked; without one ``base_url`` decides.

    Building it checks the settings and raises ConfigError; ``start`` (or ``async with``) connects, and raises
    DatabaseError only if the ``database`` block says that PostgreSQL is required, and SessionError for a
    session that cannot go on. ``close`` ends everything within its bounds in whatever state it is, and loses
    no answer that was read.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        *,
        database_url: str | SecretStr | None = None,
        database: DatabaseConfig | None = None,
        sinks: Sequence[Sink] | None = None,
        session: str | HostSession | None = None,
        adopt: bool = False,
        told: Callable[[LLMAnalysis], None] = lambda _analysis: None,
        simulate: bool = False,
        summary: Callable[[], Mapping[str, object]] = dict,
        models_folder: Path | None = None,
        provider: Provider | None = None,
    ) -> None:
        config = config or LLMConfig()
        check_prompts(config)
        self._wanted = Wanted(
            config=config,
            block=_database_block(database, database_url),
            session=HostSession(session) if isinstance(session, str) else session,
            models_folder=models_folder or config.folder / ".tradent" / "models",
            sinks=sinks, adopt=adopt, simulate=simulate, summary=summary, provider=provider,
        )  # fmt: skip
        self.memory_store = SignalMemoryStore(config.max_memory_signals, config.memory_retention_minutes)
        self._waiters = Waiters(told)
        self._ending = Ending()
        folder = config.output_folder if sinks is None else None
        self._outcomes = OutcomeSink(config, folder, waits=True)
        self._parts: Parts | None = None
        self._of_bars = SignalsOfBars()
        self._bars = BarQueue(self._take_bar)
        self._refused = 0
        self._closed = False

    @classmethod
    def from_config(cls, path: str | Path, **options: Any) -> Self:
        """From the ``llm`` and ``database`` blocks of a file; without the latter there is no PostgreSQL.

        ``DATABASE_URL`` of the environment goes over the file's URL. ``options`` are those of ``Sidecar``.
        Raises ConfigError, one line long.
        """
        file = SettingsFile(path)
        config = file.llm()
        if "database" in file and "database" not in options:
            options["database"] = file.database()
        return cls(config, **options)

    # The host's side

    def add_signal(self, signal: Mapping[str, Any]) -> bool:
        """Hand over ``{"signal_id": str, "signal_data": {...}}``; from any thread, in microseconds.

        False, with a line in the log, for what is no signal, and when memory is full of unanswered ones.
        """
        if (session := self.session) is not None:
            signal = in_session(signal, session)
        try:
            taken = self.memory_store.add_signal(signal)
        except InvalidSignalError as error:
            self._refused += 1
            logger.error("a signal is not taken: %s", error)
            return False
        if taken:
            self._of_bars.note(signal)
            self._outcomes.accept(signal)
        else:
            logger.error(
                "signal %.100r is not taken: %d signals wait already",
                signal["signal_id"], self.config.max_memory_signals,
            )  # fmt: skip
        return taken

    async def record_signal(self, signal: Signal) -> bool:
        """Hand over a signal of a ``resumable`` session, which PostgreSQL is to have first.

        Waits no longer than ``handoff_timeout_seconds``; a later answer is not lost. False if nobody is going
        to be asked: an earlier run has the answer, or it is off.
        """
        parts = self.parts
        if parts.recording is not None and parts.recording.recorder is not None:
            await parts.recording.recorder.record_signal(signal)
        if signal.signal_id in parts.answered or parts.rating.off_reason is not None:
            return False
        self.memory_store.add_signal(as_mapping(signal))
        return True

    def add_bar(
        self, bar: Bar, *, symbol: str = "", signal: Signal | None = None, stored: bool = False
    ) -> None:
        """A closed bar of ``symbol``, in bar order, for files and other sinks; from any thread.

        ``signal`` is the one that it brought; without it signals of the same symbol and time that were added
        before stand in its row. With a session the bar goes to PostgreSQL, too, unless it is ``stored``: one
        that an earlier run has brought there.
        """
        self._bars.put(GivenBar(bar, symbol, signal, stored))

    def report_fill(self, signal_id: str, price: float, time: datetime | str) -> None:
        """Your order was filled: R is counted from there. From any thread; what is wrong is one warning."""
        self._outcomes.report_fill(signal_id, price, time)

    def report_outcome(
        self, signal_id: str, price: float, time: datetime | str, *, exit: str | None = None,
        r_net: float | None = None,
    ) -> None:  # fmt: skip
        """Your trade ended at this price, whatever bars tell. See ``OutcomeSink.report_outcome``."""
        self._outcomes.report_outcome(signal_id, price, time, exit, r_net)

    def subscribe(self, callback: Callable[[LLMAnalysis], Awaitable[Any] | Any]) -> Callable[[], None]:
        """Have ``callback`` called with each result, rated or not; returns what ends that. See LLMWorker."""
        return self.worker.subscribe(callback)

    async def rating(self, signal_id: str, timeout: float = 0.0) -> LLMAnalysis | None:
        """How the signal ended, waiting for it up to ``timeout`` seconds; None when it has not by then."""
        return await self._waiters.wait(signal_id, timeout)

    async def drain(self, timeout: float) -> bool:
        """Wait until every signal has its end, stored and delivered; False if it takes over ``timeout`` s."""
        return await self.worker.drain(timeout)

    async def drain_session(self) -> None:
        """Wait until every signal of the session has its end, also those that PostgreSQL alone knows of.

        With ``adopt`` also those of others. Returns when nothing will change by itself: it is off, or the
        server refuses requests without a key and there is none.
        """
        await session_answered(self.parts, adopt=self._wanted.adopt)

    def statistics(self) -> dict[str, Any]:
        """Counters and states of all parts; plain values, cheap enough to ask several times a second."""
        return {**self.parts.statistics(), "refused_signals": self._refused}

    @property
    def config(self) -> LLMConfig:
        """The settings; once a session goes on, with the folder of its files."""
        return self._parts.config if self._parts is not None else self._wanted.config

    @property
    def session(self) -> str | None:
        """The session that runs: that of the host, or the earlier one that it goes on with."""
        if self._parts is not None:
            return self._parts.session_id
        return self._wanted.session.session_id if self._wanted.session is not None else None

    @property
    def parts(self) -> Parts:
        """What it has built."""
        if self._parts is None:
            raise RuntimeError("the sidecar is not started: use `async with`, or await start()")
        return self._parts

    @property
    def worker(self) -> LLMWorker:
        """The worker; there is one once the sidecar has started."""
        worker = self.parts.rating.worker
        if worker is None:
            raise RuntimeError(f"the sidecar has no worker: {self.off_reason}")
        return worker

    @property
    def off_reason(self) -> str | None:
        """Why nothing is asked at all, in one line; None when the sidecar is on."""
        return self.parts.rating.off_reason

    @property
    def resume_after(self) -> datetime | None:
        """Time of the last bar that earlier runs of the session have stored; None for a new session."""
        return self.parts.session.resume_after if self.parts.session is not None else None

    def note_end(self, *, completed: bool, bars_ended: bool) -> None:
        """How the host's session ends, before ``close``: nothing is left to do, and every bar was traded.

        Else it is stored as ``stopped``. Does nothing before the start.
        """
        if self._parts is not None:
            self._parts.note_end(completed=completed, bars_ended=bars_ended)

    # Beginning and ending

    async def start(self) -> None:
        """Build and connect every part. Does nothing when it has started; RuntimeError after ``close``."""
        if self._closed:
            raise RuntimeError("a closed sidecar cannot be started again; build a new one")
        if self._parts is not None:
            return
        own = (self._waiters.answers, self._outcomes, self._ending)
        self._parts = Parts(self._wanted, self.memory_store, *own)
        try:
            await self._parts.open()
            self._bars.open()
        except BaseException:
            await self.close()
            raise

    async def close(self, bounds: CloseBounds = CLOSE) -> None:
        """End every part, producers before consumers, each within ``bounds``. Repeating it does nothing."""
        self._closed = True
        await self._ending.close(bounds)
        if self._outcomes.waits:  # it has not begun: what was reported is in the file all the same
            await in_thread(self._outcomes.close, UNSTARTED_SECONDS)

    def hurry(self, bounds: CloseBounds = CLOSE) -> None:
        """Somebody waits for the end: from now on ``bounds`` hold, also for a ``close`` that is under way."""
        self._ending.hurry(bounds)

    def abandon(self) -> None:
        """For the last moment of a stuck process, from any thread: its embedded server ends with it."""
        if self._parts is not None and self._parts.server is not None:
            self._parts.server.abandon()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _take_bar(self, given: GivenBar) -> None:
        self.parts.take_bar(given, given.signal or self._of_bars.of(given.symbol, given.bar))


def _database_block(block: DatabaseConfig | None, url: str | SecretStr | None) -> DatabaseConfig | None:
    """Where PostgreSQL is: a file's block, or a URL alone, which need not answer at the start."""
    if url is None:
        return block
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    if block is None:
        return load_settings(DatabaseConfig, {"url": text, "required": False}, "database_url")
    load_settings(DatabaseConfig, {"url": text}, "database_url")
    return block.model_copy(update={"url": SecretStr(text.strip())})
