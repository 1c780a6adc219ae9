"""The files that ``worth`` writes: its page, its outcomes, and the ledger of looks."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llm_integration.commands.errors import CommandError, UsageError
from llm_integration.commands.terminal import clean
from llm_integration.csv_exporter.outcomes import OUTCOME_COLUMNS, outcome_row
from llm_integration.worth.outcome import Outcome, OutcomeRecord
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.trials import Entry, Look, entry_from_json, entry_json

__all__ = ["Ledger", "open_ledger", "outcomes_csv", "replace_file"]

MOST_BYTES = 64 << 20


def replace_file(path: Path, text: str) -> None:
    """Write ``path`` in one step. Raises CommandError."""
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            Path(draft).chmod(0o644)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CommandError(f"{clean(path)}: cannot be written: {error.strerror or error}") from error


def outcomes_csv(outcomes: Sequence[Outcome], rules: ResolverRules) -> str:
    """``llm_outcomes.csv`` as a run writes it, open ones too: a row for each signal."""
    described = rules.as_json()
    rows = [outcome_row(OutcomeRecord(one, described)) for one in outcomes]
    return "".join([",".join(OUTCOME_COLUMNS) + "\n", *rows])


class Ledger:
    """The looks so far, from a file of JSON lines; empty without a file."""

    def __init__(self, path: Path | None, entries: dict[str, Entry]) -> None:
        self._path = path
        self._entries = entries

    @property
    def entries(self) -> list[Entry]:
        """In the order in which they were made."""
        return list(self._entries.values())

    def find(self, look: Look) -> Entry | None:
        """What this look came to the last time."""
        return self._entries.get(look.key)

    def save(self, entry: Entry) -> None:
        """Add a look, or what a repeated one came to."""
        self._entries[entry.look.key] = entry
        if self._path is not None:
            replace_file(self._path, "".join(json.dumps(entry_json(one)) + "\n" for one in self.entries))


@contextmanager
def open_ledger(path: Path | None) -> Iterator[Ledger]:
    """The ledger, for this process alone meanwhile. Raises UsageError for a file that is none."""
    if path is None:
        yield Ledger(None, {})
        return
    try:
        with Path(f"{path}.lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Ledger(path, _read(path))
    except BlockingIOError:
        raise CommandError(f"{clean(path)}: another process has the ledger; try again") from None
    except OSError as error:
        raise UsageError(f"{clean(path)}: {error.strerror or error}") from error


def _read(path: Path) -> dict[str, Entry]:
    if not path.exists():
        return {}
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(f"{clean(path)}: larger than {MOST_BYTES >> 20} MiB, which no ledger is")
    entries: dict[str, Entry] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                entry = entry_from_json(json.loads(line))
            except ValueError as error:
                raise UsageError(f"{clean(path)}:{number}: {clean(error, 200)}") from None
            entries[entry.look.key] = entry
    except UnicodeDecodeError:
        raise UsageError(f"{clean(path)}: not UTF-8 text") from None
    return entries
