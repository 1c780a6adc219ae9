"""How servers are asked, and what their answers mean: one ``Provider`` for each protocol.

    compatible.py   any server that speaks OpenAI's chat completions
    openrouter.py   OpenRouter, which is one
    profiles.py     what is known of a kind of server beforehand: a row for each
    dialect.py      what a server refuses of a request, and how it is asked instead; learnt.py keeps it
    formats.py      in which form a model is asked to reply
    replies.py      what a response is worth; message.py, stream.py and usage.py read its parts
    failures.py     what an error means; envelope.py opens it, meanings.py knows the words, waits.py the waits
    listing.py      a list of models

A server with another protocol is one class more: docs/how-to/add-a-provider.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from llm_integration.config import DEFAULT_BASE_URL
from llm_integration.http_client.scrub import Scrubber
from llm_integration.providers.compatible import Compatible
from llm_integration.providers.failures import ErrorReader
from llm_integration.providers.openrouter import OpenRouter
from llm_integration.providers.replies import classify, json_of

__all__ = [
    "Compatible",
    "ErrorReader",
    "OpenRouter",
    "Scrubber",
    "classify",
    "json_of",
    "provider_for",
]

PROVIDERS: dict[str, type[Compatible]] = {DEFAULT_BASE_URL: OpenRouter}
"""By base URL; every other one is asked as any compatible server."""


def provider_for(
    base_url: str,
    key: SecretStr | None = None,
    *,
    folder: Path | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> Compatible:
    """How the server at ``base_url`` is asked where the host names no provider. See Compatible."""
    kind = PROVIDERS.get(base_url.rstrip("/"), Compatible)
    return kind(base_url, key, folder=folder, wall_clock=wall_clock)
