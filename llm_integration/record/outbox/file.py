"""One outbox on disk: a SQLite database in WAL mode that belongs to one living process. Synchronous.

The owner holds a lock on the file beside it for as long as it lives, however it dies. A file whose lock is
free belongs to nobody, and may be emptied by whoever takes the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Change", "Name", "OutboxFile", "Row", "find_files", "put_aside"]

Name = tuple[str, str]
"""Kind and key of an entry."""
Change = Mapping[Name, bytes | None]
"""By name: the body to keep, or None to forget what there is."""

SUFFIX = ".outbox"
BUSY_SECONDS = 2.0

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key  TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, key)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# What is kept again stays in its place: the order is that of first arrival.
_KEEP = """
INSERT INTO entries (kind, key, body) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body
"""
_FORGET = "DELETE FROM entries WHERE kind = ? AND key = ?"


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as it lies in the file."""

    seq: int
    kind: str
    body: bytes


class OutboxFile:
    """The open file of one owner. Not for several threads at once. Raises OSError and sqlite3.Error."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._link = _connect(path)

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new file of this process."""
        try:
            lock = _take_lock_in_new_folder(path)
        except FileNotFoundError:  # a neighbour has just removed the empty folder
            lock = _take_lock_in_new_folder(path)
        if lock is None:
            raise FileExistsError(f"{path} belongs to another process")
        return cls._opened(path, lock)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The file of a process that is dead; None while somebody holds it, or when it is gone."""
        lock = _take_lock(path)
        if lock is None:
            return None
        if not path.exists():
            _remove(path)
            os.close(lock)
            return None
        return cls._opened(path, lock)

    @classmethod
    def _opened(cls, path: Path, lock: int) -> Self:
        try:
            return cls(path, lock)
        except BaseException:
            os.close(lock)
            raise

    def apply(self, changes: Change) -> None:
        """Keep and forget, all or nothing; on disk when this returns."""
        with self._link:  # commits, or rolls back
            for (kind, key), body in changes.items():
                if body is None:
                    self._link.execute(_FORGET, (kind, key))
                else:
                    self._link.execute(_KEEP, (kind, key, body))

    def oldest(self, limit: int) -> list[Row]:
        """The first entries, in order."""
        rows = self._link.execute("SELECT seq, kind, body FROM entries ORDER BY seq LIMIT ?", (limit,))
        return [Row(*row) for row in rows]

    def remove(self, seqs: Iterable[int]) -> None:
        """Forget entries that have arrived."""
        with self._link:
            self._link.executemany("DELETE FROM entries WHERE seq = ?", [(seq,) for seq in seqs])

    def count(self) -> dict[str, int]:
        """How many entries there are, by kind."""
        return dict(self._link.execute("SELECT kind, count(*) FROM entries GROUP BY kind"))

    def note(self, facts: Mapping[str, str]) -> None:
        """Write down facts about the owner."""
        with self._link:
            self._link.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    def facts(self) -> dict[str, str]:
        """What the owner wrote down."""
        return dict(self._link.execute("SELECT name, value FROM facts"))

    def close(self, *, remove: bool) -> None:
        """Let go of the file; ``remove`` deletes it first."""
        with contextlib.suppress(sqlite3.Error):
            self._link.close()
        if remove:
            _remove(self.path)
        os.close(self._lock)


def put_aside(path: Path) -> None:
    """Give a file that cannot be read another name, so that nobody meets it again. It must be closed."""
    path.replace(path.with_suffix(".damaged"))
    _remove(path)


def find_files(folder: Path) -> Sequence[Path]:
    """The outboxes in ``folder``, the oldest first, whoever owns them."""
    found: list[tuple[float, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):  # it may go while we look
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def _connect(path: Path) -> sqlite3.Connection:
    link = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        path.chmod(0o600)
        link.execute("PRAGMA journal_mode = WAL")
        link.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not in the kernel's memory
        link.executescript(_TABLES)
    except BaseException:
        link.close()
        raise
    return link


def _take_lock(path: Path) -> int | None:
    """The lock of ``path``, or None while another process has it."""
    name = _lock_name(path)
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == name.stat().st_ino:  # not one that was deleted meanwhile
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _take_lock_in_new_folder(path: Path) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _take_lock(path)


def _lock_name(path: Path) -> Path:
    return path.with_suffix(".lock")


def _files_of(path: Path) -> Iterator[Path]:
    yield path
    yield path.with_name(path.name + "-wal")
    yield path.with_name(path.name + "-shm")
    yield _lock_name(path)


def _remove(path: Path) -> None:
    for file in _files_of(path):
        with contextlib.suppress(OSError):
            file.unlink()
    with contextlib.suppress(OSError):  # not empty
        path.parent.rmdir()
