"""One request as the simulator understood it, and the success body that answers it. Pure.

Token counts are an estimate anybody can repeat: characters divided by four, rounded up, at least one.
Reasoning models think before they answer, and that comes off the same ``max_tokens``:
``REASONING_TOKENS`` says how much for each effort.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from llm_integration.simulator.catalogue import SIMULATED_PREFIX, Model
from llm_integration.simulator.rule import Reading

__all__ = ["JSON_TYPE", "Exchange", "SimulatedAnswer", "estimate_tokens"]

JSON_TYPE = "application/json"

REASONING_TOKENS: Mapping[str, int] = {
    "none": 0,
    "minimal": 0,
    "low": 200,
    "medium": 600,
    "high": 1_500,
    "xhigh": 3_000,
    "max": 6_000,
}
UNASKED_EFFORT = "low"
"""How hard a model thinks that cannot be stopped from thinking, when the request does not say."""


def estimate_tokens(text: str) -> int:
    """Characters divided by four, rounded up, at least one."""
    return max(1, -(-len(text) // 4))


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """One complete HTTP response."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A valid chat request on its way to an answer.

    ``reading`` is what an honest reply says, ``params`` what the scripted fault was given (empty for
    none), ``now`` the simulator's clock in epoch seconds, ``base_url`` where the simulator is reached.
    """

    asked: str
    model: Model
    prompt: str
    reading: Reading
    generation_id: str
    now: float
    base_url: str
    max_tokens: int | None = None
    effort: str | None = None
    stream: bool = False
    prefixed: bool = True
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def served_model(self) -> str:
        """The model name in the response."""
        name = self.model.served_as
        return f"{SIMULATED_PREFIX}{name}" if self.prefixed else name

    @property
    def provider(self) -> str:
        """The provider name in the response."""
        return f"{SIMULATED_PREFIX}{self.model.provider}" if self.prefixed else self.model.provider

    @property
    def reasoning_tokens(self) -> int:
        """How many tokens the model thinks before it writes."""
        default = UNASKED_EFFORT if self.model.reasoning_mandatory else "none"
        return REASONING_TOKENS.get(self.effort or default, 0)

    def success(self) -> dict[str, Any]:
        """The body of an ordinary reply: the reading as JSON, cut where ``max_tokens`` ends it."""
        text, thinking = self.reading.as_json(), self.reasoning_tokens
        if self.max_tokens is None or thinking + estimate_tokens(text) <= self.max_tokens:
            return self.completion(text, reasoning_tokens=thinking)
        thinking = min(thinking, self.max_tokens)
        return self.completion(
            text[: 4 * (self.max_tokens - thinking)],
            finish_reason="length",
            native=self.model.native_length,
            reasoning_tokens=thinking,
        )

    def completion(
        self,
        content: object,
        *,
        finish_reason: str | None = "stop",
        native: str | None = None,
        refusal: str | None = None,
        reasoning_tokens: int = 0,
        completion_tokens: int | None = None,
    ) -> dict[str, Any]:
        """A completion with this content; ``completion_tokens`` is counted from it unless given."""
        if completion_tokens is None:
            written = estimate_tokens(content) if isinstance(content, str) and content else 0
            completion_tokens = written + reasoning_tokens
        return {
            "id": self.generation_id,
            "provider": self.provider,
            "model": self.served_model,
            "object": "chat.completion",
            "created": int(self.now),
            "choices": [
                {
                    "logprobs": None,
                    "finish_reason": finish_reason,
                    "native_finish_reason": native or self.model.native_stop,
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": content,
                        "refusal": refusal,
                        "reasoning": None,
                    },
                }
            ],
            "service_tier": None,
            "system_fingerprint": None,
            "usage": self.usage(completion_tokens, reasoning_tokens),
        }

    def usage(self, completion_tokens: int, reasoning_tokens: int = 0) -> dict[str, Any]:
        """Tokens and their cost: exactly tokens times price."""
        prompt_tokens = estimate_tokens(self.prompt)
        prompt_cost, completion_cost = self.model.cost(prompt_tokens, completion_tokens)
        total = float(prompt_cost + completion_cost)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "cost": total,
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
                "video_tokens": 0,
            },
            "cost_details": {
                "upstream_inference_cost": total,
                "upstream_inference_prompt_cost": float(prompt_cost),
                "upstream_inference_completions_cost": float(completion_cost),
            },
            "completion_tokens_details": {
                "reasoning_tokens": reasoning_tokens,
                "image_tokens": 0,
                "audio_tokens": 0,
            },
        }

    def answer(
        self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> SimulatedAnswer:
        """``body`` as JSON, with the generation id in the header as on the real endpoint."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return SimulatedAnswer(status, data, {"X-Generation-Id": self.generation_id, **(headers or {})})
