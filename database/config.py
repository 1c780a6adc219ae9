"""The ``database`` block of ``config.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator

__all__ = ["EMBEDDED", "DatabaseConfig"]

EMBEDDED = "embedded"


class DatabaseConfig(BaseModel):
    """Where PostgreSQL is, and how long anything may wait for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    url: SecretStr = Field(
        SecretStr(EMBEDDED),
        description="`postgresql://user:password@host:port/database`, or `embedded` for the server that "
        "comes with the installation.",
    )
    required: bool = Field(
        True,
        description="True: the program refuses to start without PostgreSQL. False: it starts, and results "
        "go to CSV until PostgreSQL answers.",
    )
    pool_size: int = Field(4, ge=1, le=64, description="Most connections at once.")
    connect_timeout_seconds: float = Field(5.0, gt=0, le=60, description="Bound of opening one connection.")
    statement_timeout_seconds: float = Field(
        5.0, gt=0, le=300, description="Bound of one statement, kept by the client and by the server."
    )
    handoff_timeout_seconds: float = Field(
        0.05,
        ge=0,
        le=5,
        description="Longest time the bar loop waits for PostgreSQL per signal; a later answer is not lost.",
    )

    outbox_directory: str = Field(
        ".tradent/outbox",
        description="Folder where signals and results also wait on disk while PostgreSQL is away; empty: "
        "they wait in memory only.",
    )
    outbox_max_entries: int = Field(
        100_000, ge=1, le=10_000_000, description="Most signals and results in the outbox of one process."
    )

    _folder: Path = PrivateAttr(default=Path())

    @field_validator("url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if text == EMBEDDED:
            return SecretStr(text)
        try:
            scheme, port = urlsplit(text).scheme, urlsplit(text).port
        except ValueError:
            raise ValueError("should be a URL with a port from 1 to 65535") from None
        if scheme not in ("postgresql", "postgres") or port == 0:
            raise ValueError("should be 'embedded' or start with postgresql://")
        return SecretStr(text)

    def in_folder(self, folder: Path | None) -> Self:
        """A copy whose relative paths start in ``folder``, that of the file; None: in the working folder."""
        copy = self.model_copy()
        copy._folder = folder or Path()
        return copy

    @property
    def outbox_folder(self) -> Path | None:
        """The folder that ``outbox_directory`` means; None when there is none."""
        return self._folder / self.outbox_directory if self.outbox_directory else None

    @property
    def embedded(self) -> bool:
        """True when the server that comes with the installation is meant."""
        return self.url.get_secret_value() == EMBEDDED
