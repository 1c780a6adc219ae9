"""The program with its embedded server in a folder of the test, and with a host's callback that misbehaves.

python -m tests.chaos.altered_program FOLDER CALLBACK ARGUMENTS_OF_THE_PROGRAM...
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import main_with_database
from llm_integration.domain import LLMAnalysis
from llm_integration.record import embedded
from tests.chaos.program import Program

__all__ = ["AlteredProgram"]


@dataclass(slots=True)
class AlteredProgram(Program):
    """``base`` is the folder of the embedded server, ``callback`` one of ``CALLBACKS``."""

    base: Path = Path("unused")
    callback: str = "good"

    def _command(self) -> list[str]:
        python, _script, *arguments = Program._command(self)
        return [python, "-m", __name__, str(self.base), self.callback, *arguments]


async def _block_the_loop(_system: object, _analysis: LLMAnalysis) -> None:
    time.sleep(3_600)


async def _never_end(_system: object, _analysis: LLMAnalysis) -> None:
    await asyncio.sleep(3_600)


async def _refuse_to_end(_system: object, _analysis: LLMAnalysis) -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3_600)


def _block_a_thread(analysis: LLMAnalysis) -> None:
    time.sleep(3_600)


class _Blocked(main_with_database.TradingSystem):
    """One whose host has a plain callback that never returns."""

    async def setup_components(self) -> None:
        await super().setup_components()
        assert self.worker is not None
        self.worker.subscribe(_block_a_thread)


CALLBACKS = {"blocks the loop": _block_the_loop, "never ends": _never_end, "refuses to end": _refuse_to_end}


def main(base: str, callback: str, *arguments: str) -> int:
    """Run the program; the exit status."""
    main_with_database.default_base = embedded.default_base = lambda: Path(base)  # type: ignore[attr-defined]
    if callback == "blocks a thread":
        main_with_database.TradingSystem = _Blocked  # type: ignore[misc]
    elif callback in CALLBACKS:
        main_with_database.TradingSystem._on_analysis = CALLBACKS[callback]  # type: ignore[method-assign,assignment]
    return main_with_database.main(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
