"""The endpoints beside chat: key, credits, models, endpoints, generation."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import orjson
from aiohttp import web

from llm_integration.simulator import accounts
from llm_integration.simulator.catalogue import (
    SIMULATED_PREFIX,
    Catalogue,
    Model,
    RetiredModelError,
    UnknownModelError,
)
from llm_integration.simulator.error_bodies import plain_error
from llm_integration.simulator.exchange import SimulatedAnswer
from llm_integration.simulator.ledger import Ledger
from llm_integration.simulator.request_log import RequestLog
from llm_integration.simulator.validation import RefusedError, check_key
from llm_integration.simulator.wire_faults import COMMON_HEADERS, finished

__all__ = ["API_ROOT", "SideEndpoints"]

API_ROOT = "/api/v1"
MAX_PAGE = 1_000
DEFAULT_PAGE = 500

Make = Callable[[web.Request, str], SimulatedAnswer]


class SideEndpoints:
    """Everything that is asked with GET. A path that does not exist is a 404, and is logged too."""

    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Ledger,
        log: RequestLog,
        *,
        keys: Collection[str] | None,
        clock: Callable[[], float],
        prefixed: bool,
    ) -> None:
        self._catalogue, self._ledger, self._log = catalogue, ledger, log
        self._keys, self._clock, self._prefixed = keys, clock, prefixed

    def routes(self) -> list[web.RouteDef]:
        """The routes, the catch-all last."""
        closed = (
            ("/key", self._key),
            ("/auth/key", self._key),
            ("/credits", self._credits),
            ("/models/user", self._models),
            ("/generation", self._generation),
        )
        public = (
            ("/models", self._models),
            ("/model/{author}/{slug}", self._one_model),
            ("/models/{author}/{slug}/endpoints", self._endpoints),
        )
        return [
            *(web.get(API_ROOT + path, self._handler(make, needs_key=True)) for path, make in closed),
            *(web.get(API_ROOT + path, self._handler(make)) for path, make in public),
            web.route("*", "/{tail:.*}", self._handler(_nowhere)),
        ]

    def _handler(self, make: Make, *, needs_key: bool = False) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            arrived_at, authorized = self._log.now(), False
            try:
                key = self._sent_key(request, needs_key=needs_key)
                authorized = bool(key)
                answer = make(request, key)
            except RefusedError as refusal:
                answer = refusal.answer
            self._log.add(request, arrived_at, authorized=authorized)
            return finished(answer, COMMON_HEADERS)

        return handle

    def _sent_key(self, request: web.Request, *, needs_key: bool) -> str:
        """The valid key that came with the request; empty for none where none is needed."""
        try:
            return check_key(request.headers.get("Authorization"), self._keys)
        except RefusedError:
            if needs_key:
                raise
            return ""

    def _key(self, _: web.Request, key: str) -> SimulatedAnswer:
        account = self._ledger.account(key)
        return _ok(accounts.key_body(key, account, self._clock(), self._ledger.credit))

    def _credits(self, _: web.Request, key: str) -> SimulatedAnswer:
        return _ok(accounts.credits_body(self._ledger.account(key), self._ledger.credit))

    def _models(self, request: web.Request, _: str) -> SimulatedAnswer:
        try:
            offset = int(request.query.get("offset", "0"))
            limit = int(request.query.get("limit", str(DEFAULT_PAGE)))
        except ValueError:
            return plain_error(400, "Invalid request parameters")
        if offset < 0 or not 1 <= limit <= MAX_PAGE:
            return plain_error(400, "Invalid request parameters")
        return _ok(accounts.models_body(self._catalogue, offset, limit))

    def _found(self, request: web.Request) -> Model:
        name = f"{request.match_info['author']}/{request.match_info['slug']}"
        try:
            return self._catalogue.find(name)
        except (UnknownModelError, RetiredModelError):
            raise RefusedError(plain_error(404, "Model not found")) from None

    def _one_model(self, request: web.Request, _: str) -> SimulatedAnswer:
        return _ok({"data": self._found(request).listing()})

    def _endpoints(self, request: web.Request, _: str) -> SimulatedAnswer:
        model = self._found(request)
        provider = f"{SIMULATED_PREFIX}{model.provider}" if self._prefixed else model.provider
        return _ok(accounts.endpoints_body(model, provider))

    def _generation(self, request: web.Request, _: str) -> SimulatedAnswer:
        name = request.query.get("id", "")
        completion = self._ledger.generation(name)
        if completion is None:
            return plain_error(404, f"Generation {name[:60]} not found")
        return _ok(accounts.generation_body(completion))


def _nowhere(_: web.Request, __: str) -> SimulatedAnswer:
    return plain_error(404, "Not Found")


def _ok(body: Any) -> SimulatedAnswer:
    return SimulatedAnswer(200, orjson.dumps(body))
