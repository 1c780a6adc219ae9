"""What a host does in one go, as PostgreSQL knows it: entered, gone on with, ended."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from llm_integration.config import LLMConfig
from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.record import DatabaseError, DatabaseManager
from llm_integration.record.continuing import (
    Continued,
    SessionError,
    folders_of_run,
    session_to_continue,
    take_up_outbox,
)
from llm_integration.record.session_store import SessionStatus
from llm_integration.worker.ownership import endpoint_of

__all__ = ["HostSession", "SessionEntry", "SessionError"]

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class HostSession:
    """What a host does in one go, for ``trading_sessions``, and whether it goes on with an earlier session.

    ``goes_on`` with the ``newest`` session of the same ``symbol`` and ``source`` that has bars to come or
    unanswered signals (there is none: ``session_id`` begins), or with the one ``named`` by ``session_id``;
    ``sources`` are further spellings of the source. ``mode`` begins with ``simulated`` or not, as the model
    does (None: one of ``simulated`` and ``live``). ``flag`` is what messages call the wish to go on. Files
    then go to the folder that the earlier run used, unless ``own_folder``.

    ``resumable`` is for a host that goes on by having all its bars again from the first: it hands signals
    over by ``record_signal``, so that no bar is stored before its signal, and rows of bars that wait for an
    answer at the end are left for the next run.
    """

    session_id: str
    symbol: str | None = None
    source: str | None = None
    sources: tuple[str, ...] = ()
    mode: str | None = None
    goes_on: Literal["no", "newest", "named"] = "no"
    flag: str = "going on"
    own_folder: bool = False
    resumable: bool = False


class SessionEntry:
    """One session in PostgreSQL, from ``find`` and ``enter`` to ``end``."""

    def __init__(self, wish: HostSession, config: LLMConfig, manager: DatabaseManager) -> None:
        self.wish, self.config = wish, config
        self.session_id = wish.session_id
        self.continued: Continued | None = None
        """The earlier session that goes on."""
        self.resume_after: datetime | None = None
        """Time of the last bar that an earlier run has stored."""
        self.earlier: list[tuple[Signal, LLMAnalysis]] = []
        """How signals of the earlier runs ended."""
        self.entered = False
        self.unanswered: int | None = None
        """Signals without an end; None before ``end``, or when PostgreSQL does not say."""
        self.completed = self.bars_ended = False
        """What the host says of its end: nothing is left to do, and every bar was traded."""
        self._manager = manager
        self._folders: dict[str, str] = {}

    @property
    def goes_on(self) -> bool:
        """True if an earlier session is asked for."""
        return self.wish.goes_on != "no"

    async def open(self, outbox: Path | None, *, worker_id: str) -> None:
        """Find the session that goes on, take up what it left, and enter it.

        Raises SessionError for one that cannot go on, and DatabaseError.
        """
        if self.goes_on:
            await self._go_on(outbox, worker_id)
        self._folders = folders_of_run(self.config.output_folder, outbox)
        await self._enter()

    async def _go_on(self, outbox: Path | None, worker_id: str) -> None:
        wish = self.wish
        sources = [*wish.sources, *([wish.source] if wish.source is not None else [])]
        found = await session_to_continue(
            self._manager,
            symbol=wish.symbol,
            sources=sources or None,
            simulated=bool(self._manager.simulated),
            session_id=wish.session_id if wish.goes_on == "named" else None,
        )
        if found is None:
            logger.info("no session of %s to go on with; a new one starts", wish.symbol or "this source")
            return
        await take_up_outbox(
            found, self._manager, here=outbox, worker_id=f"outbox:{worker_id}",
            lease_seconds=self.config.lease_seconds,
        )  # fmt: skip
        self.continued, self.session_id = found, found.session_id
        if found.output is not None and not wish.own_folder:
            self.config = self.config.model_copy(update={"csv_output_directory": str(found.output)})
        if wish.symbol is not None:
            self.resume_after = await self._manager.last_bar_time(self.session_id, wish.symbol)
        self.earlier = await self._manager.session_analyses(self.session_id)
        logger.info(
            "session %s goes on after the bar of %s; %d of its signals are unanswered; files: %s",
            self.session_id, self.resume_after, found.unanswered, self.config.output_folder,
        )  # fmt: skip

    async def _enter(self) -> None:
        await self._manager.start_session(
            self.session_id,
            symbol=self.wish.symbol,
            mode=self.wish.mode or ("simulated" if self._manager.simulated else "live"),
            source=self.wish.source,
            config=self.config.model_dump(mode="json"),
            endpoint=endpoint_of(self.config),
            folders=self._folders,
        )
        self.entered = True

    async def enter_later(self) -> None:
        """PostgreSQL was away at the start: the session is entered once it answers."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await self._enter()
            except DatabaseError as error:
                logger.debug("the session is not entered yet: %s", error)
            else:
                logger.info("PostgreSQL answers; session %s is entered", self.session_id)
                return

    async def look_for_late_answers(self) -> list[tuple[Signal, LLMAnalysis]]:
        """How its signals ended by now, whoever has answered them; none when PostgreSQL does not say."""
        try:
            return await self._manager.session_analyses(self.session_id)
        except DatabaseError as error:
            logger.warning("answers of other processes are not in the files: %s", error)
            return []

    async def end(self, seconds: float) -> None:
        """Note that and how it ended, in two attempts within ``seconds``."""
        if not self.entered:
            return
        status: SessionStatus = "completed" if self.completed else "stopped"
        for attempt in (1, 2):
            try:
                async with asyncio.timeout(seconds / 2):
                    self.unanswered = await self._manager.end_session(
                        self.session_id, status, feed_ended=self.bars_ended
                    )
                    return
            except (DatabaseError, TimeoutError) as error:
                if attempt == 2:
                    logger.warning("the session is not marked as %s: %s", status, error or "no answer")
