"""LLMConfig and how settings are read, checked and saved."""

from __future__ import annotations

from llm_integration.config.settings import (
    DEFAULT_BASE_URL,
    DEFAULT_MODEL,
    KEY_VARIABLE,
    URL_VARIABLE,
    LLMConfig,
    clean_key,
    environment,
    load_settings,
    normalise_model_id,
    read_json,
    suggestion,
)

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_MODEL",
    "KEY_VARIABLE",
    "URL_VARIABLE",
    "LLMConfig",
    "clean_key",
    "environment",
    "load_settings",
    "normalise_model_id",
    "read_json",
    "suggestion",
]
