"""CommandDatabase: what the commands of a shell ask of PostgreSQL, beside all that DatabaseManager does."""

from __future__ import annotations

from llm_integration.record.command_reports import CommandReports
from llm_integration.record.command_signals import StoredSignals
from llm_integration.record.database_manager import DatabaseManager
from llm_integration.record.retry import RetryStore

__all__ = ["CommandDatabase"]


class CommandDatabase(DatabaseManager, CommandReports, StoredSignals, RetryStore):
    """A DatabaseManager with the reports of the commands. Not for a trading loop: reports are large."""
