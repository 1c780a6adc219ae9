"""One finding of ``check``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Item", "Status", "failed", "fine", "warned"]


class Status(StrEnum):
    """``warn`` is worth knowing; with ``fail`` the sidecar will not do its work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Item:
    """What was looked at, how it stands, and in ``text`` what was found and what to do."""

    name: str
    status: Status
    text: str


def fine(name: str, text: str) -> Item:
    """All is well."""
    return Item(name, Status.OK, text)


def warned(name: str, text: str) -> Item:
    """It works, for now or in part."""
    return Item(name, Status.WARN, text)


def failed(name: str, text: str) -> Item:
    """It will not work."""
    return Item(name, Status.FAIL, text)
