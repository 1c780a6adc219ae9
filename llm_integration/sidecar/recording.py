"""PostgreSQL as a sidecar has it: the server, the connections, the outbox, the session, bars and signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any

from pydantic import SecretStr

from llm_integration.availability import Availability
from llm_integration.config import LLMConfig
from llm_integration.record import (
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    EmbeddedPostgres,
    Leftovers,
    Outbox,
    SessionRecorder,
)
from llm_integration.sidecar.background import Background
from llm_integration.sidecar.bounds import CloseBounds
from llm_integration.sidecar.ending import Ending
from llm_integration.sidecar.sessions import HostSession, SessionEntry, SessionError
from llm_integration.threads import in_thread
from llm_integration.worker.ownership import endpoint_of

__all__ = ["Recording"]

logger = logging.getLogger(__name__)

LEFTOVERS_SECONDS = 60.0
"""Longest wait at the start for what earlier runs left in their outboxes; the rest comes in meanwhile."""
MOST_WAITING_BARS = 50_000


async def connected(
    block: DatabaseConfig, server: EmbeddedPostgres | None, *, simulated: bool, ending: Ending, others: str
) -> DatabaseManager | None:
    """A manager that has connected, or that goes on trying; None if there is no server to connect to.

    Raises DatabaseError if PostgreSQL is required. ``others`` is what messages call where results go then.
    """
    manager = None
    try:
        manager = await _manager(block, server, ending)
        manager.simulated = simulated
        ending.connections.add("the connections", lambda _: manager.close())
        await manager.connect()
    except DatabaseError as error:
        if block.required:
            raise
        logger.warning("database: %s; until it answers, results go to %s (required is false)", error, others)
    return manager


async def _manager(block: DatabaseConfig, server: EmbeddedPostgres | None, ending: Ending) -> DatabaseManager:
    if server is None:
        return DatabaseManager.from_config(block)
    ending.server.add("embedded PostgreSQL", lambda bounds: server.stop(bounds.of_server))
    return DatabaseManager.from_config(block, SecretStr(await server.start()))


class Recording:
    """Opened before anything is asked, so that answers of earlier runs are known; ended after the worker."""

    def __init__(
        self,
        manager: DatabaseManager,
        block: DatabaseConfig,
        config: LLMConfig,
        *,
        worker_id: str,
        availability: Availability,
    ) -> None:
        self.manager, self.worker_id, self.availability = manager, worker_id, availability
        self._block, self._config = block, config
        self.outbox: Outbox | None = None
        self.session: SessionEntry | None = None
        self.recorder: SessionRecorder | None = None

    async def open(self, wish: HostSession | None, ending: Ending, background: Background) -> None:
        """Bring in what earlier runs left, and enter the session.

        Raises DatabaseError if PostgreSQL is required, and SessionError for a session that cannot go on.
        """
        leftovers = await self._open_outbox(ending)
        if leftovers is not None:
            settled = await _settled(leftovers)
            if wish is not None and wish.goes_on != "no" and not settled:
                # Answers that lie there are paid for; without them they would be asked for again.
                raise SessionError(
                    f"{wish.flag} needs what earlier runs left in {leftovers.folder}, and PostgreSQL does"
                    " not take it now; try again when it does"
                )
            background.start("leftovers", leftovers.run)
        if wish is not None:
            await self._enter(wish, ending, background)

    async def _open_outbox(self, ending: Ending) -> Leftovers | None:
        """What waits for PostgreSQL is kept on disk."""
        folder = self._block.outbox_folder
        if folder is None:
            return None
        with contextlib.suppress(OSError):  # it says so itself when it is needed
            await in_thread(folder.mkdir, parents=True, exist_ok=True)
        target = self.manager.address
        outbox = self.outbox = Outbox(
            folder, target=target, worker_id=self.worker_id, max_entries=self._block.outbox_max_entries,
            endpoint=endpoint_of(self._config), simulated=self.manager.simulated,
        )  # fmt: skip
        outbox.start()
        ending.records.add("the outbox", lambda bounds: in_thread(outbox.close, bounds.session - 0.1))
        return Leftovers(
            folder, self.manager, target=target, worker_id=f"outbox:{self.worker_id}",
            lease_seconds=self._config.lease_seconds, availability=self.availability,
        )  # fmt: skip

    async def _enter(self, wish: HostSession, ending: Ending, background: Background) -> None:
        session = self.session = SessionEntry(wish, self._config, self.manager)
        ending.records.add("the session", lambda bounds: session.end(bounds.session - 0.1))
        try:
            await session.open(self.outbox.folder if self.outbox else None, worker_id=self.worker_id)
        except DatabaseError as error:
            if self._block.required:
                raise
            if session.goes_on:
                raise SessionError(
                    f"{wish.flag} needs PostgreSQL: {error}; start it, or leave {wish.flag} out"
                ) from error
            background.start("opening of the session", session.enter_later)

    def start_recorder(self, ending: Ending, background: Background, *, off_reason: str | None) -> None:
        """From now on bars, and signals of a host that stores them first, go into the tables of the session.

        With ``off_reason`` no signal is going to be asked about, and its task ends with that.
        """
        if self.session is None:
            return
        recorder = self.recorder = SessionRecorder(
            self.manager,
            self.session.session_id,
            self.session.wish.symbol or "",
            worker_id=None if off_reason else self.worker_id,
            off_reason=off_reason,
            outbox=self.outbox,
            handoff_seconds=self._block.handoff_timeout_seconds,
            availability=self.availability,
        )
        ending.stores.add("the tables", partial(self._flush, recorder))
        background.start("recorder", recorder.run)

    @property
    def room(self) -> int:
        """Bars that may be handed over before they pile up."""
        return MOST_WAITING_BARS if self.recorder is None else MOST_WAITING_BARS - self.recorder.waiting[1]

    def waiting(self) -> dict[str, Any]:
        """What PostgreSQL does not have yet, in memory and in the outbox."""
        signals, bars = self.recorder.waiting if self.recorder is not None else (0, 0)
        outbox = self.outbox.statistics() if self.outbox is not None else None
        return {"signals": signals, "bars": bars, "outbox": outbox}

    async def _flush(self, recorder: SessionRecorder, bounds: CloseBounds) -> None:
        if await recorder.flush(bounds.stores - 0.2):
            return
        kept = recorder.keep_waiting()
        signals, bars = recorder.waiting
        logger.error(
            "%d signals and %d bars did not reach PostgreSQL; %d of the signals are in the outbox for the"
            " next run, bars come again with --resume",
            signals, bars, kept,
        )  # fmt: skip


async def _settled(leftovers: Leftovers) -> bool:
    """Whether all that earlier runs left could be brought in within a minute."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEFTOVERS_SECONDS):
            return not (await leftovers.settle()).waiting
    return False
