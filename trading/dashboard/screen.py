"""The dashboard on a terminal, and its picture in a file.

Two things keep the trading loop from feeling it. Frames are drawn and written by a thread of their own, so a
slow or stopped terminal stops only that thread. And while the dashboard is on, the interpreter hands its lock
over after 0.2 milliseconds instead of 5, so that the loop need not wait for a frame half drawn.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console

from trading.dashboard.progress import Ticker
from trading.dashboard.state import DashboardState
from trading.dashboard.view import dashboard_view
from trading.stop_bounds import STOP

__all__ = ["Dashboard", "export_svg", "restore_terminal", "terminal_available"]

logger = logging.getLogger(__name__)

LOCK_HANDOVER_SECONDS = 0.0002
WEB_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
LEAVE_SCREEN = "\x1b[?1049l\x1b[?25h\x1b[0m"


class Dashboard:
    """Context manager that shows ``state()`` on a terminal while the trading loop runs.

    ``state`` is called on the event loop, ``refreshes_per_second`` times a second, and should take
    microseconds. Leaving gives the terminal back as it was, whatever happened, within a second even if the
    terminal takes no more output, and prints the last frame below. Log handlers that write to the same
    terminal should be away meanwhile; see ``RecentMessages``.
    """

    def __init__(
        self,
        state: Callable[[], DashboardState],
        *,
        refreshes_per_second: float = 4.0,
        console: Console | None = None,
    ) -> None:
        self._source = state
        self._console = console
        self._interval = 1 / refreshes_per_second
        self._state = DashboardState()
        self._ticker = Ticker(self._interval, self._sample)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="dashboard", daemon=True)
        self._handover = sys.getswitchinterval()

    def __enter__(self) -> Self:
        self._handover = sys.getswitchinterval()
        sys.setswitchinterval(LOCK_HANDOVER_SECONDS)
        self._ticker.start()
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            logger.error(
                "the dashboard cannot be shown, no thread can be started (%s); trading goes on", error
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._ticker.run_action()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(STOP.screen)
        sys.setswitchinterval(self._handover)

    @property
    def state(self) -> DashboardState:
        """The snapshot shown last."""
        return self._state

    def export_svg(self, path: str | os.PathLike[str], *, width: int = 100, height: int = 30) -> None:
        """Write a picture of what is shown to ``path``; see ``export_svg``."""
        export_svg(self._state, path, width=width, height=height)

    def _sample(self) -> None:
        self._state = self._source()

    def _draw(self) -> None:
        try:
            console = self._console or Console(file=_tolerant(sys.stdout))
            self._draw_frames(console)
            console.print(dashboard_view(self._state, console, height=None))
        except Exception:
            logger.exception("the dashboard cannot be drawn; trading goes on without it")

    def _draw_frames(self, console: Console) -> None:
        drawn: object = None
        with console.screen(hide_cursor=True) as screen:
            while True:
                state, size = self._state, console.size
                if (state, size) != drawn:
                    screen.update(dashboard_view(state, console, height=size.height))
                drawn = (state, size)
                if self._closing.wait(self._interval):
                    return


def _tolerant(stream: TextIO) -> TextIO:
    """The same terminal, but a character it cannot encode becomes a question mark instead of an error."""
    return open(stream.fileno(), "w", encoding=stream.encoding, errors="replace", closefd=False)


def terminal_available(stream: TextIO | None = None) -> bool:
    """Whether a dashboard can be shown: standard output is a terminal that can move its cursor."""
    output = stream or sys.stdout
    return output.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def restore_terminal(stream: TextIO | None = None) -> None:
    """Leave the dashboard's screen and show the cursor: for a way out that skips ``Dashboard.__exit__``."""
    output = stream or sys.stdout
    if output.isatty():
        output.write(LEAVE_SCREEN)
        output.flush()


def export_svg(
    state: DashboardState, path: str | os.PathLike[str], *, width: int = 100, height: int = 30
) -> None:
    """Write the dashboard, as a terminal of that size would show it, to an SVG file.

    The file replaces an older one at once and refers to nothing outside of itself.
    """
    console = Console(
        file=io.StringIO(), record=True, width=width, height=height, force_terminal=True,
        color_system="truecolor", legacy_windows=False, _environ={},
    )  # fmt: skip
    console.print(dashboard_view(state, console, height=height))
    picture = console.export_svg(title="Tradent", unique_id="tradent")
    fonts = picture.count("@font-face {", 0, picture.find("</style>"))
    _replace(Path(path), WEB_FONT.sub("", picture, count=fonts))


def _replace(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
