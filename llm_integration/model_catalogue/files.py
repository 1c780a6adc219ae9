"""The copies of the list of models on disk: the cached one and the one that ships. All of it blocks."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from llm_integration.model_catalogue.listing import (
    MOST_LISTING_BYTES,
    Listing,
    read_head,
    read_listing,
    write_listing,
)

__all__ = ["cache_file", "give_way", "read_cache", "read_shipped", "write_cache"]


def cache_file(folder: Path, base_url: str) -> Path:
    """Where the list of the server at ``base_url`` is kept: each server has its own models and prices."""
    digest = blake2b(base_url.encode(), digest_size=6).hexdigest()
    return folder / f"models-{digest}.json"


def read_cache(file: Path, base_url: str) -> Listing | None:
    """The kept list; None if there is none, or it is damaged or another server's."""
    try:
        if file.stat().st_size > MOST_LISTING_BYTES:
            return None
        text = file.read_text(encoding="utf-8")
        head = read_head(text)
        if head is None or head[0] != base_url:
            return None
        return read_listing(text, as_of=head[1], between=give_way)
    except (OSError, ValueError):
        return None


def write_cache(file: Path, base_url: str, listing: Listing) -> None:
    """Keep ``listing``, atomically. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(write_listing(listing, base_url, between=give_way))
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@lru_cache(maxsize=1)
def read_shipped() -> Listing:
    """The few models that the library itself names, as known when it was made; read once in a process."""
    text = files("llm_integration.model_catalogue").joinpath("shipped.json").read_text(encoding="utf-8")
    head = json.loads(text)
    as_of = datetime.fromisoformat(head["as_of"]).replace(tzinfo=UTC)
    return replace(
        read_listing(text, as_of=as_of, complete=False),
        retired=frozenset(head["retired"]),
        successors=head["successors"],
    )


def give_way() -> None:
    """Hand the interpreter to the event loop's thread, which must not wait for the whole list."""
    time.sleep(0)
