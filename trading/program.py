"""A program's run and its exit status: 0 well, 1 the host failed, 2 something the user has to change."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

from llm_integration import ConfigError
from trading.errors import BarDataError, TradingError

__all__ = ["exit_status", "run_to_the_end"]

logger = logging.getLogger("tradent")

REFUSALS = (ConfigError, TradingError, BarDataError)


def exit_status(name: str, work: Callable[[], int]) -> int:
    """What ``work`` returns; what it raises is one line on stderr, behind ``name``, and no traceback."""
    try:
        return work()
    except REFUSALS as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        logger.debug("the run failed", exc_info=True)
        sys.stderr.write(f"{name}: {type(error).__name__}: {error} (--log-level DEBUG shows where)\n")
        return 1


def run_to_the_end(work: Awaitable[int]) -> int:
    """``work`` on a loop of its own, whose end wants a thread; where none can be started it does without."""
    status: list[int] = []

    async def run() -> None:
        status.append(await work)

    try:
        asyncio.run(run())
    except RuntimeError:
        if not status:
            raise
        logger.debug("the event loop could not end in order", exc_info=True)
    return status[0]
