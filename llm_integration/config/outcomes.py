"""Settings of outcomes: by which rules it is told what became of each signal, and what a trade costs."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from llm_integration.config.names import Block

__all__ = ["Outcomes"]

Price = Annotated[float, Field(ge=0, le=1_000_000_000)]


def _nullable(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() in ("null", "none", "") else value


class Outcomes(Block):
    """What became of signals, told from the bars that the host hands over.

    The rules and their defaults are those of ``python -m llm_integration worth``; costs are in price units of
    a round trip, and each stored outcome names what was taken off.
    """

    enabled: bool = Field(
        True, description="Follows each signal over the bars that come in, and stores what it came to."
    )
    entry: Literal["next_open", "close", "signal"] = Field(
        "next_open",
        description="Where a signal enters unless the host reports a fill: at the next bar's open, the close "
        "of its own bar, or the price that it names.",
    )
    horizon_bars: Annotated[int | None, BeforeValidator(_nullable)] = Field(
        60,
        ge=1,
        le=1_000_000,
        description="A trade ends at the close of that bar at the latest; null: no limit.",
    )
    session_end: Annotated[str | None, BeforeValidator(_nullable)] = Field(
        None, description="`HH:MM` in `bars_timezone`: a trade ends with the session; null: it does not."
    )
    spread: Price = Field(0.0, description="Cost of a round trip, in price units.")
    commission: Price = Field(0.0, description="The same, on top.")
    slippage: Price = Field(0.0, description="The same, where a stop was hit.")

    @field_validator("session_end")
    @classmethod
    def _time_of_day(cls, value: str | None) -> str | None:
        if value is not None:
            _parsed(value)
        return value

    @property
    def ends_at(self) -> time | None:
        """``session_end`` as a time of day."""
        return None if self.session_end is None else _parsed(self.session_end)


def _parsed(text: str) -> time:
    try:
        return datetime.strptime(text.strip(), "%H:%M").replace(tzinfo=UTC).time()
    except ValueError:
        raise ValueError("should be a time of day such as 22:00") from None
