"""What was learnt about a server's dialect: by model, for seven days, on disk beside the list of models."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llm_integration.providers.dialect import PLAIN, Dialect, is_change, kind_of
from llm_integration.threads import in_thread

__all__ = ["LearntDialects", "dialect_file"]

logger = logging.getLogger(__name__)

KEEP_SECONDS = 7 * 86_400.0
"""A server learns too: what it refused a week ago is tried again."""
AHEAD_SECONDS = 3_600.0
"""What was learnt later than so long from now was written under a wrong clock, and is forgotten."""
MOST_FILE_BYTES = 1_048_576
MOST_MODELS = 1_000
MOST_CHANGES = 20
IO_SECONDS = 2.0


def dialect_file(folder: Path, base_url: str) -> Path:
    """Where the dialects of the server at ``base_url`` are kept."""
    digest = blake2b(base_url.encode(), digest_size=6).hexdigest()
    return folder / f"dialects-{digest}.json"


class LearntDialects:
    """The dialects of the models at ``base_url``.

    ``of`` answers at once from memory, which is empty until ``load``; ``keep`` writes down what is new. Two
    processes may share a ``folder``: what one has learnt the other finds at its next start. ``folder`` None
    keeps nothing on disk. ``wall_clock`` in epoch seconds.
    """

    def __init__(
        self, base_url: str, *, folder: Path | None = None, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._file = None if folder is None else dialect_file(folder, self._base_url)
        self._wall_clock = wall_clock
        self._learnt: dict[str, dict[str, float]] = {}
        self._dialects: dict[str, Dialect] = {}
        self._oldest = float("inf")
        self._failed = False
        self.unsaved = False

    def of(self, model: str) -> Dialect:
        """How ``model`` is asked."""
        if not self._dialects:
            return PLAIN
        if self._wall_clock() - self._oldest > KEEP_SECONDS:
            self._rebuild()
        return self._dialects.get(model, PLAIN)

    def learn(self, model: str, changes: Iterable[str]) -> tuple[str, ...]:
        """Ask ``model`` with ``changes`` from now on; those that were not known yet."""
        learnt = self._learnt.get(model, {})
        new = tuple(each for each in changes if each not in learnt)
        room = model in self._learnt or len(self._learnt) < MOST_MODELS
        if new and room and len(learnt) + len(new) <= MOST_CHANGES:
            now = self._wall_clock()
            _put(learnt, dict.fromkeys(new, now))
            self._learnt[model], self._dialects[model] = learnt, _dialect(learnt)
            self._oldest = min(self._oldest, now)
            self.unsaved = self._file is not None
        return new

    def learnt(self) -> Mapping[str, Mapping[str, float]]:
        """By model each change and when it was learnt, in epoch seconds."""
        self._rebuild()
        return self._learnt

    def load_now(self) -> None:
        """Read what is on disk; a damaged or foreign file is as good as none. Blocks."""
        if self._file is not None:
            self._take(_read(self._file, self._base_url))

    async def load(self) -> None:
        """``load_now`` in a thread, within two seconds; without it everything is learnt anew."""
        if self._file is None:
            return
        try:
            async with asyncio.timeout(IO_SECONDS):
                found = await in_thread(_read, self._file, self._base_url)
        except (TimeoutError, RuntimeError) as error:  # RuntimeError: no thread can be started
            self._tell("read", error)
        else:
            self._take(found)

    async def keep(self) -> None:
        """Write down what is not on disk yet, in a thread; a failure is told once and costs nothing else."""
        while self._file is not None and self.unsaved:
            self.unsaved = False
            learnt = {model: dict(changes) for model, changes in self._learnt.items()}
            try:
                await in_thread(_write, self._file, self._base_url, learnt, self._wall_clock())
            except (OSError, RuntimeError) as error:
                self._tell("kept", error)

    def _take(self, found: Mapping[str, Mapping[str, float]]) -> None:
        for model, changes in found.items():
            _put(self._learnt.setdefault(model, {}), changes)
        self._rebuild()

    def _rebuild(self) -> None:
        """Forget what is too old, and make dialects of the rest."""
        self._learnt = _still_known(self._learnt, self._wall_clock())
        self._dialects = {model: _dialect(changes) for model, changes in self._learnt.items()}
        times = [moment for changes in self._learnt.values() for moment in changes.values()]
        self._oldest = min(times, default=float("inf"))

    def _tell(self, what: str, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            logger.warning("what was learnt about the server cannot be %s in %s: %s", what, self._file, error)


def _dialect(learnt: Mapping[str, float]) -> Dialect:
    return PLAIN.with_changes(sorted(learnt, key=learnt.__getitem__))


def _put(learnt: dict[str, float], changes: Mapping[str, float]) -> None:
    """Add ``changes``; of two of one kind the later stays."""
    for change, moment in changes.items():
        rivals = [each for each in learnt if kind_of(each) == kind_of(change)]
        if all(learnt[each] <= moment for each in rivals):
            for each in rivals:
                del learnt[each]
            learnt[change] = moment


def _still_known(learnt: Mapping[str, Mapping[str, float]], now: float) -> dict[str, dict[str, float]]:
    kept = {
        model: {
            change: moment
            for change, moment in changes.items()
            if -AHEAD_SECONDS <= now - moment <= KEEP_SECONDS
        }
        for model, changes in learnt.items()
    }
    return {model: changes for model, changes in kept.items() if changes}


def _read(file: Path, base_url: str) -> dict[str, dict[str, float]]:
    try:
        if file.stat().st_size > MOST_FILE_BYTES:
            return {}
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict) or data.get("base_url") != base_url:
        return {}
    models = data.get("models")
    return _well_formed(models) if isinstance(models, dict) else {}


def _well_formed(models: dict[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for model, changes in list(models.items())[:MOST_MODELS]:
        if isinstance(changes, dict):
            known = {
                change: float(moment)
                for change, moment in list(changes.items())[:MOST_CHANGES]
                if is_change(change) and isinstance(moment, (int, float)) and 0 <= moment < 1e12
            }
            if known:
                found[model] = known
    return found


def _write(file: Path, base_url: str, learnt: dict[str, dict[str, float]], now: float) -> None:
    """Put ``learnt`` to what another process may have written, atomically. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # between reading and replacing nobody else writes
        together = _still_known(_read(file, base_url), now)
        for model, changes in learnt.items():
            _put(together.setdefault(model, {}), changes)
        _replace(file, json.dumps({"base_url": base_url, "models": together}, indent=1))
    finally:
        os.close(folder)


def _replace(file: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(f"{text}\n")
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
