"""A CSV file that several processes append to, in whole rows, each row once, also after a kill -9.

Every batch is written under ``flock`` on the file itself, in one ``write`` on an ``O_APPEND``
descriptor. Under the lock, before writing: is this still the file of that name, what have others
appended since (their rows are learnt, so that none is repeated), and is there a last line without its
end? One that somebody half wrote who died is cut off. One that is whole but for its end gets it: a crash
may come just there, and some editors drop the last line break. No row of ours contains a line break.
Complete lines are never taken back, whatever fails: a reader, and the scan of another process, may rely
on what they have seen.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from llm_integration.csv_exporter.index import Index, Row

__all__ = ["AppendFile", "Appended"]

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
_CHUNK = 32_768
_MARK = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8, by which Excel knows that it is UTF-8."""
_LONGEST_ROW_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch: its first ``settled`` rows stand in the file, ``written`` of them by now.

    ``error`` is why the rest does not; BlockingIOError when another process holds the lock.
    """

    settled: int
    written: int
    error: OSError | None = None


class AppendFile(Generic[K]):
    """``path`` with its header line. Belongs to one thread; ``pause`` is called between slices of work.

    A new file begins with a ``byte_order_mark`` if one is wanted; one that is there stays as it is.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        index: Index[K],
        *,
        pause: Callable[[], None],
        byte_order_mark: bool = False,
    ) -> None:
        self.path = path
        self.index = index
        self.repaired = 0
        self._header = ",".join(columns).encode()
        self._mark = _MARK if byte_order_mark else b""
        self._pause = pause
        self._fd: int | None = None
        self._offset = 0
        self._unsynced = False

    def open(self) -> None:
        """Read what the file holds, repairing its end. OSError when it cannot be opened or is locked."""
        with self.locked():
            pass

    @contextmanager
    def locked(self) -> Iterator[int]:
        """The descriptor, while no other process writes. OSError as for ``open``."""
        fd = self._lock()
        try:
            yield fd
        finally:
            self._unlock(fd)

    def append(self, rows: Sequence[Row[K]]) -> Appended:
        """Write those of ``rows`` that the file does not hold yet. Never raises OSError."""
        try:
            fd = self._lock()
        except OSError as error:
            return Appended(0, 0, error)
        fresh: list[Row[K]] = []
        try:
            fresh = self.index.fresh(rows)
            self._write(fd, fresh)
        except OSError as error:
            self._settle(fd)
            return self._partly(rows, fresh, error)
        finally:
            self._unlock(fd)
        return Appended(len(rows), len(fresh))

    def sync(self) -> None:
        """Force what was written to the disk. OSError when the disk refuses."""
        if self._fd is not None and self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):
                os.close(fd)

    def _lock(self) -> int:
        try:
            return self._lock_current()
        except BlockingIOError:
            raise
        except OSError:
            self.close()  # a new descriptor is safer than one that failed
            raise

    def _lock_current(self) -> int:
        """The descriptor, locked, everything in the file learnt, its end whole."""
        for _ in range(8):
            fd = self._open() if self._fd is None else self._fd
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                if self._is_current(fd) and self._is_ours(fd):
                    self._catch_up(fd)
                    self._mend_end(fd)
                    return fd
            except BaseException:
                self._unlock(fd)
                raise
            self.close()
        raise OSError(errno.EAGAIN, "the file keeps being replaced", str(self.path))

    def _unlock(self, fd: int) -> None:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", str(self.path))
        self._fd, self._offset, self._unsynced = fd, 0, False
        self.index.clear()
        # A long file is read before the lock is taken: complete lines never change.
        if self._is_header(fd):
            self._catch_up(fd)
        return fd

    def _is_current(self, fd: int) -> bool:
        """False when the file was removed or replaced since it was opened."""
        try:
            there = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            there = None
        here = os.fstat(fd)
        if there is not None and (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev):
            return True
        if there is None:
            logger.warning(
                "%s was removed; a new one is begun (an export from PostgreSQL rebuilds it)", self.path
            )
        else:
            logger.info("%s was replaced; going on in the one that is there now", self.path)
        return False

    def _is_header(self, fd: int) -> bool:
        head = os.pread(fd, max(4_096, 2 * len(self._header)), 0)
        line, end, _ = head.partition(b"\n")
        if not end:
            return self._header.startswith(line) or (_MARK + self._header).startswith(line)
        return line.removeprefix(_MARK).rstrip(b"\r").replace(b'"', b"") == self._header

    def _is_ours(self, fd: int) -> bool:
        """True when the file begins with our columns; a different one is moved aside, not mixed with."""
        if self._is_header(fd):
            return True
        number = 1
        while (aside := self.path.with_suffix(f".other-{number}{self.path.suffix}")).exists():
            number += 1
        self.path.rename(aside)
        logger.warning("%s has other columns than this version writes; it was moved to %s", self.path, aside)
        return False

    def _catch_up(self, fd: int) -> None:
        """Learn the complete lines appended since the last time."""
        if os.fstat(fd).st_size < self._offset:  # shortened behind our back
            self._offset = 0
            self.index.clear()
        size = _CHUNK
        while data := os.pread(fd, size, self._offset):
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) < size:
                return
            size = _CHUNK if end else size * 2
            self._learn(data[:end])
            self._offset += end
            if len(data) >= _CHUNK:
                self._pause()

    def _learn(self, data: bytes) -> None:
        lines = data.decode("utf-8", "replace").split("\n")
        for line in lines[1:] if self._offset == 0 else lines:
            if line:
                self.index.learn(line)

    def _mend_end(self, fd: int) -> None:
        extra = os.fstat(fd).st_size - self._offset
        if extra <= 0:
            return
        if self._is_whole(os.pread(fd, _LONGEST_ROW_BYTES, self._offset), extra):
            os.write(fd, b"\n")
            self._catch_up(fd)
            self.repaired += 1
            logger.info("%s ended without a line break; its last row is whole and stays", self.path)
            return
        os.ftruncate(fd, self._offset)
        self.repaired += 1
        logger.info("%s ended in a half-written line; its %d bytes were cut off", self.path, extra)

    def _is_whole(self, tail: bytes, length: int) -> bool:
        """Whether the ``length`` bytes behind the last line break are a row that lacks only its end."""
        if self._offset == 0 or len(tail) != length:
            return False
        try:
            return self.index.is_whole(tail.decode().removesuffix("\r"))
        except UnicodeDecodeError:
            return False

    def _write(self, fd: int, rows: Sequence[Row[K]]) -> None:
        if not rows:
            return
        header = self._mark + self._header + b"\n" if self._offset == 0 else b""
        data = memoryview(header + b"".join([row.data for row in rows]))
        self._unsynced = True
        while data:
            data = data[os.write(fd, data) :]
        self._offset = os.lseek(fd, 0, os.SEEK_END)
        for row in rows:
            self.index.add(row.key)

    def _settle(self, fd: int) -> None:
        """After a write that broke off: learn the rows that did arrive, cut off the torn one."""
        with suppress(OSError):
            self._catch_up(fd)
            self._mend_end(fd)

    def _partly(self, rows: Sequence[Row[K]], fresh: Sequence[Row[K]], error: OSError) -> Appended:
        missing = self.index.fresh(fresh)
        settled = rows.index(missing[0]) if missing else len(rows)
        return Appended(settled, len(fresh) - len(missing), error)
