"""PostgreSQL: the record of sessions, bars, signals, tasks and results.

``database_manager``  DatabaseManager: everything that is asked of PostgreSQL, through one bounded pool
``connections``, ``pool``, ``connector``, ``session``, ``database_url``, ``tls``  how it is reached
``migrations``, ``sql/``, ``rights``, ``rehearsal``  its tables, and whether they can be had
``task_store``, ``result_store``, ``tasks_by_hand``, ``session_store``, ``opinions``  what is stored
``reports``   what is read; ``statements``, ``*queries`` the SQL from ``sql/``, ``batches`` how much at a time
``memory``    MemoryRecord: the same claims, leases and fences in dictionaries
``outcomes``, ``looks``  what became of signals, and what was asked about that
``ledger``    what was spent, and the sums that several processes share
``recorder``  a session's bars and signals on their way, without holding up the bar loop
``outbox``    what waits for PostgreSQL, on disk
``embedded``, ``cluster``, ``cluster_server``, ``placement``, ``postmaster``, ``programs``, ``watch``  a
server of our own
``command_*``, ``retry``, ``continuing``  what commands and resumed runs ask
"""

from llm_integration.record.config import DatabaseConfig
from llm_integration.record.database_manager import DatabaseManager
from llm_integration.record.embedded import EmbeddedPostgres
from llm_integration.record.errors import DatabaseError
from llm_integration.record.outbox import Leftovers, Outbox
from llm_integration.record.recorder import SessionRecorder

__all__ = [
    "DatabaseConfig",
    "DatabaseError",
    "DatabaseManager",
    "EmbeddedPostgres",
    "Leftovers",
    "Outbox",
    "SessionRecorder",
]
