"""What the simulator was asked: the latest requests, counters, and waiting for the next ones."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

__all__ = ["ReceivedRequest", "RequestLog"]

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
REDACTED = "<redacted>"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it arrived, the key taken out.

    ``body`` is the parsed JSON of a chat request, None for a broken or missing one. ``arrived_at`` is
    monotonic seconds. ``authorized`` says whether a valid key came with it. ``fault`` is the behaviour it
    met (``ok`` for an ordinary answer), None when the request was refused before.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    arrived_at: float
    authorized: bool
    fault: str | None


class RequestLog:
    """Keeps the latest ``size`` requests and counts all of them."""

    def __init__(self, size: int, monotonic: Callable[[], float]) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=size)
        self.counters: Counter[str] = Counter()
        self._monotonic = monotonic
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Monotonic seconds."""
        return self._monotonic()

    def add(
        self,
        request: web.Request,
        arrived_at: float,
        *,
        body: dict[str, Any] | None = None,
        authorized: bool = False,
        fault: str | None = None,
    ) -> None:
        """Note a request, without its secrets."""
        headers = {
            name: REDACTED if name.lower() in SECRET_HEADERS else value
            for name, value in request.headers.items()
        }
        self.requests.append(
            ReceivedRequest(request.method, request.path_qs, headers, body, arrived_at, authorized, fault)
        )

    def count_chat(self) -> None:
        """Count a chat request and wake whoever waited for it."""
        self.counters["chat_requests"] += 1
        if self._waiting:
            arrived = self.counters["chat_requests"]
            for count, future in self._waiting:
                if count <= arrived and not future.done():
                    future.set_result(None)
            self._waiting = [pair for pair in self._waiting if not pair[1].done()]

    async def wait_for(self, count: int) -> None:
        """Return once ``count`` chat requests have been counted."""
        if self.counters["chat_requests"] < count:
            arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((count, arrival))
            await arrival
