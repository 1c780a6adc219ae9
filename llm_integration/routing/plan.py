"""CallPlan: how one request is to be made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_integration.reply_schema import BATCH_SCHEMA

__all__ = ["CallPlan"]


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How one request is to be made.

    ``model`` is asked first, ``fallbacks`` in their order when it fails. ``max_tokens`` and
    ``temperature`` None mean the general settings. ``response_schema`` is the JSON schema of the reply,
    used where the model takes one, under the name ``schema_name``.
    """

    model: str
    fallbacks: tuple[str, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    response_schema: Mapping[str, Any] | None = None
    schema_name: str = "signal_rating"

    def for_batch(self, max_tokens: int) -> CallPlan:
        """The same for a request about several signals: more room, and the schema of such a reply."""
        if self.response_schema is None:
            return replace(self, max_tokens=max_tokens)
        return replace(
            self, max_tokens=max_tokens, response_schema=BATCH_SCHEMA, schema_name="signal_ratings"
        )

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may be asked, in order, each once."""
        return tuple(dict.fromkeys((self.model, *self.fallbacks)))
