"""CommandDatabase: what the commands of a shell ask of PostgreSQL, beside all that DatabaseManager does."""

from __future__ import annotations

from database.command_reports import CommandReports
from database.command_signals import StoredSignals
from database.db_manager import DatabaseManager
from database.retry import RetryStore

__all__ = ["CommandDatabase"]


class CommandDatabase(DatabaseManager, CommandReports, StoredSignals, RetryStore):
    """A DatabaseManager with the reports of the commands. Not for a trading loop: reports are large."""
