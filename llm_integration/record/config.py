"""The ``database`` block of ``config.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
)

from llm_integration.record.database_url import SCHEMA_NAME, read_url

__all__ = ["EMBEDDED", "DatabaseConfig"]

EMBEDDED = "embedded"


def _hidden(value: Any) -> Any:
    """Errors about the value then carry a mask in its place."""
    return SecretStr(value.strip()) if isinstance(value, str) else value


def _readable(value: SecretStr) -> SecretStr:
    if value.get_secret_value() != EMBEDDED:
        read_url(value)
    return value


DatabaseURL = Annotated[SecretStr, AfterValidator(_readable), BeforeValidator(_hidden)]


class DatabaseConfig(BaseModel):
    """Where PostgreSQL is, and how long anything may wait for it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        populate_by_name=True,
    )

    url: DatabaseURL = Field(
        SecretStr(EMBEDDED),
        description="`postgresql://user:password@host:port/database`, or `embedded` for the server that "
        "comes with the installation.",
    )
    db_schema: str | None = Field(
        None,
        alias="schema",
        description="Schema that holds all tables, created if there is none of that name; `null`: where the "
        "server puts them, `public` as a rule.",
    )
    pooler: bool | Literal["auto"] = Field(
        "auto",
        description="True: `database.url` leads to a pooler that hands connections on between transactions "
        "(pgbouncer and its like), so nothing is kept in a session. False: it does not. `auto`: found out.",
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

    @field_validator("db_schema")
    @classmethod
    def _schema(cls, value: str | None) -> str | None:
        if value is not None and not SCHEMA_NAME.fullmatch(value):
            raise ValueError("should be a name of a-z, 0-9 and _, not pg_...")
        return value

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
