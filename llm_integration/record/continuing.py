"""Which session a run goes on with, and what earlier runs of it left on disk."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from llm_integration.record.outbox import Leftovers
from llm_integration.record.outbox.leftovers import LeftoverDatabase
from llm_integration.record.session_store import SessionStore
from llm_integration.threads import in_thread

__all__ = ["Continued", "SessionError", "folders_of_run", "session_to_continue", "take_up_outbox"]


class SessionError(Exception):
    """A session cannot be continued; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Continued:
    """An earlier session as PostgreSQL knows it. Folders are None where an older version stored none."""

    session_id: str
    unanswered: int
    output: Path | None
    outbox: Path | None
    host: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """From what ``find_session`` returns."""
        folders = row["folders"] if isinstance(row["folders"], Mapping) else {}
        output, outbox = (folders.get(name) for name in ("output", "outbox"))
        return cls(
            row["session_id"], row["unanswered"], Path(output) if output else None,
            Path(outbox) if outbox else None, folders.get("host"),
        )  # fmt: skip


def folders_of_run(output: str | Path, outbox: Path | None) -> dict[str, str]:
    """What ``trading_sessions.folders`` says of a run: absolute paths, and the host they are on."""
    folders = {"output": str(Path(output).resolve()), "host": socket.gethostname()}
    return folders if outbox is None else {**folders, "outbox": str(outbox.resolve())}


async def session_to_continue(
    database: SessionStore,
    *,
    symbol: str | None,
    sources: Sequence[str] | None,
    simulated: bool,
    session_id: str | None = None,
) -> Continued | None:
    """The session ``session_id``, or the newest of these bars with bars to come or unanswered signals.

    None when there is nothing to continue. Raises SessionError for a named session that does not exist or
    does not fit, and DatabaseError.
    """
    if session_id is None:
        row = await database.find_unfinished_session(symbol=symbol, source=sources, simulated=simulated)
        return None if row is None else Continued.from_row(row)
    row = await database.find_session(session_id)
    if row is None:
        raise SessionError(f"there is no session {session_id!r} in this database")
    if symbol is not None and row["symbol"] not in (None, symbol):
        raise SessionError(
            f"session {session_id} is about {row['symbol']!r}, not {symbol!r}; name it with --symbol"
        )
    if row["mode"].startswith("simulated") != simulated:
        kinds = ("a simulated", "a real") if simulated is False else ("a real", "a simulated")
        raise SessionError(f"session {session_id} is {kinds[0]} one and cannot go on as {kinds[1]} one")
    return Continued.from_row(row)


async def take_up_outbox(
    found: Continued, database: LeftoverDatabase, *, here: Path | None, worker_id: str, lease_seconds: float
) -> None:
    """Store what earlier runs of the session left in an outbox that is not the folder ``here``.

    Answers that lie there are paid for; without them they would be asked for again. Raises SessionError when
    the folder is not to be had, or PostgreSQL does not take what is in it.
    """
    folder = found.outbox
    if folder is None or (here is not None and folder == await in_thread(here.resolve)):
        return
    if not await in_thread(folder.parent.is_dir):
        raise SessionError(
            f"session {found.session_id} kept its outbox in {folder} on {found.host or 'some host'}, and that"
            f" folder is not here; answers that were paid for may lie in it: go on where it is, or create"
            f" {folder.parent} empty to go on without"
        )
    leftovers = Leftovers(folder.parent, database, worker_id=worker_id, lease_seconds=lease_seconds)
    leftovers.folder = folder
    settled = await leftovers.settle()
    if settled.waiting:
        raise SessionError(
            f"{settled.waiting} entries that session {found.session_id} left in {folder} are not in"
            " PostgreSQL yet, which does not take them now; try again when it does"
        )
