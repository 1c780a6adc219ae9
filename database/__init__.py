"""PostgreSQL: the record of sessions, bars, signals, tasks and results."""

from database.config import DatabaseConfig
from database.db_manager import DatabaseManager
from database.embedded import EmbeddedPostgres
from database.errors import DatabaseError
from database.outbox import Leftovers, Outbox
from database.recorder import SessionRecorder

__all__ = [
    "DatabaseConfig",
    "DatabaseError",
    "DatabaseManager",
    "EmbeddedPostgres",
    "Leftovers",
    "Outbox",
    "SessionRecorder",
]
