"""What a client should make of each fault: the vocabulary of the fault table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["FaultInfo", "Kind"]


class Kind(StrEnum):
    """What the contract asks of a client that meets a fault."""

    RETRYABLE = "retryable"
    """No answer now; the same request may succeed later."""
    REJECTED = "rejected"
    """This request never succeeds, the next one may."""
    KEY = "key"
    """No request with this key succeeds for now."""
    MODEL = "model"
    """No request for this model, or with these settings, succeeds until somebody changes them."""
    FILTERED = "filtered"
    """The prompt or the answer was refused; asking again is useless."""
    TRUNCATED = "truncated"
    """The token limit was used up before any text."""
    UNREADABLE = "unreadable"
    """An answer came and must end unrated."""
    EITHER = "either"
    """An answer came from which the rating may be rescued; any other rating than the rule's is a lie."""
    READABLE = "readable"
    """Odd, but the rating stands in it and must be found."""


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """One row of the fault table. ``defaults`` are the parameters a script may change."""

    name: str
    group: str
    kind: Kind
    description: str
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether the call brings no answer at all."""
        return self.kind not in (Kind.UNREADABLE, Kind.EITHER, Kind.READABLE)

    @property
    def rated(self) -> bool | None:
        """Whether the signal must (True), must not (False) or may (None) end with the rule's rating."""
        return None if self.kind is Kind.EITHER else self.kind is Kind.READABLE

    def __str__(self) -> str:
        return self.description
