"""Any server that speaks the chat completions protocol of OpenAI. What one of them refuses is learnt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pydantic import SecretStr

from llm_integration.calls import ChatRequest, Failed, ModelInfo, RawReply, Refusal, Reply, WireRequest
from llm_integration.fairness import ONE_SLICE_BYTES, Steps
from llm_integration.http_client.scrub import Scrubber
from llm_integration.ports import Provider
from llm_integration.providers.dialect import Dialect, changes_for, note
from llm_integration.providers.failures import ErrorReader
from llm_integration.providers.formats import choose_format, response_format
from llm_integration.providers.learnt import LearntDialects
from llm_integration.providers.listing import read_models
from llm_integration.providers.profiles import COMPATIBLE
from llm_integration.providers.replies import read_reply, reading_of
from llm_integration.providers.stream import is_stream

__all__ = ["Compatible", "Form", "choose_form"]

CHAT_PATH = "/chat/completions"
MOST_FORMS = 1_000
"""Models whose response format is remembered; settings name a few dozen."""


class Form(NamedTuple):
    """A response format that was chosen, as the bytes of a request, and what it was chosen by."""

    name: str
    field: orjson.Fragment
    wanted: str
    listed: ModelInfo | None
    refused: int
    schema: Mapping[str, Any] | None
    schema_name: str

    def still_fits(self, request: ChatRequest, refused: Collection[str]) -> bool:
        """Whether choosing again would give the same. Refusals of a model only become more."""
        return (
            self.schema is request.schema
            and self.listed is request.listed
            and self.refused == len(refused)
            and self.wanted == request.response_format
            and self.schema_name == request.schema_name
        )


def choose_form(request: ChatRequest, refused: Collection[str]) -> Form:
    """What ``choose_format`` chooses, ready to be sent."""
    wanted, listed, schema = request.response_format, request.listed, request.schema
    name = choose_format(wanted, listed, refused, schema=schema is not None)
    field = orjson.Fragment(orjson.dumps(response_format(name, schema, request.schema_name)))
    return Form(name, field, wanted, listed, len(refused), schema, request.schema_name)


class Compatible(Provider):
    """The server at ``base_url``.

    ``key`` is taken out of whatever the server sends back. What is found out about the fields that a model
    takes is kept in ``folder`` for a week, None: until the end of the process. ``wall_clock`` in epoch
    seconds. For one event loop.
    """

    profile = COMPATIBLE

    def __init__(
        self,
        base_url: str,
        key: SecretStr | None = None,
        *,
        folder: Path | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._errors = ErrorReader(Scrubber(key), wall_clock)
        self._learnt = LearntDialects(base_url, folder=folder, wall_clock=wall_clock)
        self._forms: dict[str, Form] = {}
        self._keeping: asyncio.Task[None] | None = None

    def encode(self, request: ChatRequest) -> WireRequest:
        """A chat completion, not streamed, as this model of this server takes it."""
        prompt, system, model, max_tokens, temperature, effort, *_ = request
        dialect = self._learnt.of(model)
        form = self._forms.get(model)
        if form is None or not form.still_fits(request, dialect.refused_formats):
            form = self._choose(request, dialect)
        user = {"role": "user", "content": prompt}
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "system", "content": system}, user] if system else [user],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "response_format": form.field,
            "stream": False,
        }
        if effort is not None:
            body["reasoning"] = {"effort": effort}
        changes = dialect.changes
        if changes:
            body = dialect.applied(body)
        try:
            data = orjson.dumps(body)
        except TypeError:  # a lone surrogate, which UTF-8 cannot carry
            data = orjson.dumps(_carried_by_utf8(body))
        return WireRequest(
            model, CHAT_PATH, data, form.name, changes, dialect.notes(model) if changes else ()
        )  # fmt: skip

    def decode(self, response: RawReply) -> Reply | Failed | Steps[Reply | Failed]:
        """A long body or a stream is read in steps."""
        body = response.body
        short = len(body) <= ONE_SLICE_BYTES
        if short and (body[:1] == b"{" or not is_stream(response)):
            return read_reply(response, self._errors)
        return reading_of(response, self._errors)

    def adapt(self, sent: WireRequest, refusal: Refusal, *, bounded: bool) -> tuple[str, ...] | None:
        """Leave out, rename or lower what the server does not take; remembered for this model."""
        dialect = Dialect(sent.changes)
        changes = changes_for(refusal, orjson.loads(sent.body), dialect, budget_holds=bounded)
        if not changes:
            return None
        return tuple(note(change) for change in self._learnt.learn(sent.model, changes))

    def answered(self, sent: WireRequest) -> None:
        """A request in a new dialect was answered: write the dialect down, behind everybody's back."""
        if self._learnt.unsaved and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._learnt.keep(), name="dialects")

    def read_models(
        self, body: bytes, *, between: Callable[[], object] = lambda: None
    ) -> Mapping[str, ModelInfo]:
        """``/models`` as OpenRouter has it; of others it names mostly the ids alone."""
        return read_models(body.decode("utf-8-sig", "replace"), between=between)

    async def start(self) -> None:
        """Read what was learnt of the server, within two seconds."""
        await self._learnt.load()

    async def close(self) -> None:
        """Wait until what was learnt is written down."""
        if self._keeping is not None:
            await asyncio.wait({self._keeping})

    def _choose(self, request: ChatRequest, dialect: Dialect) -> Form:
        """The response format for this model; found once, as long as nothing changes."""
        if len(self._forms) >= MOST_FORMS:
            self._forms.clear()
        form = self._forms[request.model] = choose_form(request, dialect.refused_formats)
        return form


def _carried_by_utf8(body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with what UTF-8 cannot carry in its messages replaced."""
    for message in body["messages"]:
        message["content"] = message["content"].encode("utf-8", "replace").decode()
    return body
