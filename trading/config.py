"""TradingConfig: the ``trading`` block of ``config.json``, what the bundled strategy and feed go by."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["TradingConfig"]


class TradingConfig(BaseModel):
    """Settings of the host. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    symbol: str = Field(
        "EURUSD", min_length=1, max_length=64, description="Symbol of the bars; `--symbol` overrides it."
    )
    fast_period: int = Field(20, ge=1, le=1_000, description="Bars in the fast moving average.")
    slow_period: int = Field(50, ge=2, le=5_000, description="Bars in the slow moving average.")
    atr_period: int = Field(14, ge=1, le=1_000, description="Bars in the average true range.")
    stop_atr_multiple: float = Field(
        2.0, gt=0, le=100, description="Distance of the stop loss from the entry, in average true ranges."
    )
    reward_multiple: float = Field(
        2.0, gt=0, le=100, description="Distance of the target from the entry, in risks (R)."
    )
    follow_poll_seconds: float = Field(
        0.25, gt=0, le=60, description="With `--follow`, how often the file is looked at for new bars."
    )
    progress_interval_seconds: float = Field(
        5.0, gt=0, le=3_600, description="Without the dashboard, how often a line of progress is logged."
    )
    dashboard_refreshes_per_second: float = Field(
        4.0, ge=0.5, le=10, description="How often the dashboard is redrawn."
    )

    @model_validator(mode="after")
    def _fast_is_faster(self) -> Self:
        if self.fast_period >= self.slow_period:
            raise ValueError(
                f"fast_period ({self.fast_period}) must be smaller than slow_period ({self.slow_period})"
            )
        return self
