"""A field of a result is declared once; table, outbox, export and CSV files follow from there."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_type_hints

import pytest

from llm_integration.csv_exporter import RESULT_COLUMNS, SIGNAL_COLUMNS
from llm_integration.domain import (
    CallFacts,
    LLMAnalysis,
    Opinion,
    ParseMethod,
    PromptFacts,
    Reading,
    Signal,
    TaskStatus,
)
from llm_integration.record import host_queries, queries
from llm_integration.record.columns import OF_THE_TASK, OPINION, RESULT, Table
from llm_integration.record.migrations import MIGRATIONS, read_sql
from llm_integration.record.outbox.entries import KeptOutcome, decode, encode
from llm_integration.record.outcome_rows import (
    OPINION_COLUMNS,
    OUTCOME_COLUMNS,
    analysis_from_row,
    opinion_from_row,
    opinion_rows,
    outcome_columns,
    outcome_row,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNAL = Signal("s", T0, "ES", "BUY", 1.0, 0.9, 1.2)
VALUES: dict[object, Any] = {
    str | None: "some text", str: "some text", int | None: 3, int: 3, float | None: 1.5, datetime | None: T0,
    Decimal | None: Decimal("0.00012"), ParseMethod: ParseMethod.JSON, TaskStatus: TaskStatus.COMPLETED,
    tuple[str, ...]: ("one", "two"),
}  # fmt: skip
"""A value for each type of field that is not the default of any."""


def filled(kind: type[Any], **others: Any) -> Any:
    """An analysis or opinion all of whose fields say something."""
    hints = get_type_hints(kind)
    values = {
        field.name: VALUES[hints[field.name]]
        for field in fields(kind)
        if field.name not in {"choppiness", "role", "opinions", "error"}
    }
    return kind(**{**values, "choppiness": "yes", **others})


OPINIONS = (filled(Opinion, role="shadow", error="why"), filled(Opinion, role="ensemble", error="why not"))
ANALYSIS: LLMAnalysis = filled(LLMAnalysis, signal_id="s", opinions=OPINIONS, batch_size=1)


def columns_in_sql(table: str) -> list[str]:
    """The columns that the migrations give to ``table``."""
    text = "\n".join(read_sql(name) for names in MIGRATIONS.values() for name in names)
    (body,) = re.findall(rf"CREATE TABLE IF NOT EXISTS {table} \((.*?)\n\);", text, re.S)
    found = re.findall(r"^    ([a-z_]+) +[A-Z]", body, re.M)
    for added in re.findall(rf"ALTER TABLE {table}\b(.*?);", text, re.S):
        found += re.findall(r"ADD COLUMN IF NOT EXISTS (\w+)", added)
    return found


@pytest.mark.parametrize("kind", [LLMAnalysis, Opinion])
def test_a_fact_is_declared_once(kind: type[LLMAnalysis | Opinion]) -> None:
    """An analysis and an opinion have what they have in common from the same three classes."""
    chain = [base for base in kind.__mro__ if base is not object]
    assert chain[1:] == [PromptFacts, CallFacts, Reading]
    declared = [name for base in chain for name in base.__annotations__ if name != "_"]
    assert sorted(declared) == sorted(field.name for field in fields(kind))


def test_every_field_is_a_column_of_its_table_and_every_column_a_field() -> None:
    """A field without a migration, or a column that nobody fills, is seen here."""
    kept_by_the_table = {"result_id", "opinion_id", "task_id", "signal_id", "created_at", "position"}
    of_results = set(outcome_columns()) - {"claim_id", "claimed", "status", "error", "spent_usd", "signal_id"}
    assert of_results == set(columns_in_sql("llm_analysis_results")) - kept_by_the_table
    assert set(OPINION.kinds) == set(columns_in_sql("llm_opinions")) - kept_by_the_table
    assert {field.name for field in fields(LLMAnalysis)} == set(RESULT.kinds) | OF_THE_TASK
    assert {field.name for field in fields(Opinion)} == set(OPINION.kinds)


def test_every_column_is_written_and_read() -> None:
    """The statements that store and select results name each of them."""
    assert list(outcome_row(ANALYSIS, None, {}).keys() ^ OUTCOME_COLUMNS.keys()) == []
    assert list(opinion_rows(ANALYSIS)[0].keys() ^ OPINION_COLUMNS.keys()) == []
    stored = queries.SAVE_OUTCOMES.partition("INSERT INTO llm_analysis_results")[2].partition(")")[0]
    selected = host_queries.FINISHED_SIGNALS.partition("FROM trading_signals")[0]
    for name in set(RESULT.kinds) - {"error", "system_text"}:
        assert re.search(rf"\b{name}\b", stored), name
        assert re.search(rf"\b{name}\b", selected), name
        assert re.search(rf"\b{name} = EXCLUDED.{name}\b", queries.SAVE_OUTCOMES), name


def test_what_is_stored_reads_back_as_it_was() -> None:
    """Every field of an analysis and of its opinions has its value again, and none has another's."""
    texts: dict[str, str] = {}
    row = outcome_row(ANALYSIS, None, texts)
    row |= {name: getattr(ANALYSIS, name) for name in ("cost_usd", "processed_at", "system_text", "task_id")}
    row |= {"completed_at": None, "unrated_reason": ANALYSIS.error}
    (system,) = texts.values()
    assert system == ANALYSIS.system_text
    opinions = [{**stored, "cost_usd": Decimal(stored["cost_usd"])} for stored in opinion_rows(ANALYSIS)]
    assert tuple(map(opinion_from_row, opinions)) == OPINIONS
    assert analysis_from_row(row) == filled(LLMAnalysis, signal_id="s", batch_size=1)


def test_an_entry_of_the_outbox_has_every_field() -> None:
    """What waits on disk for PostgreSQL loses nothing, whatever field it is in."""
    entry = KeptOutcome(SIGNAL, ANALYSIS)
    assert decode("outcome", encode(entry)) == entry


def test_the_cells_of_the_csv_files_are_fields() -> None:
    """Their columns are promised to users; what stands under ``llm_`` is what a result has of that name."""
    called = {"model_used": "model_served", "processing_time_ms": "total_ms"}
    names = {
        name.removeprefix("llm_") for name in (*SIGNAL_COLUMNS, *RESULT_COLUMNS) if name.startswith("llm_")
    }
    assert {called.get(name, name) for name in names} <= {field.name for field in fields(LLMAnalysis)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(LLMAnalysis):
    """An analysis with one more field of each type that has a column."""

    note: str | None = None
    pieces: int | None = None
    first_token_ms: float | None = None
    surcharge_usd: Decimal | None = None
    begun_at: datetime | None = None


ADDED = {
    "note": "text", "pieces": "int8", "first_token_ms": "float8", "surcharge_usd": "numeric",
    "begun_at": "timestamptz",
}  # fmt: skip


def test_a_new_field_is_a_new_column() -> None:
    """Nothing but the field itself says so: its type says how it is stored, and what is None stays None."""
    table = Table(Timed)
    assert outcome_columns(table) == {**outcome_columns(), **ADDED}
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    timed = Timed(
        signal_id="s", status=TaskStatus.COMPLETED, note="nul \0", pieces=-1, first_token_ms=2.5,
        surcharge_usd=Decimal("NaN"), begun_at=moment,
    )  # fmt: skip
    row = outcome_row(timed, None, {}, table)
    assert {name: row[name] for name in ADDED} == {
        "note": "nul \ufffd", "pieces": None, "first_token_ms": 2.5, "surcharge_usd": None,
        "begun_at": moment,
    }  # fmt: skip
    bare = outcome_row(Timed(signal_id="s", status=TaskStatus.COMPLETED), None, {}, table)
    assert [bare[name] for name in ADDED] == [None] * len(ADDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd(LLMAnalysis):
    """An analysis with a field of a type that no column is known for."""

    levels: list[float] | None = None


def test_a_field_that_nobody_knows_how_to_store_is_refused_at_once() -> None:
    """Not when the first result is lost."""
    with pytest.raises(TypeError, match=r"the field levels has no column: add its type, list\[float\]"):
        Table(Odd)
