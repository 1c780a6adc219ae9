"""Who said where requests go: the variable or the file that ``base_url`` and the key came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from llm_integration.config.settings import (
    DEFAULT_BASE_URL,
    KEY_VARIABLE,
    URL_VARIABLE,
    LLMConfig,
    environment,
)

__all__ = ["Origin", "address_origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """``address_from`` and ``key_from`` name a variable, a file or the default, for people.

    ``suspicious``: the address stands in a ``.env`` file of the working folder, the key does not. A folder
    that somebody else has filled could send the key anywhere.
    """

    address_from: str
    key_from: str | None
    suspicious: bool


def address_origin(config: LLMConfig) -> Origin:
    """Where ``config`` has its address and its key from. Reads the environment and ``.env`` again."""
    merged, process = environment(beside=config.folder), os.environ
    variable = _variable(config, merged)
    from_file = variable is not None and variable not in process
    key = config.api_key
    own_key = key is not None and process.get(KEY_VARIABLE, "").strip(" \t\r\n\"'") == key.get_secret_value()
    if variable is not None:
        address = f"{variable} in .env" if from_file else f"{variable} in the environment"
    elif config.file is not None and config.base_url != DEFAULT_BASE_URL:
        address = f"base_url in {config.file}"
    else:
        address = "the default" if config.base_url == DEFAULT_BASE_URL else "base_url in code"
    key_from = None if key is None else f"{KEY_VARIABLE} in {'the environment' if own_key else '.env'}"
    return Origin(address, key_from, from_file and own_key)


def _variable(config: LLMConfig, merged: Mapping[str, str]) -> str | None:
    """The variable that named the address in use."""
    for name in (f"{config.prefix}BASE_URL", URL_VARIABLE):
        if merged.get(name, "").strip().rstrip("/") == config.base_url:
            return name
    return None
