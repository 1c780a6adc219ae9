"""What the program writes to its log: no text from outside commands the terminal or forges a line."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["OneLine", "configure_logging"]


def configure_logging(level: str, *, quiet: bool) -> None:
    """Log lines to stderr; under a dashboard only to a file beside the results."""
    handler: logging.Handler = logging.NullHandler() if quiet else logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class OneLine(logging.Formatter):
    """Under this format no text can start a new line or reach the terminal as a control sequence."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        return _visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's own name
        """A traceback keeps its lines, indented so that none can pass for a line of the log."""
        return "\n".join(f"    {_visible(line)}" for line in super().formatException(ei).splitlines())

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  logging's own name
        """Like a traceback."""
        return "\n".join(f"    {_visible(line)}" for line in super().formatStack(stack_info).splitlines())


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\t" else "?" for char in text)
