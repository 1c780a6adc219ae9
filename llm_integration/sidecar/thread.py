"""SidecarThread: the sidecar for hosts without an event loop, run by a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from llm_integration.config import LLMConfig
from llm_integration.domain import Bar, LLMAnalysis
from llm_integration.sidecar.bounds import CLOSE
from llm_integration.sidecar.core import Sidecar
from llm_integration.sidecar.verdicts import Verdict, Verdicts, VerdictState, verdict_of

__all__ = ["SidecarThread"]

logger = logging.getLogger(__name__)

NOT_TAKEN = Verdict(VerdictState.FAILED, None, "it was not taken; the log says why")
EXIT_SECONDS = 5.0
"""How long the end of a process that has not closed it waits for what was read to be written."""


class SidecarThread:
    """Starts itself; every method may be called from any thread, and only ``wait`` and ``close`` ever wait.

    ::

        sidecar = SidecarThread("config.json")
        sidecar.submit({"signal_id": "ES-1", "signal_data": {...}})
        if sidecar.allows("ES-1", min_rating=3, otherwise=True):
            ...
        sidecar.close(10)

    ``config`` is an LLMConfig, or the path of a configuration file whose ``llm`` and ``database`` blocks are
    read; ``options`` are those of ``Sidecar``. Wrong settings raise ConfigError here. What goes wrong later
    is logged and stands in the verdicts: they are ``off``, with the reason, while nothing is asked at all.
    """

    def __init__(self, config: LLMConfig | str | Path | None = None, **options: Any) -> None:
        options["told"] = self._tell
        if isinstance(config, (str, Path)):
            self._sidecar = Sidecar.from_config(config, **options)
        else:
            self._sidecar = Sidecar(config, **options)
        self._verdicts = Verdicts()
        self._off: Verdict | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="llm-sidecar", daemon=True)
        self._start()

    @property
    def config(self) -> LLMConfig:
        """The settings."""
        return self._sidecar.config

    def submit(self, signal: Mapping[str, Any]) -> bool:
        """Hand a signal over, in microseconds; its verdict is ``pending`` then. See Sidecar.add_signal.

        False, and the verdict ``failed``, for a signal that is not taken.
        """
        taken = not self._closing and self._sidecar.add_signal(signal)
        signal_id = signal.get("signal_id") if isinstance(signal, Mapping) else None
        if isinstance(signal_id, str):
            self._verdicts.submitted(signal_id)
            if self._off is not None:
                self._verdicts.settle(signal_id, self._off)
            elif not taken and self._verdicts.get(signal_id).state is VerdictState.PENDING:
                self._verdicts.settle(signal_id, NOT_TAKEN)
        return taken

    def add_bar(self, bar: Bar, *, symbol: str = "") -> None:
        """A closed bar, in bar order. See Sidecar.add_bar."""
        self._sidecar.add_bar(bar, symbol=symbol)

    def report_fill(self, signal_id: str, price: float, time: datetime | str) -> None:
        """Your order for this signal was filled. See Sidecar.report_fill."""
        self._sidecar.report_fill(signal_id, price, time)

    def report_outcome(
        self, signal_id: str, price: float, time: datetime | str, *, exit: str | None = None,
        r_net: float | None = None,
    ) -> None:  # fmt: skip
        """Your trade for this signal ended. See Sidecar.report_outcome."""
        self._sidecar.report_outcome(signal_id, price, time, exit=exit, r_net=r_net)

    def verdict(self, signal_id: str) -> Verdict:
        """What became of the signal so far. O(1); never waits, never raises."""
        return self._verdicts.get(signal_id)

    def wait(self, signal_id: str, seconds: float) -> Verdict:
        """The verdict, waited for up to ``seconds``; still ``pending`` if it has not come by then."""
        return self._verdicts.wait(signal_id, seconds)

    def allows(self, signal_id: str, min_rating: int = 3, otherwise: bool = True) -> bool:
        """True if the signal is rated ``min_rating`` or better; ``otherwise`` while there is no rating."""
        rating = self.verdict(signal_id).rating
        return otherwise if rating is None else rating >= min_rating

    def statistics(self) -> dict[str, Any]:
        """Counters and states of all parts; ``state`` is ``starting`` or ``off`` while there are none."""
        try:
            return self._sidecar.statistics()
        except RuntimeError:
            return {"state": "off" if self._off else "starting", "reason": self._off and self._off.reason}

    def wait_until_started(self, seconds: float) -> bool:
        """Wait until it is connected, or is known to be off; False if that takes longer."""
        return self._ready.wait(seconds)

    def close(self, seconds: float = CLOSE.total) -> bool:
        """End everything within ``seconds``; True when it has ended. The unanswered wait for the next run."""
        self._closing = True
        atexit.unregister(self._leave)
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    # Its own thread

    def _start(self) -> None:
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            self._turn_off(f"no thread can be started ({error}); raise the limit on processes or memory")
        else:
            atexit.register(self._leave)

    def _leave(self) -> None:
        self.close(EXIT_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._turn_off(str(error) or type(error).__name__, error)
        finally:
            self._verdicts.settle_pending(Verdict(VerdictState.OFF, None, "the sidecar was closed"))
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._closing:
            await self._sidecar.close()
            return
        async with self._sidecar:
            if reason := self._sidecar.off_reason:
                self._turn_off(reason)
            self._ready.set()
            await self._stop.wait()

    def _turn_off(self, reason: str, error: Exception | None = None) -> None:
        """Nothing is going to be asked: whoever waits is told, and so is whoever comes."""
        if error is not None:
            logger.error("the sidecar is off: %s", reason)
            logger.debug("its end", exc_info=error)
        self._off = Verdict(VerdictState.OFF, None, reason)
        self._verdicts.settle_pending(self._off)
        self._ready.set()

    def _tell(self, analysis: LLMAnalysis) -> None:
        self._verdicts.settle(analysis.signal_id, self._off or verdict_of(analysis))
