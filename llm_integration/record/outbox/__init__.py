"""What waits for PostgreSQL, on the local disk as well, so that a process that is killed loses none of it.

``Outbox`` is this process's own file; ``Leftovers`` brings the files of dead processes into PostgreSQL.
"""

from __future__ import annotations

from llm_integration.record.outbox.entries import Entry, KeptOutcome, KeptSignal
from llm_integration.record.outbox.leftovers import Leftovers, Settled
from llm_integration.record.outbox.thread import Outbox

__all__ = ["Entry", "KeptOutcome", "KeptSignal", "Leftovers", "Outbox", "Settled"]
