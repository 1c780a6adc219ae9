"""What policy and providers hand to each other about one request: what is asked, sent, received and meant.

    ChatRequest    what a model is to be asked, in no server's words
    WireRequest    the same as one server takes it
    RawReply       the HTTP response as it came
    Reply, Failed  what the response means, with the Usage it reports

and of the server what is known beforehand, its ``Profile``, and its models, each a ``ModelInfo`` with its
``Price``. Plain values, without behaviour of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from llm_integration.errors import CallError

__all__ = [
    "UNKNOWN",
    "ChatRequest",
    "Failed",
    "ModelInfo",
    "Price",
    "Profile",
    "RawReply",
    "Refusal",
    "Reply",
    "Usage",
    "WireRequest",
]


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per prompt token, per completion token, and per request on top.

    ``cache_write`` is the price of a prompt token that is written to a cache, ``reasoning`` that of a token
    of thoughts; 0 where the list names none.
    """

    prompt: Decimal
    completion: Decimal
    request: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)
    reasoning: Decimal = Decimal(0)

    @property
    def known(self) -> bool:
        """True when each part is an amount that somebody can ask for."""
        parts = (self.prompt, self.completion, self.request, self.cache_write, self.reasoning)
        return all(part.is_finite() and part >= 0 for part in parts)

    @property
    def highest_prompt(self) -> Decimal:
        """The most a token of the prompt may cost: any of them may be written to a cache."""
        return _together(self.prompt, self.cache_write)

    @property
    def highest_completion(self) -> Decimal:
        """The most a token of the reply may cost: any of them may be a thought."""
        return _together(self.completion, self.reasoning)


def _together(usual: Decimal, other: Decimal) -> Decimal:
    """A higher price takes the place of the usual one (Anthropic's cache writes), a lower one comes on top of
    it (Gemini's, which are the storage alone).
    """
    return other if other >= usual else usual + other


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One listed model; None is unknown.

    ``context_length`` and ``max_completion_tokens`` are in tokens. ``price`` is the highest that is listed,
    where it depends on the length of the prompt or the time of day. ``expiration_date`` is the day from
    which the model is announced to be gone.
    """

    id: str
    context_length: int | None = None
    price: Price | None = None
    supported_parameters: frozenset[str] | None = None
    expiration_date: date | None = None
    max_completion_tokens: int | None = None
    reasoning_mandatory: bool | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a kind of server before it was ever asked.

    ``headers`` go with every request; the list of models stands at ``models_path`` below the base URL. The
    key is shown in ``key_header``, behind ``key_prefix``. ``needs_key``: nobody is answered without one.
    ``tells_of_keys``: ``GET /key`` says what a key may do, so that silence about it is a fault.
    ``lists_all``: a model that is not in its list is not served. ``shipped_list``: the list that comes with
    this library is of its models and prices.
    """

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    models_path: str = "/models"
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    needs_key: bool = False
    tells_of_keys: bool = False
    lists_all: bool = False
    shipped_list: bool = False


class ChatRequest(NamedTuple):
    """What ``model`` is to be asked.

    ``response_format`` is the strictest form of reply that is wanted (``auto``, ``json_schema``,
    ``json_object``, ``text``), ``schema`` the JSON schema for it, None without one. ``reasoning_effort`` None
    leaves it to the model how much it thinks. ``listed`` is what the list of models says about this one.
    """

    prompt: str
    system: str | None
    model: str
    max_tokens: int
    temperature: float = 0.0
    reasoning_effort: str | None = None
    response_format: str = "text"
    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    listed: ModelInfo | None = None


class WireRequest(NamedTuple):
    """One POST: ``body``, a JSON text, to ``path`` below the base URL.

    ``response_format`` is the form that was asked for in the end. ``changes`` is what the provider does
    differently for this model, in words of its own, because the server refused it otherwise before;
    ``warnings`` say the same to the person who reads the result.
    """

    model: str
    path: str
    body: bytes
    response_format: str
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class RawReply(NamedTuple):
    """An HTTP response as it came; header names in any case are the mapping's business."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Usage(NamedTuple):
    """What an attempt took, as far as the server says. Cost in USD; None is unknown, never zero.

    ``cached_tokens`` and ``cache_write_tokens`` are parts of the prompt's, ``reasoning_tokens`` of the
    completion's. ``service_tier`` is what the server called it. ``warnings`` tell what cannot be true.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None
    warnings: tuple[str, ...] = ()


UNKNOWN: Final = Usage()


class Reply(NamedTuple):
    """A usable completion. ``provider`` is who ran the model behind the server, if it says so."""

    text: str
    finish_reason: str | None
    model: str | None
    provider: str | None
    generation_id: str | None
    usage: Usage
    warnings: tuple[str, ...] = ()


class Refusal(NamedTuple):
    """What a server said, in lower case, that may be a refusal of one of the request's fields.

    ``words`` are the codes and types of its error, ``params`` the fields that it names.
    """

    words: frozenset[str]
    params: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt without a usable completion; it may have cost something all the same.

    ``of_model``: the fault lies with the model or its provider, so that another model may answer.
    ``silent``: not even the head of a response came, and the wait was long enough to tell something.
    ``refusal``: the server may have refused a field of the request.
    """

    error: CallError
    usage: Usage = UNKNOWN
    of_model: bool = False
    silent: bool = False
    refusal: Refusal | None = None
