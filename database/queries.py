"""The SQL of the database side, as named constants. ``$n`` are parameters; nothing is ever spliced in
but the fragments and column lists of this module.

Statements that write return what the caller needs, so that each is one round trip and one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from database.rows import OUTCOME_COLUMNS, SIGNAL_COLUMNS

OPEN = "('pending', 'processing')"


def _live_elsewhere(me: str) -> str:
    """Task ``t`` is held by a worker that is alive and not ``me``, a text array; see the schema."""
    return f"""(t.claimed_by <> ALL ({me}) AND (
        t.lease_expires_at > clock_timestamp()
        OR EXISTS (SELECT FROM llm_workers w
                   WHERE w.worker_id = t.claimed_by AND w.lease_expires_at > clock_timestamp())
    )) IS TRUE"""  # IS TRUE: claimed_by may be NULL


def _unnest(columns: Mapping[str, str], alias: str) -> str:
    """One parameter per column, each an array, turned into rows."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), 1))
    names = ", ".join(f'"{name}"' for name in columns)
    return f"SELECT * FROM unnest({arrays}) AS {alias}({names})"


def _one(columns: Mapping[str, str]) -> str:
    return "SELECT " + ", ".join(
        f'${number}::{kind} AS "{name}"' for number, (name, kind) in enumerate(columns.items(), 1)
    )


# Signals and tasks. `incoming` holds signals in the order of rows.SIGNAL_COLUMNS. Foreign keys are checked at
# the end of a statement, so session, signal and task can be written by one. Rows are inserted in the order
# of their ids: two statements that meet the same rows then wait for each other instead of deadlocking.
# A placeholder (its result came first) is filled in; any other stored signal stays as it is.
_STORE_SIGNALS = """
sessions AS (
    INSERT INTO trading_sessions (session_id, symbol)
    SELECT DISTINCT ON (session_id) session_id, symbol FROM incoming WHERE session_id IS NOT NULL ORDER BY 1
    ON CONFLICT (session_id) DO NOTHING
),
signals AS (
    INSERT INTO trading_signals (signal_id, session_id, symbol, "timestamp", signal_type, entry_price,
                                 stop_loss, target_price, indicators, strategy, notes)
    SELECT signal_id, session_id, symbol, "timestamp", signal_type, entry_price,
           stop_loss, target_price, indicators::jsonb, strategy, notes
    FROM incoming ORDER BY signal_id
    ON CONFLICT (signal_id) DO NOTHING
),
filled AS (
    UPDATE trading_signals s
    SET (session_id, symbol, "timestamp", signal_type, entry_price, stop_loss, target_price, indicators,
         strategy, notes, placeholder)
      = (i.session_id, i.symbol, i."timestamp", i.signal_type, i.entry_price, i.stop_loss, i.target_price,
         i.indicators::jsonb, i.strategy, i.notes, false)
    FROM incoming i WHERE s.signal_id = i.signal_id AND s.placeholder
)
"""

_N = len(SIGNAL_COLUMNS)

# Always returns the task, also when it was there before: DO NOTHING would return no row. A stored reservation
# is not touched.
RECORD_SIGNAL = f"""
WITH incoming AS MATERIALIZED ({_one(SIGNAL_COLUMNS)}), {_STORE_SIGNALS}
INSERT INTO llm_enhancement_tasks AS t (signal_id, context, claimed_by, claimed_at, lease_expires_at)
SELECT signal_id, context::jsonb, ${_N + 1}::text,
       CASE WHEN ${_N + 1}::text IS NOT NULL THEN clock_timestamp() END,
       CASE WHEN ${_N + 1}::text IS NOT NULL THEN clock_timestamp() + make_interval(secs => ${_N + 2}::float8) END
FROM incoming
ON CONFLICT (signal_id) DO UPDATE SET context = COALESCE(t.context, EXCLUDED.context)
RETURNING t.task_id
"""  # noqa: S608  fragments of this module

# ON CONFLICT DO UPDATE locks the row it meets and then looks at its newest version, so of two workers that
# claim the same task at once the second sees the first one's claim, and its WHERE turns it away.
CLAIM_SIGNALS = f"""
WITH signals_only AS MATERIALIZED ({_unnest(SIGNAL_COLUMNS, "s")}),
incoming AS MATERIALIZED (SELECT * FROM signals_only), {_STORE_SIGNALS}
INSERT INTO llm_enhancement_tasks AS t
    (signal_id, context, status, attempts, claim_id, claimed_by, claimed_at, lease_expires_at)
SELECT signal_id, context::jsonb, 'processing', 1, gen_random_uuid(), ${_N + 1}::text, clock_timestamp(),
       clock_timestamp() + make_interval(secs => ${_N + 2}::float8)
FROM incoming ORDER BY signal_id
ON CONFLICT (signal_id) DO UPDATE
SET status = 'processing', attempts = t.attempts + 1, claim_id = EXCLUDED.claim_id,
    claimed_by = EXCLUDED.claimed_by, claimed_at = EXCLUDED.claimed_at,
    lease_expires_at = EXCLUDED.lease_expires_at, context = COALESCE(t.context, EXCLUDED.context),
    updated_at = clock_timestamp()
WHERE t.status IN {OPEN} AND NOT {_live_elsewhere(f"ARRAY[${_N + 1}::text]")}
RETURNING t.task_id, t.signal_id, t.claim_id, t.attempts,
          extract(epoch FROM clock_timestamp() - t.created_at)::float8 AS age_seconds
""".replace(
    f"WITH signals_only AS MATERIALIZED ({_unnest(SIGNAL_COLUMNS, 's')}),\n"
    "incoming AS MATERIALIZED (SELECT * FROM signals_only)",
    f"WITH incoming AS MATERIALIZED ({_unnest(SIGNAL_COLUMNS, 's')})",
)  # noqa: S608
