"""Which questions ``worth`` was asked about the ratings of this database, by whomever: each once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_integration.record.connections import Connections
from llm_integration.record.rows import Row
from llm_integration.record.statements import load

__all__ = ["LookStore"]

_STATEMENTS = load("looks.sql")
ANNOUNCE_LOOK = _STATEMENTS["ANNOUNCE_LOOK"]
LOOKS = _STATEMENTS["LOOKS"]
SETTLE_LOOK = _STATEMENTS["SETTLE_LOOK"]


class LookStore:
    """The ledger of looks in PostgreSQL. Raises DatabaseError."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def announce(self, key: str, look: Mapping[str, str], *, simulated: bool) -> list[Row]:
        """Write a look down, unless it stands there; all looks at ratings of the same kind, in their order.

        Looks at what the simulator said are counted apart from those at real ratings.
        """
        await self._connections.fetch("writing a look down", ANNOUNCE_LOOK, key, simulated, dict(look))
        return list(await self._connections.fetch("reading looks", LOOKS, simulated))

    async def settle(self, values: Mapping[str, Any]) -> None:
        """What a look came to: ``p``, ``resolved``, ``level``, ``sentence``, ``judged_at`` of ``key``."""
        names = ("key", "p", "resolved", "level", "sentence", "judged_at")
        await self._connections.fetch("writing a look down", SETTLE_LOOK, *[values[name] for name in names])
