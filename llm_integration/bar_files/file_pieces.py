"""The bytes of one file, piece after piece, as long as it stays the same file. Blocks on the disk."""

from __future__ import annotations

import os
import stat
from io import FileIO
from pathlib import Path

from llm_integration.errors import BarDataError
from llm_integration.one_line import one_line

__all__ = ["FilePieces", "problem_of", "shown"]

TAIL_BYTES = 256
MOST_SHOWN = 500


class FilePieces:
    """A place in the file at ``path``, which is closed between two pieces.

    The next one is read only if the file is still the same, is not shorter, and still holds the bytes that
    were read last.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._tail = b""

    def next(self, limit: int) -> bytes:
        """The next ``limit`` bytes, fewer at the end of what there is.

        Raises BarDataError for a file that cannot be read or was replaced, shortened or rewritten.
        """
        try:
            with FileIO(self._path, opener=_without_waiting) as file:
                self._check_same(file)
                file.seek(self._offset - len(self._tail))
                found = _read_fully(file, len(self._tail) + limit)
        except OSError as error:
            raise problem_of(self._path, f"cannot be read: {error.strerror or error}") from error
        if not found.startswith(self._tail):
            raise problem_of(
                self._path, "was rewritten while it was being followed; start again on the new file"
            )
        piece = found[len(self._tail) :]
        self._offset += len(piece)
        self._tail = found[-TAIL_BYTES:]
        return piece

    def _check_same(self, file: FileIO) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise problem_of(self._path, "is not a regular file")
        identity = (status.st_dev, status.st_ino)
        if self._identity not in (None, identity):
            raise problem_of(
                self._path, "was replaced by another file while it was being followed; start again"
            )
        if status.st_size < self._offset:
            raise problem_of(
                self._path, "became shorter while it was being followed; start again on the new file"
            )
        self._identity = identity


def problem_of(path: Path, text: str, line: int | None = None) -> BarDataError:
    """The error that says what is wrong with a file, or with one of its lines."""
    return BarDataError(f"{shown(path)}: {text}" if line is None else f"{shown(path)}:{line}: {text}")


def shown(path: Path) -> str:
    """A path as a message shows it: on one line, nothing that a terminal takes for a command."""
    return one_line(str(path), MOST_SHOWN)


def _without_waiting(path: str, flags: int) -> int:
    """Opening a named pipe would wait for a writer; this way it is opened, seen and refused."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read_fully(file: FileIO, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
