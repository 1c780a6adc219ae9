"""The ``database`` block."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from database.db_manager import DatabaseManager
from llm_integration.record.config import DatabaseConfig


def test_the_defaults_mean_the_embedded_server() -> None:
    """Without a block, the server of the installation is used and is required."""
    config = DatabaseConfig()
    assert config.embedded
    assert config.required


@pytest.mark.parametrize(
    "url", ["postgresql://u:MARKER@h/d", "postgres://h/d", " postgresql:///d?host=/run "]
)
def test_postgres_urls_are_taken(url: str) -> None:
    """Both schemes do; blanks around do not matter; the password shows nowhere."""
    config = DatabaseConfig.model_validate({"url": url})
    assert not config.embedded
    assert "MARKER" not in repr(config) + str(config.model_dump()) + repr(DatabaseManager.from_config(config))


@pytest.mark.parametrize(
    "values",
    [
        {"url": "mysql://u:MARKER@h/d"},
        {"url": "postgresql://u:MARKER@h:99999/d"},
        {"url": "u:MARKER@h"},
        {"pool_size": 0},
        {"statement_timeout_seconds": -1},
        {"handoff_timeout_seconds": float("nan")},
        {"pool": 3},
    ],
)
def test_wrong_settings_are_refused_without_showing_the_url(values: dict[str, Any]) -> None:
    """A mistake is an error, and the error does not hold the password."""
    with pytest.raises(ValidationError) as caught:
        DatabaseConfig.model_validate(values)
    assert "MARKER" not in str(caught.value)


def test_every_setting_is_described() -> None:
    """The reference in the README is made from these descriptions."""
    assert all(field.description for field in DatabaseConfig.model_fields.values())


def test_the_bounds_reach_the_manager() -> None:
    """Each setting of the block does something."""
    config = DatabaseConfig(pool_size=7, connect_timeout_seconds=1.5, statement_timeout_seconds=2.5)
    connections = DatabaseManager.from_config(config, "postgresql://h/d")._connections
    opener = connections._opener
    assert (opener.sizes, opener.connect_timeout, opener.statement_timeout) == ((1, 7), 1.5, 2.5)
