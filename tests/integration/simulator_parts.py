"""A plain HTTP client for the simulator's tests; it knows nothing of the sidecar's own client."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator

__all__ = ["FLASH", "PROMPT", "Reply", "StoppedSleep", "Talk", "talking"]

FLASH = "google/gemini-2.5-flash"
PROMPT = "Symbol: EURUSD\nSignal type: BUY\nRisk/reward ratio: 2.00\nEfficiency ratio (10): 0.45\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """One response, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)

    @property
    def text(self) -> str:
        """What the model said."""
        return str(self.json["choices"][0]["message"]["content"])

    @property
    def error(self) -> dict[str, Any]:
        """The error object."""
        return dict(self.json["error"])


class Talk:
    """Requests to one simulator, with a valid key unless told otherwise."""

    def __init__(self, session: aiohttp.ClientSession, simulator: OpenRouterSimulator) -> None:
        self._session = session
        self._simulator = simulator

    async def chat(
        self,
        prompt: str = PROMPT,
        *,
        key: str | None = SIMULATED_KEY,
        simulate: str | None = None,
        raw: bytes | None = None,
        **fields: Any,
    ) -> Reply:
        """POST /chat/completions; ``fields`` go into the body, ``raw`` replaces it."""
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        if simulate is not None:
            headers["X-Simulate"] = simulate
        body = {"model": FLASH, "messages": [{"role": "user", "content": prompt}], **fields}
        data = json.dumps(body).encode() if raw is None else raw
        url = f"{self._simulator.base_url}/chat/completions"
        async with self._session.post(
            url, data=io.BytesIO(data), headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, *, key: str | None = SIMULATED_KEY) -> Reply:
        """GET a path below the base URL."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with self._session.get(self._simulator.base_url + path, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())


class StoppedSleep:
    """A sleep that takes no time but gives way to others, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[tuple[OpenRouterSimulator, Talk]]:
    """A running simulator and a client for it."""
    async with OpenRouterSimulator(**options) as simulator, aiohttp.ClientSession() as session:
        yield simulator, Talk(session, simulator)
