"""Opinions of shadows, stored after the result they are compared with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from database import DatabaseManager
from llm_integration.domain import Opinion
from llm_integration.record.errors import UnknownSignalError
from tests.integration.database_helpers import LEASE, answer, signal

pytestmark = pytest.mark.postgres


async def test_opinions_come_back_as_they_went_in_and_in_order(db: DatabaseManager) -> None:
    """Those of an ensemble come first, each later shadow after them."""
    voices = (Opinion("ensemble", "a/b", rating=3), Opinion("ensemble", "c/d", error="refused"))
    claims = await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)
    await db.save_outcomes([(answer(opinions=voices), claims["s-1"])])
    shadow = Opinion("shadow", "e/f", rating=1, choppiness="yes", cost_usd=Decimal("0.00003"), attempts=2)
    await db.save_opinions("s-1", [shadow])
    await db.save_opinions("s-1", [])
    assert (await db.get_opinions(["s-1"]))["s-1"] == (*voices, shadow)


async def test_an_opinion_about_nothing_is_refused(db: DatabaseManager) -> None:
    """Without a task there is nothing to compare with."""
    with pytest.raises(UnknownSignalError, match="nobody"):
        await db.save_opinions("nobody", [Opinion("shadow", "a/b", rating=1)])
