"""OpenRouterSimulator: an HTTP server on loopback that behaves like OpenRouter."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import string
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from llm_integration.simulator.batches import BATCH_CUT, BATCHES, BatchReading, reading_of
from llm_integration.simulator.catalogue import DEFAULT_MODELS, DEFAULT_RETIRED, Catalogue, Model
from llm_integration.simulator.completion_faults import COMPLETIONS
from llm_integration.simulator.content_faults import CONTENTS, CUT_BY_LENGTH
from llm_integration.simulator.endpoints import API_ROOT, SideEndpoints
from llm_integration.simulator.error_bodies import plain_error
from llm_integration.simulator.error_faults import ERRORS
from llm_integration.simulator.exchange import Exchange
from llm_integration.simulator.faults import Fault
from llm_integration.simulator.ledger import Account, Ledger
from llm_integration.simulator.request_log import ReceivedRequest, RequestLog
from llm_integration.simulator.scripting import SCRIPT_HEADER, Script
from llm_integration.simulator.streaming import STREAM_FAULTS, STREAM_TYPE, stream_events
from llm_integration.simulator.validation import Ask, RefusedError, check_key, parse_body, read_ask
from llm_integration.simulator.wire_faults import COMMON_HEADERS, WIRES, WireLine, finished

__all__ = ["SIMULATED_KEY", "OpenRouterSimulator"]

logger = logging.getLogger(__name__)

SIMULATED_KEY = "sk-or-v1-simulated"
"""The key that the simulator accepts unless told otherwise; worth nothing anywhere else."""

MAX_BODY_BYTES = 2 * 1_048_576
SHUTDOWN_SECONDS = 0.5
ALPHANUMERIC = string.ascii_letters + string.digits


class OpenRouterSimulator:
    """A local stand-in for OpenRouter, for demos, tests and benchmarks.

    What it serves says so: model and provider names begin with ``simulated/`` (unless
    ``simulated_prefix`` is off). Its ratings follow the rule published in ``simulator/rule.py``. What goes
    wrong is chosen for each valid chat request, first match wins: the header ``X-Simulate: name``, a marker
    ``[[simulate:name]]`` in the prompt, the next step given to ``script``, the probabilities in ``faults``.
    ``FAULTS`` and, for replies about several signals, ``BATCH_FAULTS`` list every name; ``name:key=value``
    changes a fault's parameter.

    ``latency_seconds`` is a fixed delay or a (low, high) range before every chat answer. ``keys`` are the
    accepted API keys, None for any. ``models`` and ``retired_models`` replace the catalogue; the first model
    is the default. Free models are limited per key as on the real service. ``credit_usd`` is each key's
    balance. ``pad_interval_seconds`` lies between two pieces of padding, ``hang_seconds`` bounds every fault
    that would last for ever. ``clock`` gives epoch seconds, ``monotonic`` the arrival times. With the same
    ``seed`` the same requests in the same order meet the same faults, delays and generation ids.

    ``requests`` holds the latest ``log_size`` requests, ``counters`` how often what happened:
    ``chat_requests``, ``refused_<status>``, and each behaviour by name, ``ok`` among them.

    Raises ValueError for an unknown fault or a value out of range.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        latency_seconds: float | tuple[float, float] = 0.0,
        keys: Collection[str] | None = frozenset({SIMULATED_KEY}),
        models: Iterable[Model] | None = None,
        retired_models: Collection[str] = DEFAULT_RETIRED,
        faults: Mapping[str, float] | None = None,
        free_requests_per_minute: int = 20,
        free_requests_per_day: int = 50,
        credit_usd: float | Decimal = 1_000_000,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        pad_interval_seconds: float = 0.5,
        hang_seconds: float = 300.0,
        simulated_prefix: bool = True,
        log_size: int = 1_000,
    ) -> None:
        self._ids, dice, self._lags = (random.Random(f"{seed}/{use}") for use in ("ids", "dice", "lags"))
        self._latency = _latency_range(latency_seconds)
        self._keys = None if keys is None else frozenset(keys)
        self._catalogue = Catalogue(DEFAULT_MODELS if models is None else models, retired_models)
        self._script = Script(faults or {}, dice.random)
        if not math.isfinite(credit_usd):
            raise ValueError(f"credit_usd must be a finite number, not {credit_usd!r}")
        self._ledger = Ledger(Decimal(credit_usd), free_requests_per_minute, free_requests_per_day, clock)
        self._log = RequestLog(log_size, monotonic)
        self._clock, self._sleep = clock, sleep
        self._pad_interval, self._hang = pad_interval_seconds, hang_seconds
        self._prefixed = simulated_prefix
        self._runner: web.AppRunner | None = None
        self._root = ""

    @property
    def requests(self) -> deque[ReceivedRequest]:
        """The latest requests, oldest first, their keys taken out."""
        return self._log.requests

    @property
    def counters(self) -> Counter[str]:
        """How often what happened since the simulator was made."""
        return self._log.counters

    @property
    def base_url(self) -> str:
        """What ``OPENROUTER_BASE_URL`` must be. Raises RuntimeError before the first ``start``."""
        if not self._root:
            raise RuntimeError("the simulator has not been started")
        return self._root + API_ROOT

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on ``host``; port 0 takes a free one. Raises OSError when that is impossible."""
        if self._runner is not None:
            raise RuntimeError("the simulator runs already")
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(f"{API_ROOT}/chat/completions", self._chat)
        app.router.add_routes(self._side_endpoints().routes())
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS
        )
        self._runner = runner
        try:
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
        except BaseException:
            self._runner = None
            await runner.cleanup()
            raise
        shown = f"[{host}]" if ":" in host else host
        self._root = f"http://{shown}:{runner.addresses[0][1]}"
        logger.info("simulated OpenRouter listening at %s", self.base_url)

    async def stop(self) -> None:
        """Cut every connection at once and stop listening; harmless when not running."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def script(self, *steps: str | Fault) -> None:
        """Append what shall happen to the next chat requests, one step each; ``"ok"`` is an ordinary answer.

        Raises ValueError for a name that is not in ``FAULTS``; then none of the steps is taken.
        """
        self._script.append(*steps)

    def clear_script(self) -> None:
        """Forget the steps that have not happened yet."""
        self._script.clear()

    async def wait_for_requests(self, count: int) -> None:
        """Return once ``count`` chat requests have arrived since the simulator was made."""
        await self._log.wait_for(count)

    def _side_endpoints(self) -> SideEndpoints:
        return SideEndpoints(
            self._catalogue,
            self._ledger,
            self._log,
            keys=self._keys,
            clock=self._clock,
            prefixed=self._prefixed,
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        arrived_at = self._log.now()
        line = self._line(request)
        body: dict[str, Any] | None = None
        fault: Fault | None = None
        authorized = False
        try:
            account = self._ledger.account(check_key(request.headers.get("Authorization"), self._keys))
            authorized = True
            body = parse_body(await _read(request))
            ask = read_ask(body, self._catalogue)
            self._ledger.admit(account, ask)
            fault = self._behaviour(request, ask)
        except RefusedError as refusal:
            self.counters[f"refused_{refusal.answer.status}"] += 1
            return finished(refusal.answer, line.headers)
        finally:
            self._log.add(
                request, arrived_at, body=body, authorized=authorized, fault=fault.name if fault else None
            )
            self._log.count_chat()
        if self._latency is not None:
            await self._sleep(self._lags.uniform(*self._latency))
        return await self._respond(line, self._exchange(ask, line, fault), fault.name, account)

    def _behaviour(self, request: web.Request, ask: Ask) -> Fault:
        try:
            return self._script.choose(request.headers.get(SCRIPT_HEADER), ask.prompt)
        except ValueError as error:
            raise RefusedError(plain_error(400, f"simulator: {error}")) from None

    async def _respond(
        self, line: WireLine, exchange: Exchange, fault: str, account: Account
    ) -> web.StreamResponse:
        self.counters[fault] += 1
        if fault in WIRES:
            return await WIRES[fault][1](exchange, line)
        if fault in ERRORS:
            return finished(ERRORS[fault][1](exchange), line.headers)
        body = _completion(exchange, fault)
        self._ledger.book(account, body)
        if not exchange.stream:
            return finished(exchange.answer(body), line.headers)
        return await _stream(line, body, fault)

    def _line(self, request: web.Request) -> WireLine:
        generation_id = f"gen-{int(self._clock())}-{''.join(self._ids.choices(ALPHANUMERIC, k=20))}"
        return WireLine(
            request,
            self._sleep,
            self._pad_interval,
            self._hang,
            generation_id,
            {**COMMON_HEADERS, "X-Generation-Id": generation_id},
        )

    def _exchange(self, ask: Ask, line: WireLine, fault: Fault) -> Exchange:
        return Exchange(
            asked=ask.asked,
            model=ask.model,
            prompt=ask.prompt,
            reading=reading_of(ask.prompt),
            generation_id=line.generation_id,
            now=self._clock(),
            base_url=self.base_url,
            max_tokens=ask.max_tokens,
            effort=ask.effort,
            stream=ask.stream,
            prefixed=self._prefixed,
            params=fault.params,
        )


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RefusedError(plain_error(413, "Request payload too large")) from None


def _completion(exchange: Exchange, name: str) -> Any:
    """The body of a 200: the shape called ``name``, or the ordinary one."""
    if name in COMPLETIONS:
        return COMPLETIONS[name][1](exchange)
    if name in BATCHES and isinstance(exchange.reading, BatchReading):
        content: object = BATCHES[name][1](exchange.reading)
    elif name in CONTENTS:
        content = CONTENTS[name][1](exchange.reading)
    else:
        return exchange.success()
    if name in CUT_BY_LENGTH | BATCH_CUT:
        return exchange.completion(content, finish_reason="length", native=exchange.model.native_length)
    return exchange.completion(content)


async def _stream(line: WireLine, body: Any, fault: str) -> web.StreamResponse:
    headers = {**line.headers, "Content-Type": STREAM_TYPE, "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(line.request)
    style = STREAM_FAULTS[fault][1] if fault in STREAM_FAULTS else None
    for event in stream_events(body, style):
        await response.write(event)
        await asyncio.sleep(0)
    return response


def _latency_range(latency: float | tuple[float, float]) -> tuple[float, float] | None:
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"latency_seconds: 0 <= low <= high expected, not {latency!r}")
    return (low, high) if high > 0 else None
