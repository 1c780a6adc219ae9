"""Outbox: what waits for PostgreSQL, kept on disk by a thread of its own."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from llm_integration.domain import Claim, LLMAnalysis, Signal
from llm_integration.record.outbox.entries import Entry, KeptOutcome, KeptSignal, encode
from llm_integration.record.outbox.file import SUFFIX, Name, OutboxFile
from llm_integration.threads import BackgroundThread, in_thread

__all__ = ["Outbox", "folder_for"]

logger = logging.getLogger(__name__)

CHANGES_PER_COMMIT = 500
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 2.0


def folder_for(base: Path, target: str) -> Path:
    """Where the outboxes for one database lie: what was meant for one must not be poured into another."""
    return base / hashlib.sha256(target.encode("utf-8", "replace")).hexdigest()[:16]


class Outbox:
    """Keeps signals and outcomes on disk for as long as PostgreSQL does not have them.

    ``keep_*`` and ``forget_*`` may be called from any thread, cost microseconds and never wait; a thread of
    the outbox writes them, many per commit. ``start`` starts it, at set-up, else the first entry does; where
    none can be started what waits is in memory only, and ``close`` writes it itself. The file is created
    with the first entry and removed when it is closed empty; what it still holds then is brought in by the
    next process (``Leftovers``). An entry that comes after ``close`` is written all the same, and a process
    that ends without it closes the outbox. Bounded: at ``max_entries`` further ones are held in memory by
    their owners only, are counted and announced once. ``endpoint`` and ``simulated`` are what the signals are
    meant for, as ``TaskStore`` has it.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        target: str = "",
        worker_id: str | None = None,
        max_entries: int = 100_000,
        endpoint: str | None = None,
        simulated: bool | None = None,
    ) -> None:
        self.folder = folder_for(Path(folder), target)
        facts = {"target": target, "worker_id": worker_id or ""}
        if endpoint is not None:
            facts["endpoint"] = endpoint
        if simulated is not None:
            facts["simulated"] = str(simulated).lower()
        self._file = OwnFile(self.folder, facts)
        self._max = max_entries
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._held: dict[Name, Entry] = {}
        self._changes: dict[Name, Entry | None] = {}
        self._writing = False
        self._thread = BackgroundThread(
            "outbox", self._work, meanwhile="what waits for PostgreSQL is in memory only"
        )
        self._closing = False
        self._done = False
        self._process = os.getpid()
        self._full = False
        self.left_out = 0

    @property
    def path(self) -> Path:
        """The file, which is there while something waits."""
        return self._file.path

    @property
    def error(self) -> str | None:
        """Why the file cannot be written at present."""
        return self._file.error

    @property
    def held(self) -> int:
        """Entries that wait for PostgreSQL."""
        return len(self._held)

    def statistics(self) -> dict[str, object]:
        """How many signals and results wait, and what is wrong with the outbox."""
        with self._lock:
            signals = sum(kind == "signal" for kind, _ in self._held)
            return {
                "signals": signals,
                "results": len(self._held) - signals,
                "left_out": self.left_out,
                "error": self.error or self._thread.error,
            }

    def start(self) -> None:
        """Start the thread now, where a limit on threads shows early. Never raises."""
        if not self._closing:
            self._ensure_thread()

    def keep_signal(self, signal: Signal, *, off_reason: str | None = None) -> None:
        """Keep a signal until ``forget_signal``."""
        self._keep(KeptSignal(signal, off_reason))

    def forget_signal(self, signal: Signal) -> None:
        """PostgreSQL has the signal, or refuses it for good."""
        self._forget(KeptSignal(signal).name)

    def keep_outcome(self, signal: Signal, analysis: LLMAnalysis, claim: Claim | None = None) -> None:
        """Keep a finished analysis until ``forget_outcome``."""
        self._keep(KeptOutcome(signal, analysis, claim))

    def forget_outcome(self, signal: Signal) -> None:
        """PostgreSQL has the analysis, or refuses it for good."""
        self._forget(("outcome", KeptSignal(signal).name[1]))

    async def settled(self, timeout: float) -> bool:
        """Wait until everything so far is on disk; False if that takes longer than ``timeout`` seconds."""
        return await in_thread(self._wait_written, timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what is outstanding and let go of the file. Blocks for at most ``timeout`` seconds.

        Where no thread can be started it writes here, and takes as long as the disk does.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            waiting = bool(self._changes) or self._file.open
        if waiting and not self._thread.ensure(now=True):
            self._work()
        if self._thread.join(timeout):
            atexit.unregister(self._close_at_exit)
        else:
            logger.error("%s: the disk does not answer; %d entries may be lost", self.path, self.held)

    def _close_at_exit(self) -> None:
        if os.getpid() == self._process:  # a forked child has the threads and files of nobody
            self.close()

    # Any thread

    def _keep(self, entry: Entry) -> None:
        name = entry.name
        with self._changed:
            if name not in self._held and len(self._held) >= self._max:
                self._leave_out()
                return
            self._held[name] = entry
            self._change(name, entry)

    def _leave_out(self) -> None:
        self.left_out += 1
        if not self._full:
            self._full = True
            logger.error(
                "the outbox is full: %d entries wait for PostgreSQL (outbox_max_entries); further ones wait"
                " in memory only and are lost if this process dies",
                self._max,
            )

    def _forget(self, name: Name) -> None:
        with self._changed:
            if self._held.pop(name, None) is None:
                return
            if self._full and len(self._held) < self._max * 0.9:
                self._full = False
                logger.warning("the outbox has room again")
            self._change(name, None)

    def _change(self, name: Name, entry: Entry | None) -> None:
        self._changes.pop(name, None)
        self._changes[name] = entry
        self._ensure_thread()
        self._changed.notify_all()

    def _ensure_thread(self) -> None:
        """A thread that writes; after ``close`` another one, for what comes late."""
        if self._done:
            self._done = not self._thread.start_anew()
        elif self._thread.running or not self._thread.ensure():
            return
        atexit.register(self._close_at_exit)

    def _wait_written(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._changes and not self._writing, timeout)

    # The thread

    def _work(self) -> None:
        self._done = False
        while True:
            while self._take_turn():
                pass
            written = self.error is None
            self._file.leave()
            with self._changed:
                if not (self._changes and written):  # else something came meanwhile
                    self._done = True
                    return

    def _take_turn(self) -> bool:
        """Wait for changes and write some; False when the outbox is closed and nothing is left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes or self._closing)
            batch = dict(list(self._changes.items())[:CHANGES_PER_COMMIT])
            for name in batch:
                del self._changes[name]
            self._writing = bool(batch)
        written = not batch or self._file.write(batch)
        with self._changed:
            self._writing = False
            if not written:
                self._take_back(batch)
            self._changed.notify_all()
            if self._closing:
                return bool(self._changes) and written
            if not written:
                self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
        return True

    def _take_back(self, batch: Mapping[Name, Entry | None]) -> None:
        """What was not written is due again; for a new file that is everything that waits."""
        if not self._file.open:
            self._changes = dict(self._held)
        else:
            self._changes = {**batch, **self._changes}  # the later wish for a name wins


class OwnFile:
    """The file of this process in ``folder``: made with the first entry, begun anew when it is lost.

    For one thread. Nothing here raises: ``error`` says why it cannot be written.
    """

    def __init__(self, folder: Path, facts: Mapping[str, str]) -> None:
        self._folder = folder
        self._facts = facts
        self._file: OutboxFile | None = None
        self.path = self._new_path()
        self.error: str | None = None

    def _new_path(self) -> Path:
        return self._folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}"

    @property
    def open(self) -> bool:
        """True while there is one."""
        return self._file is not None

    def write(self, batch: Mapping[Name, Entry | None]) -> bool:
        """Keep and forget what ``batch`` says; True once it is on disk."""
        bodies = {name: None if entry is None else encode(entry) for name, entry in batch.items()}
        try:
            if self._file is not None and not self.path.exists():
                self._begin_again("it was deleted")
                return False
            if self._file is None:
                if not any(bodies.values()):  # to be forgotten, by a file that was left to the next run
                    return True
                if self.path.exists():
                    self.path = self._new_path()
                self._file = OutboxFile.create(self.path)
                self._file.note(self._facts)
            self._file.apply(bodies)
        except (OSError, sqlite3.Error) as error:
            self._failed(error)
            return False
        if self.error is not None:
            logger.warning("%s can be written again", self.path)
            self.error = None
        return True

    def _failed(self, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        if self.error is None:
            logger.error(
                "%s cannot be written (%s): what waits for PostgreSQL is in memory only and lost if this"
                " process dies",
                self.path,
                message,
            )
        self.error = message
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._begin_again(message)  # not full or locked, but damaged

    def _begin_again(self, reason: str) -> None:
        """The file is no good any more: everything that waits goes into a new one."""
        logger.warning("%s: %s; a new outbox is begun", self.path, reason)
        if self._file is not None:
            self._file.close(remove=False)
        self._file = None
        self.path = self._new_path()

    def leave(self) -> None:
        """Let go of the file; it stays for the next run if something waits in it."""
        file = self._file
        if file is None:
            return
        with contextlib.suppress(OSError, sqlite3.Error):
            count = file.count()
            file.close(remove=not count)
            if count:
                logger.warning(
                    "%d signal(s) and %d result(s) wait for PostgreSQL in %s; the next run stores them",
                    count.get("signal", 0), count.get("outcome", 0), file.path,
                )  # fmt: skip
        self._file = None
