"""What waits for PostgreSQL, on the local disk as well, so that a process that is killed loses none of it.

``Outbox`` is this process's own file; ``Leftovers`` brings the files of dead processes into PostgreSQL.
"""

from __future__ import annotations

from database.outbox.entries import Entry, KeptOutcome, KeptSignal
from database.outbox.leftovers import Leftovers, Settled
from database.outbox.thread import Outbox

__all__ = ["Entry", "KeptOutcome", "KeptSignal", "Leftovers", "Outbox", "Settled"]
