"""Statements for many rows: bounded batches, and parameters made in slices that no host feels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from llm_integration.fairness import ROW_CHARS_AT_ONCE, ROWS_AT_ONCE
from llm_integration.record.storable import clean_key, json_rows, one_array

__all__ = ["batches", "json_in_slices"]

T = TypeVar("T")

LARGEST_BATCH = 32
LARGEST_TEXT = 100_000
"""Rows, and characters of prompts and replies, per statement: more would hold up the host's loop."""


def batches(
    items: Sequence[T], key: Callable[[T], str], rows: Callable[[T], int], text: Callable[[T], int]
) -> Iterator[dict[str, T]]:
    """``items`` in batches for one statement each: bounded in rows and text, by their storable keys."""
    batch: dict[str, T] = {}
    size = length = 0
    for item in items:
        name, count, more = clean_key(key(item)), rows(item), text(item)
        full = size + count > LARGEST_BATCH or length + more > LARGEST_TEXT
        if batch and (full or name in batch):
            yield batch
            batch, size, length = {}, 0, 0
        batch[name] = item
        size += count
        length += more
    if batch:
        yield batch


async def json_in_slices(
    items: Sequence[T], row: Callable[[T], Mapping[str, Any]], text: Callable[[T], int]
) -> bytes:
    """The rows of all items for one parameter, made in slices that the host's loop does not feel."""
    arrays: list[bytes] = []
    part: list[Mapping[str, Any]] = []
    length = 0
    for number, item in enumerate(items, 1):
        part.append(row(item))
        length += text(item)
        full = len(part) == ROWS_AT_ONCE or length > ROW_CHARS_AT_ONCE
        if full or number == len(items):
            arrays.append(json_rows(part))
            part, length = [], 0
        if full:
            await asyncio.sleep(0)
    return one_array(arrays)
