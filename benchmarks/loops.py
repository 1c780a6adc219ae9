"""asyncio's own event loop, or uvloop where it is installed."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["available", "factory", "run"]

T = TypeVar("T")


def available() -> list[str]:
    """The event loops that can be used here."""
    return ["asyncio", "uvloop"] if factory("uvloop") is not None else ["asyncio"]


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes a loop of that name; None for asyncio's own and for one that is not installed."""
    if name != "uvloop":
        return None
    try:
        make: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return make


def run(work: Coroutine[Any, Any, T], name: str = "asyncio") -> T:
    """``asyncio.run`` on the loop called ``name``, or on asyncio's own where there is none of that name."""
    with asyncio.Runner(loop_factory=factory(name)) as runner:
        return runner.run(work)
