"""What the fault proxy knows of one connection, and the plan for the bytes of one direction."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass
from enum import Enum

__all__ = ["BOTH", "Connection", "Cut", "Direction", "Plan"]

FLUSH_SECONDS = 0.5


class Direction(Enum):
    """Which way bytes go."""

    UP = "up"
    """From the client to the target."""
    DOWN = "down"
    """From the target to the client."""


BOTH = (Direction.UP, Direction.DOWN)


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to the bytes of one direction at present."""

    latency: float = 0.0
    jitter: float = 0.0
    drip: float | None = None
    cut_after: int | None = None
    black_hole: bool = False

    def delay(self, rng: random.Random) -> float:
        """Seconds the next piece is held back."""
        return (self.drip or 0.0) + self.latency + (rng.random() * self.jitter if self.jitter else 0.0)


class Connection:
    """One client, its connection to the target if there is one, and what passed."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.target: asyncio.StreamWriter | None = None
        self.passed = dict.fromkeys(BOTH, 0)
        self.lost = dict.fromkeys(BOTH, False)
        """Whether bytes were swallowed: that direction stays dead, for a stream cannot go on with a hole."""

    def sink(self, way: Direction) -> asyncio.StreamWriter:
        """Where the bytes of this direction go."""
        if way is Direction.DOWN:
            return self.client
        assert self.target is not None
        return self.target

    def end(self, *, abruptly: bool) -> None:
        """Close both sides; ``abruptly`` with a RST instead of a FIN."""
        for writer in self._writers():
            if abruptly:
                _no_linger(writer)
                writer.transport.abort()
            else:
                writer.close()

    async def ended(self) -> None:
        """Wait until what was passed on has left, briefly."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                for writer in self._writers():
                    await writer.wait_closed()

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [self.client] if self.target is None else [self.client, self.target]


class Cut(Exception):  # noqa: N818  it is no error: the plan said so
    """As many bytes as the plan allows have passed."""


def _no_linger(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
