"""What ends a command early. The message is one line for the person at the terminal."""

from __future__ import annotations

from typing import ClassVar

__all__ = ["CommandError", "UsageError"]


class CommandError(Exception):
    """The command was right, and failed; exit status 1."""

    status: ClassVar[int] = 1


class UsageError(CommandError):
    """The user has to change something first; exit status 2."""

    status: ClassVar[int] = 2
