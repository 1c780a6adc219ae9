"""Settings of budgets: how much may be spent, on what, in which time, and what happens then."""

from __future__ import annotations

from datetime import tzinfo
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from llm_integration.config.names import Block, ModelId
from llm_integration.config.routes import time_span, zone_of

__all__ = ["Budget"]


def _amount(value: object) -> object:
    """A float means the number that was written, not its binary neighbour."""
    return str(value) if isinstance(value, float) else value


Usd = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(str, return_type=str, when_used="json"),
    Field(gt=0, le=1_000_000_000, decimal_places=9),
]


class Budget(Block):
    """One bound on spending: so much per hour, day or month, for all requests or some symbols and models.

    A request counts with its highest possible cost from the moment it is sent until its bill is known, and
    with the bill after that. Spent and put aside together never exceed the budget, unless ``on_exceeded``
    is ``warn``.
    """

    name: str | None = Field(
        None, min_length=1, max_length=64, description="Shown in messages; made from the rest if left out."
    )
    per: Literal["hour", "day", "month"] = Field(description="Calendar hour, day or month in `timezone`.")
    usd: Usd | None = Field(None, description="Most US dollars in that time.")
    tokens: int | None = Field(
        None, ge=1, le=10**15, description="Most tokens in that time, prompts and replies together."
    )
    symbol: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="Counts signals of these symbols only: pattern with `*` and `?`, any case. "
        "They bear their share of a request about several.",
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Counts requests to these models only: pattern with `*` and `?`, any case.",
    )
    on_exceeded: Literal["stop", "downgrade", "warn"] = Field(
        "stop",
        description="`stop`: signals wait until there is room or they are too old; `downgrade`: ask "
        "`downgrade_to` instead; `warn`: go on and say so.",
    )
    downgrade_to: ModelId | None = Field(
        None,
        description="Cheaper model for `downgrade`. It must fit into the budget as well, unless `model` "
        "leaves it out.",
    )
    trading_hours: str | None = Field(
        None,
        description="`HH:MM-HH:MM` in `timezone`: a budget per day becomes available over these hours, so "
        "that it is not gone before they begin; `18:00-17:00` runs over midnight.",
    )
    timezone: str = Field("UTC", max_length=64, description="Where hour, day and month begin.")

    @field_validator("symbol", "model")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("should be a pattern such as ES*")
        return None if value is None else value.strip()

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone_of(value)
        return value

    @field_validator("trading_hours")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None:
            start, end = time_span(value)
            if start == end:
                raise ValueError("starts and ends at the same minute; leave it out to have the whole day")
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.usd is None and self.tokens is None:
            raise ValueError("give usd, tokens or both")
        if (self.on_exceeded == "downgrade") != (self.downgrade_to is not None):
            raise ValueError('downgrade_to and on_exceeded "downgrade" go together')
        if self.trading_hours is not None and self.per != "day":
            raise ValueError('trading_hours needs per "day"')
        if self.trading_hours is not None and self.on_exceeded == "warn":
            raise ValueError('trading_hours changes nothing with on_exceeded "warn"')
        return self

    @property
    def zone(self) -> tzinfo:
        """The time zone itself."""
        return zone_of(self.timezone)

    @property
    def label(self) -> str:
        """The name, or a description such as ``5 USD per day, symbol ES*``."""
        if self.name:
            return self.name
        amounts = [f"{self.usd} USD"] if self.usd is not None else []
        amounts += [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        parts = [f"{' and '.join(amounts)} per {self.per}"]
        parts += [f"symbol {self.symbol}"] if self.symbol else []
        parts += [f"model {self.model}"] if self.model else []
        return ", ".join(parts)
