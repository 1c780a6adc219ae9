"""The host's door to ``llm_integration.record``, under the names that users know."""

from llm_integration.record import (
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    EmbeddedPostgres,
    Leftovers,
    Outbox,
    SessionRecorder,
)

__all__ = [
    "DatabaseConfig",
    "DatabaseError",
    "DatabaseManager",
    "EmbeddedPostgres",
    "Leftovers",
    "Outbox",
    "SessionRecorder",
]
