"""The models that the simulator serves: ids, prices, providers, and what each supports.

Ids and the prices of Google's models come from OpenRouter's catalogue of autumn 2026; the other prices are
plausible figures for tests and demos, not quotations. ``google/gemini-2.5-flash`` is about to go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

__all__ = [
    "DEFAULT_MODELS",
    "DEFAULT_RETIRED",
    "SIMULATED_PREFIX",
    "Catalogue",
    "Model",
    "RetiredModelError",
    "UnknownModelError",
]

SIMULATED_PREFIX = "simulated/"
DYNAMIC_VARIANTS = (":nitro", ":floor", ":exacto", ":online")
_PARAMETERS = (
    "include_reasoning",
    "max_tokens",
    "reasoning",
    "response_format",
    "seed",
    "stop",
    "structured_outputs",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
)
_PLAIN_PARAMETERS = ("max_tokens", "seed", "stop", "temperature", "top_p")


class UnknownModelError(ValueError):
    """No model of this id was ever listed: HTTP 400."""


class RetiredModelError(ValueError):
    """The id was listed once and has no endpoint any more: HTTP 404."""


@dataclass(frozen=True, slots=True)
class Model:
    """One listed model. Prices are USD per token, as the decimal text that ``/models`` shows."""

    id: str
    name: str
    provider: str
    prompt_price: str
    completion_price: str
    cache_read_price: str = "0"
    context_length: int = 1_048_576
    max_completion_tokens: int = 65_535
    canonical_slug: str | None = None
    native_stop: str = "STOP"
    native_length: str = "MAX_TOKENS"
    tokenizer: str = "Gemini"
    reasoning_mandatory: bool = False
    supported_parameters: tuple[str, ...] = _PARAMETERS
    created: int = 1_750_172_488
    expiration_date: str | None = None

    @property
    def free(self) -> bool:
        """Whether the free-tier limits apply to it."""
        return self.id.endswith(":free")

    @property
    def served_as(self) -> str:
        """The name that a response carries: the dated slug where there is one."""
        return self.canonical_slug or self.id

    def cost(self, prompt_tokens: int, completion_tokens: int) -> tuple[Decimal, Decimal]:
        """USD for the prompt and for the completion."""
        return prompt_tokens * Decimal(self.prompt_price), completion_tokens * Decimal(self.completion_price)

    def listing(self) -> dict[str, Any]:
        """The entry of ``GET /models``."""
        return {
            "id": self.id,
            "canonical_slug": self.served_as,
            "name": self.name,
            "created": self.created,
            "context_length": self.context_length,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": self.tokenizer,
                "instruct_type": None,
            },
            "pricing": {
                "prompt": self.prompt_price,
                "completion": self.completion_price,
                "request": "0",
                "image": "0",
                "web_search": "0",
                "internal_reasoning": "0",
                "input_cache_read": self.cache_read_price,
            },
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": self.max_completion_tokens,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": list(self.supported_parameters),
            "reasoning": {"mandatory": self.reasoning_mandatory},
            "default_parameters": None,
            "supported_voices": None,
            "expiration_date": self.expiration_date,
            "knowledge_cutoff": None,
            "links": {"details": f"/api/v1/models/{self.id}/endpoints"},
        }


def _gemini(slug: str, name: str, prompt: str, completion: str, cached: str, **more: Any) -> Model:
    return Model(f"google/{slug}", f"Google: {name}", "Google", prompt, completion, cached, **more)


DEFAULT_MODELS: tuple[Model, ...] = (
    _gemini(
        "gemini-3.5-flash-lite",
        "Gemini 3.5 Flash Lite",
        "0.0000003",
        "0.0000025",
        "0.00000003",
        reasoning_mandatory=True,
    ),
    _gemini(
        "gemini-3.5-flash",
        "Gemini 3.5 Flash",
        "0.0000015",
        "0.000009",
        "0.00000015",
        reasoning_mandatory=True,
    ),
    _gemini(
        "gemini-3.6-flash",
        "Gemini 3.6 Flash",
        "0.00000075",
        "0.00000375",
        "0.000000075",
        reasoning_mandatory=True,
    ),
    _gemini(
        "gemini-3.7-flash",
        "Gemini 3.7 Flash",
        "0.00000075",
        "0.00000375",
        "0.000000075",
        reasoning_mandatory=True,
    ),
    _gemini(
        "gemini-3.8-flash",
        "Gemini 3.8 Flash",
        "0.00000075",
        "0.00000375",
        "0.000000075",
        reasoning_mandatory=True,
    ),
    _gemini(
        "gemini-3-flash-preview",
        "Gemini 3 Flash Preview",
        "0.0000005",
        "0.000003",
        "0.00000005",
        canonical_slug="google/gemini-3-flash-preview-20251217",
    ),
    _gemini("gemini-3.1-flash-lite", "Gemini 3.1 Flash Lite", "0.00000025", "0.0000015", "0.000000025"),
    _gemini(
        "gemini-2.5-flash",
        "Gemini 2.5 Flash",
        "0.0000003",
        "0.0000025",
        "0.00000003",
        expiration_date="2026-12-01",
    ),
    _gemini("gemini-2.5-flash-lite", "Gemini 2.5 Flash Lite", "0.0000001", "0.0000004", "0.00000001"),
    Model(
        "anthropic/claude-sonnet-4.6",
        "Anthropic: Claude Sonnet 4.6",
        "Anthropic",
        "0.000003",
        "0.000015",
        "0.0000003",
        canonical_slug="anthropic/claude-4.6-sonnet-20260217",
        native_stop="end_turn",
        native_length="max_tokens",
        tokenizer="Claude",
    ),
    Model(
        "openai/gpt-5-mini",
        "OpenAI: GPT-5 Mini",
        "OpenAI",
        "0.00000025",
        "0.000002",
        "0.000000025",
        context_length=400_000,
        max_completion_tokens=128_000,
        canonical_slug="openai/gpt-5-mini-2025-08-07",
        native_stop="completed",
        native_length="max_output_tokens",
        tokenizer="GPT",
        reasoning_mandatory=True,
    ),
    Model(
        "meta-llama/llama-3.3-70b-instruct:free",
        "Meta: Llama 3.3 70B Instruct (free)",
        "Venice",
        "0",
        "0",
        context_length=65_536,
        max_completion_tokens=16_384,
        native_stop="stop",
        native_length="length",
        tokenizer="Llama3",
        supported_parameters=_PLAIN_PARAMETERS,
    ),
)

DEFAULT_RETIRED = frozenset({"google/gemini-2.5-flash-preview-05-20", "google/gemini-2.5-flash-preview"})

DEFAULT_ALIASES: Mapping[str, str] = {
    "~google/gemini-flash-latest": "google/gemini-3.8-flash",
    "openrouter/auto": "google/gemini-3.5-flash-lite",
    "openrouter/free": "meta-llama/llama-3.3-70b-instruct:free",
}


class Catalogue:
    """Finds the model that an id means. The first model listed is the account's default."""

    def __init__(self, models: Iterable[Model], retired: Collection[str] = ()) -> None:
        self._models = {model.id: model for model in models}
        if not self._models:
            raise ValueError("models: the simulator needs at least one")
        self._retired = frozenset(retired) - self._models.keys()

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model that is served."""
        return tuple(self._models.values())

    @property
    def default(self) -> Model:
        """The model of a request that names none."""
        return next(iter(self._models.values()))

    def find(self, asked: str) -> Model:
        """The model behind the id ``asked``.

        A ``simulated/`` in front is ignored for the search; with it an id that is not listed gets the
        default model's prices. Raises UnknownModelError or RetiredModelError.
        """
        name = asked.removeprefix(SIMULATED_PREFIX)
        name = DEFAULT_ALIASES.get(name, name)
        model = self._models.get(name) or self._models.get(_without_variant(name))
        if model is not None:
            return model
        if name in self._retired:
            raise RetiredModelError(asked)
        if asked != SIMULATED_PREFIX and asked.startswith(SIMULATED_PREFIX):
            return self.default
        raise UnknownModelError(asked)


def _without_variant(name: str) -> str:
    return next((name.removesuffix(v) for v in DYNAMIC_VARIANTS if name.endswith(v)), name)
