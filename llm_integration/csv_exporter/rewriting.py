"""Rows of a file that is being written get better versions: the whole file is replaced in one step."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.rebuild import lines_of
from llm_integration.csv_exporter.summary import draft_of

__all__ = ["rewrite"]

_SLICE = 256
"""Rows between two pauses, in which other threads get their turn."""


def rewrite(file: AppendFile[Any], better: Callable[[int, bytes], bytes], pause: Callable[[], None]) -> bool:
    """Have ``better`` say, by number and line, what each row is to be; True if one changed.

    Only then is the file replaced; every other row stays as it is, byte for byte. It blocks. Raises
    BlockingIOError while another process holds the file, and OSError; nothing has changed then.
    """
    draft = draft_of(file.path)
    changed = False
    try:
        with file.locked() as fd, draft.open("wb") as out:
            for number, line in enumerate(lines_of(fd)):
                kept = better(number, line)
                changed = changed or kept != line
                out.write(kept)
                if number % _SLICE == 0:
                    pause()
            if changed:
                out.flush()
                os.fsync(out.fileno())
                draft.chmod(os.fstat(fd).st_mode & 0o777)
                draft.replace(file.path)
    finally:
        draft.unlink(missing_ok=True)
    if changed:
        file.close()  # the one that has taken its place is opened with the next row
    return changed
