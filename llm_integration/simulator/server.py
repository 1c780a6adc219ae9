"""OpenRouterSimulator: an HTTP server on loopback that behaves like OpenRouter."""

from __future__ import annotations

import asyncio
import logging
import random
import string
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from llm_integration.simulator import accounts
from llm_integration.simulator.catalogue import (
    DEFAULT_MODELS,
    DEFAULT_RETIRED,
    SIMULATED_PREFIX,
    Catalogue,
    Model,
    RetiredModelError,
    UnknownModelError,
)
from llm_integration.simulator.completion_faults import COMPLETIONS
from llm_integration.simulator.content_faults import CONTENTS, CUT_BY_LENGTH
from llm_integration.simulator.error_faults import ERRORS, PER_DAY, PER_MINUTE, plain_error, quota_error
from llm_integration.simulator.exchange import Answer, Exchange, estimate_tokens
from llm_integration.simulator.faults import OK, Fault
from llm_integration.simulator.limits import Account
from llm_integration.simulator.rule import rate
from llm_integration.simulator.streaming import STREAM_TYPE, stream_events
from llm_integration.simulator.validation import Ask, RefusedError, check_key, parse_body, read_ask
from llm_integration.simulator.wire_faults import WIRES, Line, finished

__all__ = ["SIMULATED_KEY", "OpenRouterSimulator", "ReceivedRequest"]

logger = logging.getLogger(__name__)

SIMULATED_KEY = "sk-or-v1-simulated"
"""The key that the simulator accepts unless told otherwise; worth nothing anywhere else."""

SCRIPT_HEADER = "X-Simulate"
MARKER, MARKER_END = "[[simulate:", "]]"
MAX_BODY_BYTES = 4 * 1_048_576
MAX_ACCOUNTS = 10_000
MAX_GENERATIONS = 1_000
GENERATION_DELAY_SECONDS = 0.5
ALPHANUMERIC = string.ascii_letters + string.digits
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
REDACTED = "<redacted>"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it arrived, the key taken out.

    ``body`` is the parsed JSON, None for a request without one or with a broken one. ``arrived_at`` is
    monotonic seconds. ``authorized`` says whether a valid key came with it. ``fault`` is the scripted
    behaviour it met, None when the request was refused before.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    arrived_at: float
    authorized: bool
    fault: str | None


Step = str | Fault
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpenRouterSimulator:
    """A local stand-in for OpenRouter, for demos, tests and benchmarks.

    What it serves says so: model and provider names begin with ``simulated/`` (unless
    ``simulated_prefix`` is off). Its ratings follow the rule published in ``simulator/rule.py``. What goes
    wrong is chosen for each chat request, first match wins: the header ``X-Simulate: name``, a marker
    ``[[simulate:name]]`` in the prompt, the next step given to ``script``, the probabilities in ``faults``.
    ``FAULTS`` lists every name.

    ``latency_seconds`` is a fixed delay or a (low, high) range before every chat answer. ``keys`` are the
    accepted API keys, None for any. ``models`` and ``retired_models`` replace the catalogue. Free models
    are limited as on the real service. ``credit_usd`` is each key's balance. ``hang_seconds`` bounds every
    fault that would last for ever. ``clock`` gives epoch seconds, ``monotonic`` the arrival times. The
    same ``seed`` and the same requests in the same order bring the same answers.

    ``requests`` holds the latest ``log_size`` requests, ``counters`` how often what happened.
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
        credit_usd: float = 1_000_000.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        pad_interval_seconds: float = 0.5,
        hang_seconds: float = 300.0,
        simulated_prefix: bool = True,
        log_size: int = 1_000,
    ) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=log_size)
        self.counters: Counter[str] = Counter()
        self._ids, self._dice, self._lags = (random.Random(f"{seed}/{use}") for use in ("ids", "dice", "lag"))
        self._latency = latency_range(latency_seconds)
        self._keys = None if keys is None else frozenset(keys)
        self._catalogue = Catalogue(DEFAULT_MODELS if models is None else models, retired_models)
        self._odds = _odds(faults or {})
        self._free_limits = (free_requests_per_minute, free_requests_per_day)
        self._credit = Decimal(str(credit_usd))
        self._clock, self._monotonic, self._sleep = clock, monotonic, sleep
        self._pad_interval, self._hang = pad_interval_seconds, hang_seconds
        self._prefixed = simulated_prefix
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._generations: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
        self._steps: deque[Fault] = deque()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._runner: web.AppRunner | None = None
        self._root = ""

    # Life ---------------------------------------------------------------------------------------------
    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on ``host``; port 0 takes a free one. Raises OSError when the port is taken."""
        if self._runner is not None:
            raise RuntimeError("the simulator runs already")
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        bound = runner.addresses[0][1]
        self._root = f"http://{f'[{host}]' if ':' in host else host}:{bound}"

    async def stop(self) -> None:
        """Cut every connection at once and stop listening; harmless when not running."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for connection in list(runner.server.connections if runner.server else ()):
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

    @property
    def base_url(self) -> str:
        """What ``OPENROUTER_BASE_URL`` must be. Raises RuntimeError before ``start``."""
        if not self._root:
            raise RuntimeError("the simulator has not been started")
        return f"{self._root}/api/v1"

    # Script -------------------------------------------------------------------------------------------
    def script(self, *steps: Step) -> None:
        """Append what shall happen to the next chat requests, one step each; ``"ok"`` is an ordinary answer.

        Raises ValueError for a name that is not in ``FAULTS``.
        """
        self._steps.extend([step if isinstance(step, Fault) else Fault.parse(step) for step in steps])

    def clear_script(self) -> None:
        """Forget the steps that have not happened yet."""
        self._steps.clear()

    async def wait_for_requests(self, count: int) -> None:
        """Return once ``count`` chat requests have arrived since the start."""
        if self.counters["chat_requests"] < count:
            arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((count, arrival))
            await arrival

    def _choose(self, request: web.Request, prompt: str) -> Fault:
        named = request.headers.get(SCRIPT_HEADER) or _marked(prompt)
        if named:
            return Fault.parse(named)
        if self._steps:
            return self._steps.popleft()
        if self._odds:
            roll = self._dice.random()
            return next((fault for bound, fault in self._odds if roll < bound), PLAIN)
        return PLAIN

    # Chat ---------------------------------------------------------------------------------------------
    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._count_arrival()
        headers, generation_id = self._new_headers()
        fault: Fault | None = None
        body: dict[str, Any] | None = None
        authorized = False
        try:
            key = check_key(request.headers.get("Authorization"), self._keys)
            authorized = True
            body = parse_body(await _read(request))
            ask = read_ask(body, self._catalogue)
            account = self._account(key)
            self._check_credit(account, ask)
            self._check_free(account, ask)
            try:
                fault = self._choose(request, ask.prompt)
            except ValueError as error:
                raise RefusedError(plain_error(400, f"simulator: {error}")) from None
        except RefusedError as refusal:
            self.counters[f"refused_{refusal.answer.status}"] += 1
            return finished(refusal.answer, headers)
        finally:
            self._log(request, body, authorized, fault.name if fault else None)
        exchange = self._exchange(ask, generation_id, fault)
        if self._latency is not None:
            await self._sleep(self._lags.uniform(*self._latency))
        return await self._respond(request, exchange, fault, ask.stream, account, headers)

    async def _respond(
        self,
        request: web.Request,
        exchange: Exchange,
        fault: Fault,
        stream: bool,
        account: Account,
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        self.counters[fault.name] += 1
        if fault.name in WIRES:
            line = Line(request, self._sleep, self._monotonic, self._pad_interval, self._hang, headers)
            return await WIRES[fault.name][1](exchange, line)
        if fault.name in ERRORS:
            return finished(ERRORS[fault.name][1](exchange), headers)
        body = _completion(exchange, fault.name)
        self._book(account, body)
        if stream:
            return await self._stream(request, body, headers)
        return finished(exchange.answer(body), headers)

    async def _stream(
        self, request: web.Request, body: Any, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={**headers, "Content-Type": STREAM_TYPE, "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        for event in stream_events(body):
            await response.write(event)
        return response

    def _exchange(self, ask: Ask, generation_id: str, fault: Fault) -> Exchange:
        return Exchange(
            asked=ask.asked,
            model=ask.model,
            prompt=ask.prompt,
            reading=rate(ask.prompt),
            generation_id=generation_id,
            now=self._clock(),
            base_url=self.base_url,
            max_tokens=ask.max_tokens,
            effort=ask.effort,
            prefixed=self._prefixed,
            params=fault.params,
        )

    def _new_headers(self) -> tuple[dict[str, str], str]:
        generation_id = f"gen-{int(self._clock())}-{''.join(self._ids.choices(ALPHANUMERIC, k=20))}"
        return {**COMMON_HEADERS, "X-Generation-Id": generation_id}, generation_id

    # Money and limits ---------------------------------------------------------------------------------
    def _account(self, key: str) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(*self._free_limits)
            if len(self._accounts) > MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
        return account

    def _check_credit(self, account: Account, ask: Ask) -> None:
        """402 when the highest possible cost of the request is more than the balance."""
        balance = self._credit - account.spent
        tokens_out = ask.max_tokens or ask.model.max_completion_tokens
        prompt_cost, completion_cost = ask.model.cost(estimate_tokens(ask.prompt), tokens_out)
        if balance < 0 or balance - prompt_cost - completion_cost < 0:
            raise RefusedError(_unaffordable(balance, prompt_cost, tokens_out, ask.model))

    def _check_free(self, account: Account, ask: Ask) -> None:
        quota = account.take_free(self._clock()) if ask.model.free else None
        if quota is not None:
            text = PER_DAY if quota.per_day else PER_MINUTE
            raise RefusedError(quota_error(text, quota.limit, quota.reset_ms))

    def _book(self, account: Account, body: Any) -> None:
        """Charge the key and remember the generation, if the body is a priced completion."""
        usage = body.get("usage") if isinstance(body, dict) else None
        if not usage or not body.get("choices"):
            return
        account.spent += Decimal(str(usage.get("cost") or 0))
        self._generations[body["id"]] = (self._clock(), body)
        if len(self._generations) > MAX_GENERATIONS:
            self._generations.popitem(last=False)

    # Log ----------------------------------------------------------------------------------------------
    def _log(
        self, request: web.Request, body: dict[str, Any] | None, authorized: bool, fault: str | None
    ) -> None:
        headers = {
            name: REDACTED if name.lower() in SECRET_HEADERS else value
            for name, value in request.headers.items()
        }
        self.requests.append(
            ReceivedRequest(
                request.method, request.path_qs, headers, body, self._monotonic(), authorized, fault
            )
        )

    def _count_arrival(self) -> None:
        self.counters["chat_requests"] += 1
        if self._waiting:
            arrived = self.counters["chat_requests"]
            for count, future in self._waiting:
                if count <= arrived and not future.done():
                    future.set_result(None)
            self._waiting = [pair for pair in self._waiting if not pair[1].done()]

    # The other endpoints ------------------------------------------------------------------------------
    def _routes(self) -> list[web.RouteDef]:
        root = "/api/v1"
        return [
            web.post(f"{root}/chat/completions", self._chat),
            web.get(f"{root}/key", self._plain(self._key, needs_key=True)),
            web.get(f"{root}/auth/key", self._plain(self._key, needs_key=True)),
            web.get(f"{root}/credits", self._plain(self._credits, needs_key=True)),
            web.get(f"{root}/models", self._plain(self._models)),
            web.get(f"{root}/models/user", self._plain(self._models, needs_key=True)),
            web.get(f"{root}/model/{{author}}/{{slug}}", self._plain(self._one_model)),
            web.get(f"{root}/models/{{author}}/{{slug}}/endpoints", self._plain(self._endpoints)),
            web.get(f"{root}/generation", self._plain(self._generation, needs_key=True)),
            web.route("*", "/{tail:.*}", self._plain(self._nowhere)),
        ]

    def _plain(self, make: Callable[[web.Request, str], Answer], *, needs_key: bool = False) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            key, authorized = "", False
            try:
                try:
                    key = check_key(request.headers.get("Authorization"), self._keys)
                    authorized = True
                except RefusedError:
                    if needs_key:
                        raise
                answer = make(request, key)
            except RefusedError as refusal:
                answer = refusal.answer
            finally:
                self._log(request, None, authorized, None)
            return finished(answer, COMMON_HEADERS)

        return handle

    def _key(self, _: web.Request, key: str) -> Answer:
        return _ok(accounts.key_body(key, self._account(key), self._clock(), self._credit))

    def _credits(self, _: web.Request, key: str) -> Answer:
        return _ok(accounts.credits_body(self._account(key), self._credit))

    def _models(self, request: web.Request, _: str) -> Answer:
        try:
            offset, limit = (
                int(request.query.get(name, default)) for name, default in (("offset", 0), ("limit", 500))
            )
        except ValueError:
            return plain_error(400, "Invalid request parameters")
        if offset < 0 or not 1 <= limit <= 1_000:
            return plain_error(400, "Invalid request parameters")
        return _ok(accounts.models_body(self._catalogue, offset, limit))

    def _found(self, request: web.Request) -> Model:
        name = f"{request.match_info['author']}/{request.match_info['slug']}"
        try:
            return self._catalogue.find(name)
        except (UnknownModelError, RetiredModelError):
            raise RefusedError(plain_error(404, "Model not found")) from None

    def _one_model(self, request: web.Request, _: str) -> Answer:
        return _ok({"data": self._found(request).listing()})

    def _endpoints(self, request: web.Request, _: str) -> Answer:
        model = self._found(request)
        provider = f"{SIMULATED_PREFIX}{model.provider}" if self._prefixed else model.provider
        return _ok(accounts.endpoints_body(model, provider))

    def _generation(self, request: web.Request, _: str) -> Answer:
        """404 until half a second after completion, as on the real service."""
        name = request.query.get("id", "")
        made, completion = self._generations.get(name, (0.0, None))
        if completion is None or self._clock() - made < GENERATION_DELAY_SECONDS:
            return plain_error(404, f"Generation {name[:60]} not found")
        return _ok(accounts.generation_body(completion, 0))

    def _nowhere(self, _: web.Request, __: str) -> Answer:
        return plain_error(404, "Not Found")


PLAIN = Fault(OK)
COMMON_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Generation-Id,cf-ray",
    "cf-ray": "0000000000000000-SIM",
    "Server": "simulated",
}


def _ok(body: Any) -> Answer:
    return Answer(200, orjson.dumps(body))


def _completion(exchange: Exchange, name: str) -> Any:
    """The body of a 200: the ordinary one, or the shape called ``name``."""
    if name == OK:
        return exchange.success()
    if name in COMPLETIONS:
        return COMPLETIONS[name][1](exchange)
    content = CONTENTS[name][1](exchange.reading)
    if name in CUT_BY_LENGTH:
        return exchange.completion(content, finish_reason="length", native=exchange.model.native_length)
    return exchange.completion(content)


def _unaffordable(balance: Decimal, prompt_cost: Decimal, tokens_out: int, model: Model) -> Answer:
    price = Decimal(model.completion_price)
    affordable = int((balance - prompt_cost) / price) if price else 0
    if affordable <= 0:
        return plain_error(402, "Insufficient credits. Add more using https://openrouter.ai/credits")
    return plain_error(
        402,
        f"This request requires more credits, or fewer max_tokens. You requested up to {tokens_out} tokens,"
        f" but can only afford {affordable}. To increase, visit https://openrouter.ai/settings/credits",
        metadata={"provider_name": None},
    )


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RefusedError(plain_error(413, "Request payload too large")) from None


def _marked(prompt: str) -> str | None:
    start = prompt.find(MARKER)
    if start < 0:
        return None
    start += len(MARKER)
    end = prompt.find(MARKER_END, start, start + 200)
    return prompt[start:end] if end > 0 else None


def latency_range(latency: float | tuple[float, float]) -> tuple[float, float] | None:
    """(low, high) in seconds, None for no delay. Raises ValueError for anything else."""
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"latency_seconds: 0 <= low <= high expected, not {latency!r}")
    return (low, high) if high > 0 else None


def _odds(faults: Mapping[str, float]) -> list[tuple[float, Fault]]:
    """Cumulated probabilities. Raises ValueError for unknown names and for a sum over 1."""
    if any(not 0 <= chance <= 1 for chance in faults.values()) or sum(faults.values()) > 1 + 1e-9:
        raise ValueError("faults: probabilities must lie between 0 and 1 and add up to 1 at most")
    bounds = accumulate(faults.values())
    return [(bound, Fault.parse(name)) for bound, name in zip(bounds, faults, strict=True)]
