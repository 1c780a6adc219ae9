"""The seams between the sidecar and what a host may replace, as Protocols: any object of the shape will do.

Each has a suite in ``tests/contracts`` that every implementation can be run against.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Protocol

from llm_integration.calls import (
    ChatRequest,
    Failed,
    ModelInfo,
    Profile,
    RawReply,
    Refusal,
    Reply,
    WireRequest,
)
from llm_integration.domain import Bar, LLMAnalysis, Signal

__all__ = ["Provider", "Sink"]


class Sink(Protocol):
    """Where bars and finished analyses go; ``LLMCSVExporter`` is one.

    Every call comes in the thread of the sidecar's event loop or of the host, returns at once, and keeps
    blocking work for a thread of its own. What it raises is logged, counted and costs nobody else anything.
    """

    def start(self) -> None:
        """Get ready; called again it does nothing."""
        ...

    def record_bar(
        self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None
    ) -> object:
        """One closed bar, in bar order within its session and symbol, with the signal that it brought."""
        ...

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> object:
        """How one signal ended; each signal once."""
        ...

    def close(self, timeout: float = 10.0) -> object:
        """Write what waits and let go, within ``timeout`` seconds. Called in a thread; it may block."""
        ...


class Provider(Protocol):
    """How one kind of server is asked and what its answers mean; ``providers.Compatible`` is one.

    Limits, retries, deadlines, budgets and the connection are the client's. Everything here is called in its
    event loop and returns at once; nothing raises for what a server sends. Subclass it: what a simple server
    has no need of is answered here.
    """

    profile: Profile

    def encode(self, request: ChatRequest) -> WireRequest:
        """``request`` in the server's words."""
        ...

    def decode(self, response: RawReply) -> Reply | Failed | Generator[None, None, Reply | Failed]:
        """What ``response`` is worth: a usable reply, or the error it stands for, whatever its status says.

        What takes longer than half a millisecond is done in steps, each in a turn of the loop of its own.
        """
        ...

    def read_models(
        self, body: bytes, *, between: Callable[[], object] = lambda: None
    ) -> Mapping[str, ModelInfo]:
        """By id the models in the answer to ``GET`` of ``profile.models_path``, with their prices.

        Called in a thread; ``between`` after each model. Raises ValueError if there is no list in it.
        """
        ...

    def adapt(self, sent: WireRequest, refusal: Refusal, *, bounded: bool) -> tuple[str, ...] | None:
        """Ask differently from now on, because the server refused a field of ``sent``; None if nothing helps.

        What is new about it is returned, each as the end of a sentence that begins with the model's name; the
        request is encoded anew and sent again at once. ``bounded``: the longest reply must stay bounded.
        """
        return None

    def answered(self, sent: WireRequest) -> None:
        """``sent``, which had ``changes``, got its reply: they are right."""
        return

    async def start(self) -> None:
        """Get ready; awaited once before the first request, and by it."""
        return

    async def close(self) -> None:
        """Let go; cut off when it takes longer than a moment."""
        return
