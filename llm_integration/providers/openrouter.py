"""OpenRouter: a compatible server of which more is known beforehand."""

from __future__ import annotations

from llm_integration.providers.compatible import Compatible
from llm_integration.providers.profiles import OPENROUTER

__all__ = ["OpenRouter"]


class OpenRouter(Compatible):
    """OpenRouter, at its own address or behind a gateway."""

    profile = OPENROUTER
