"""Sidecar: a second opinion on every signal, as one object in a host's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from llm_integration.config import LLMConfig, environment, load_settings, read_json
from llm_integration.csv_exporter import LLMCSVExporter
from llm_integration.domain import Bar, LLMAnalysis
from llm_integration.errors import InvalidSignalError
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.ports import Sink
from llm_integration.record import DatabaseConfig
from llm_integration.sidecar.joining import SignalsOfBars
from llm_integration.sidecar.outcomes import OutcomeSink
from llm_integration.sidecar.parts import Parts
from llm_integration.sinks import Answers, SinkList
from llm_integration.worker import LLMWorker

__all__ = ["Sidecar"]

logger = logging.getLogger(__name__)


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
    does: the unfinished signals of a session are taken up by the next sidecar of that name; signals without
    one count as one session. With ``adopt`` waiting signals of other sessions are answered, too. ``told`` is
    called in the event loop with each result, and must return at once.

    Building it checks the settings and raises ConfigError; ``start`` (or ``async with``) connects, and raises
    DatabaseError only if the ``database`` block says that PostgreSQL is required. ``close`` ends everything
    within ``CLOSE.total`` seconds in whatever state it is, and loses no answer that was read.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        *,
        database_url: str | SecretStr | None = None,
        database: DatabaseConfig | None = None,
        sinks: Sequence[Sink] | None = None,
        session: str | None = None,
        adopt: bool = False,
        told: Callable[[LLMAnalysis], None] = lambda _analysis: None,
    ) -> None:
        self.config = config or LLMConfig()
        self.session = session
        self._adopt, self._told = adopt, told
        self._block = _database_block(database, database_url)
        self._store = SignalMemoryStore(self.config.max_memory_signals, self.config.memory_retention_minutes)
        self._answers = Answers(self._tell)
        given: Sequence[Sink] = (LLMCSVExporter(self.config),) if sinks is None else sinks
        folder = self.config.output_folder if sinks is None else None
        self._outcomes = OutcomeSink(self.config, folder, stored=self._block is not None)
        self._sinks = SinkList([self._answers, *given, self._outcomes])
        self._parts: Parts | None = None
        self._of_bars = SignalsOfBars()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._refused = 0
        self._closed = False

    @classmethod
    def from_config(cls, path: str | Path, **options: Any) -> Self:
        """From the ``llm`` and ``database`` blocks of a file; without the latter there is no PostgreSQL.

        ``DATABASE_URL`` of the environment goes over the file's URL. ``options`` are those of ``Sidecar``.
        Raises ConfigError, one line long.
        """
        file = Path(path)
        config, block = LLMConfig.load(file), read_json(file).get("database")
        if block is not None and "database" not in options:
            values = dict(block)
            if url := environment(beside=config.folder).get("DATABASE_URL"):
                values["url"] = url
            read = load_settings(DatabaseConfig, values, f"{file}: database")
            options["database"] = read.in_folder(file.absolute().parent)
        return cls(config, **options)

    # The host's side

    def add_signal(self, signal: Mapping[str, Any]) -> bool:
        """Hand over ``{"signal_id": str, "signal_data": {...}}``; from any thread, in microseconds.

        False, with a line in the log, for what is no signal, and when memory is full of unanswered ones.
        """
        if self.session is not None:
            signal = _in_session(signal, self.session)
        try:
            taken = self._store.add_signal(signal)
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

    def add_bar(self, bar: Bar, *, symbol: str = "") -> None:
        """A closed bar of ``symbol``, in bar order, for files and other sinks; from any thread.

        Signals of the same symbol and time that were added before it stand in its row.
        """
        self._sinks.record_bar(self.session, symbol, bar, self._of_bars.of(symbol, bar))

    def report_fill(self, signal_id: str, price: float, time: datetime | str) -> None:
        """Your order for this signal was filled: what it comes to is counted from there. From any thread.

        Waits for nothing, raises for nothing in it; what cannot be used, and an unknown id, is one warning.
        """
        self._outcomes.report_fill(signal_id, price, time)

    def report_outcome(
        self, signal_id: str, price: float, time: datetime | str, *, exit: str | None = None,
        r_net: float | None = None,
    ) -> None:  # fmt: skip
        """Your trade for this signal ended at this price, whatever bars tell. Otherwise like ``report_fill``.

        ``exit`` is ``stop``, ``target`` or ``time``; None: the price says it. R is counted from the fill,
        else from where bars had it enter, else from the signal's own price; ``r_net`` is yours, or R less the
        costs of ``llm.outcomes``.
        """
        self._outcomes.report_outcome(signal_id, price, time, exit, r_net)

    def subscribe(self, callback: Callable[[LLMAnalysis], Awaitable[Any] | Any]) -> Callable[[], None]:
        """Have ``callback`` called with each result, rated or not; returns what ends that. See LLMWorker."""
        return self.worker.subscribe(callback)

    async def rating(self, signal_id: str, timeout: float = 0.0) -> LLMAnalysis | None:
        """How the signal ended, waiting for it up to ``timeout`` seconds; None when it has not by then."""
        analysis = self._answers.get(signal_id)
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
        return self._answers.get(signal_id)

    async def drain(self, timeout: float) -> bool:
        """Wait until every signal has its end, stored and delivered; False if it takes over ``timeout`` s."""
        return await self.worker.drain(timeout)

    def statistics(self) -> dict[str, Any]:
        """Counters and states of all parts; plain values, cheap enough to ask several times a second."""
        parts = self._parts
        return {
            **self.worker.get_statistics(),
            "session": self.session,
            "refused_signals": self._refused,
            "sink_errors": dict(self._sinks.errors),
            "outcomes": self._outcomes.figures(),
            "outbox": parts.outbox.statistics() if parts is not None and parts.outbox is not None else None,
            "restarts": dict(parts.supervisor.crashes) if parts is not None else {},
        }

    @property
    def worker(self) -> LLMWorker:
        """The worker; there is one once the sidecar has started."""
        if self._parts is None or self._parts.worker is None:
            raise RuntimeError("the sidecar is not started: use `async with`, or await start()")
        return self._parts.worker

    @property
    def off_reason(self) -> str | None:
        """Why nothing is asked at all, in one line; None when the sidecar is on."""
        return self.worker.off_reason()

    # Beginning and ending

    async def start(self) -> None:
        """Build and connect every part. Does nothing when it has started; RuntimeError after ``close``."""
        if self._closed:
            raise RuntimeError("a closed sidecar cannot be started again; build a new one")
        if self._parts is not None:
            return
        self._parts = Parts(
            self.config, self._store, self._sinks, self._block, self._outcomes, session=self.session,
            adopt=self._adopt,
        )  # fmt: skip
        try:
            await self._parts.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End every part, producers before consumers. Repeating it does nothing."""
        if self._parts is not None and not self._closed:
            self._closed = True
            await self._parts.close()
        self._closed = True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _tell(self, analysis: LLMAnalysis) -> None:
        """A result has come: whoever waits for it is woken."""
        for came in self._waiting.pop(analysis.signal_id, ()):
            if not came.done():
                came.set_result(None)
        self._told(analysis)


def _database_block(block: DatabaseConfig | None, url: str | SecretStr | None) -> DatabaseConfig | None:
    """Where PostgreSQL is: a file's block, or a URL alone, which need not answer at the start."""
    if url is None:
        return block
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    if block is None:
        return load_settings(DatabaseConfig, {"url": text, "required": False}, "database_url")
    load_settings(DatabaseConfig, {"url": text}, "database_url")
    return block.model_copy(update={"url": SecretStr(text.strip())})


def _in_session(signal: Mapping[str, Any], session: str) -> Mapping[str, Any]:
    """The signal with the host's session, unless it names one."""
    try:
        data = signal["signal_data"]
        if "session_id" in data or not isinstance(data, Mapping):
            return signal
        return {**signal, "signal_data": {**data, "session_id": session}}
    except Exception:  # whatever it is, the store says what is wrong with it
        return signal
