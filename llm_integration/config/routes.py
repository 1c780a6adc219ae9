"""Settings of routes and second opinions: which signal is shown to which model, and how.

A route is ``{"when": {...}, "model": ..., ...}``. Every condition under ``when`` must hold; an empty
``when`` always does. What a route leaves out comes from the general settings.
"""

from __future__ import annotations

import re
from datetime import UTC, time, tzinfo
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from llm_integration.config.names import Block, ModelId, Names

__all__ = ["WEEKDAYS", "Bounds", "Route", "Shadow", "When", "quorum_of", "time_span", "zone_of"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_SPAN = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")


PromptName = Annotated[str, Field(min_length=1, max_length=200)]


class Bounds(Block):
    """A range of numbers, both ends included; one of them may be left out."""

    min: float | None = Field(None, description="Smallest value that matches.")
    max: float | None = Field(None, description="Largest value that matches.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}, so nothing could match")
        return self


class When(Block):
    """The conditions of a route; all that are given must hold. A value the signal lacks matches no bound."""

    symbol: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="Pattern with `*` and `?`, any case: `ES*`.",
    )
    signal_type: str | None = Field(
        None, min_length=1, max_length=128, description="Pattern like `symbol`'s: `BUY`, `*short*`."
    )
    risk_reward_min: float | None = Field(None, ge=0, description="Smallest risk/reward ratio.")
    risk_reward_max: float | None = Field(None, ge=0, description="Largest risk/reward ratio.")
    indicator: dict[str, Bounds] = Field(
        default_factory=dict,
        max_length=50,
        description='Indicator values by name: `{"adx_14": {"min": 25}}`.',
    )
    time: str | None = Field(
        None, description="Time of day, `HH:MM-HH:MM`, the end excluded; `22:00-02:00` runs over midnight."
    )
    timezone: str = Field("UTC", max_length=64, description="Time zone of `time` and `weekday`.")
    weekday: Names = Field(default_factory=list, max_length=7, description="Days: `mon` to `sun`.")
    backlog_min: int | None = Field(None, ge=0, description="Fewest signals waiting.")
    backlog_max: int | None = Field(None, ge=0, description="Most signals waiting.")

    @field_validator("time")
    @classmethod
    def _time(cls, value: str | None) -> str | None:
        if value is not None:
            start, end = time_span(value)
            if start == end and not value.rstrip().endswith("24:00"):
                raise ValueError("starts and ends at the same minute, so nothing could match")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone_of(value)
        return value

    @field_validator("weekday")
    @classmethod
    def _days(cls, value: list[str]) -> list[str]:
        days = [day.strip().lower()[:3] for day in value]
        for day, given in zip(days, value, strict=True):
            if day not in WEEKDAYS:
                raise ValueError(f"{given[:20]!r} is no weekday (known: {', '.join(WEEKDAYS)})")
        return days

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("risk_reward", "backlog"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if low is not None and high is not None and low > high:
                raise ValueError(f"{name}_min {low:g} is above {name}_max {high:g}, so nothing could match")
        if self.timezone.upper() != "UTC" and self.time is None and not self.weekday:
            raise ValueError("timezone changes nothing without time or weekday")
        return self


class Route(Block):
    """One routing rule. The first whose conditions hold decides; the general settings fill the rest."""

    name: str | None = Field(None, min_length=1, max_length=64, description="Stored with each result.")
    when: When = Field(default_factory=When, description="Conditions, all of which must hold.")
    model: ModelId | None = Field(None, description="Model to ask instead of the general one.")
    fallbacks: list[ModelId] | None = Field(
        None, max_length=10, description="Models asked when it fails; without it the general ones."
    )
    max_tokens: int | None = Field(None, ge=16, le=65_536, description="Most tokens of the reply.")
    temperature: float | None = Field(None, ge=0, le=2, description="Sampling temperature.")
    prompt: PromptName | None = Field(None, description="Prompt template to use.")
    ensemble: list[ModelId] | None = Field(
        None, max_length=9, description="Models that are all asked; `[]` switches the general ones off."
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        rest = set(type(self).model_fields) - {"name", "when"}
        if all(getattr(self, name) is None for name in rest):
            raise ValueError("changes nothing; give model, max_tokens, temperature, prompt or ensemble")
        return self


class Shadow(Block):
    """A model or prompt asked about a sample of the signals, stored for comparison, never delivered."""

    model: ModelId | None = Field(None, description="Model to compare; without it the signal's own.")
    prompt: PromptName | None = Field(None, description="Prompt to compare; without it the signal's own.")
    share: float = Field(0.1, gt=0, le=1, description="Share of the signals that are asked about.")

    @model_validator(mode="after")
    def _compares_something(self) -> Self:
        if self.model is None and self.prompt is None:
            raise ValueError("give model, prompt or both")
        return self


def quorum_of(models: int) -> int:
    """How many of ``models`` must rate when no quorum is set: more than half."""
    return models // 2 + 1


def zone_of(name: str) -> tzinfo:
    """The time zone called ``name``. Raises ValueError for one that this machine does not know."""
    if name.upper() == "UTC":  # known also where no time zone data is installed
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError("should be a time zone that this machine knows, such as America/New_York") from None


def time_span(text: str) -> tuple[time, time]:
    """Start and end of ``HH:MM-HH:MM``; 24:00 is midnight. Raises ValueError for anything else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError("should be HH:MM-HH:MM, for example 13:30-20:00")
    hours_from, minutes_from, hours_to, minutes_to = map(int, match.groups())
    if (hours_to, minutes_to) == (24, 0):
        hours_to = 0
    try:
        return time(hours_from, minutes_from), time(hours_to, minutes_to)
    except ValueError:
        raise ValueError("should be HH:MM-HH:MM with hours 00 to 23, for example 13:30-20:00") from None
