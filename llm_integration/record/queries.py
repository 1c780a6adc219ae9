"""The SQL of the database side, as named constants. ``$n`` are parameters; nothing is ever spliced in
but the fragments and column lists of this module.

Statements that write return what the caller needs, so that each is one round trip and one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from llm_integration.record.outcome_rows import OPINION_COLUMNS, OUTCOME_COLUMNS, TASK_COLUMNS
from llm_integration.record.rows import SIGNAL_COLUMNS

OPEN = "('pending', 'processing')"


def _live_elsewhere(me: str) -> str:
    """Task ``t`` is held by a worker that is alive and not ``me``, a text array; see the schema."""
    return f"""(t.claimed_by <> ALL ({me}) AND (
        t.lease_expires_at > clock_timestamp()
        OR EXISTS (SELECT FROM llm_workers w
                   WHERE w.worker_id = t.claimed_by AND w.lease_expires_at > clock_timestamp())
    )) IS TRUE"""  # IS TRUE: claimed_by may be NULL


def rows_of(columns: Mapping[str, str], alias: str, number: int = 1) -> str:
    """Parameter ``number``, the UTF-8 that storable.json_rows makes, turned into rows.

    One text costs the client half of what an array per column does; bytes it need not even read again.
    The condition holds always; it makes the planner expect one row. Otherwise it expects a hundred, and while
    the tables are young it keeps a plan that walks through them, however much they grow.
    """
    named = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    text = f"convert_from(${number}::bytea, 'UTF8')"
    few = f'COALESCE(octet_length("{next(iter(columns))}"), 0) % 1 = 0'
    return f"SELECT * FROM json_to_recordset({text}::json) AS {alias}({named}) WHERE {few}"  # noqa: S608  constants


# Signals and tasks. `incoming` has the columns of rows.SIGNAL_COLUMNS. Foreign keys are checked at the end of
# a statement, so session, signal and task can be written by one. Rows are inserted in the order of their
# ids: two statements that meet the same rows then wait for each other instead of deadlocking.
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
           stop_loss, target_price, indicators, strategy, notes
    FROM incoming ORDER BY signal_id
    ON CONFLICT (signal_id) DO NOTHING
),
filled AS (
    UPDATE trading_signals s
    SET (session_id, symbol, "timestamp", signal_type, entry_price, stop_loss, target_price, indicators,
         strategy, notes, placeholder)
      = (i.session_id, i.symbol, i."timestamp", i.signal_type, i.entry_price, i.stop_loss, i.target_price,
         i.indicators, i.strategy, i.notes, false)
    FROM incoming i WHERE s.signal_id = i.signal_id AND s.placeholder
)
"""

# This always returns the task, also when it was there before: DO NOTHING would return no row. A stored
# reservation is not touched.
RECORD_SIGNALS = f"""
WITH incoming AS MATERIALIZED ({rows_of(SIGNAL_COLUMNS, "s")}), {_STORE_SIGNALS}
INSERT INTO llm_enhancement_tasks AS t
    (signal_id, context, claimed_by, claimed_at, lease_expires_at, endpoint, simulated)
SELECT signal_id, context, $2::text,
       CASE WHEN $2::text IS NOT NULL THEN clock_timestamp() END,
       CASE WHEN $2::text IS NOT NULL THEN clock_timestamp() + make_interval(secs => $3::float8) END,
       $4::text, $5::boolean
FROM incoming ORDER BY signal_id
ON CONFLICT (signal_id) DO UPDATE SET context = COALESCE(t.context, EXCLUDED.context)
RETURNING t.task_id
"""  # noqa: S608  fragments of this module

# ON CONFLICT DO UPDATE locks the row it meets and then looks at its newest version, so of two workers that
# claim the same task at once the second sees the first one's claim, and its WHERE turns it away.
CLAIM_SIGNALS = f"""
WITH incoming AS MATERIALIZED ({rows_of(SIGNAL_COLUMNS, "s")}), {_STORE_SIGNALS}
INSERT INTO llm_enhancement_tasks AS t
    (signal_id, context, status, attempts, claim_id, claimed_by, claimed_at, lease_expires_at, endpoint,
     simulated)
SELECT signal_id, context, 'processing', 1, gen_random_uuid(), $2::text, clock_timestamp(),
       clock_timestamp() + make_interval(secs => $3::float8), $4::text, $5::boolean
FROM incoming ORDER BY signal_id
ON CONFLICT (signal_id) DO UPDATE
SET status = 'processing', endpoint = COALESCE(EXCLUDED.endpoint, t.endpoint),
    simulated = COALESCE(EXCLUDED.simulated, t.simulated), attempts = t.attempts + 1,
    claim_id = EXCLUDED.claim_id, claimed_by = EXCLUDED.claimed_by, claimed_at = EXCLUDED.claimed_at,
    lease_expires_at = EXCLUDED.lease_expires_at, context = COALESCE(t.context, EXCLUDED.context),
    updated_at = clock_timestamp()
WHERE t.status IN {OPEN} AND NOT {_live_elsewhere("ARRAY[$2::text]")}
RETURNING t.task_id, t.signal_id, t.claim_id::text, t.attempts,
          extract(epoch FROM clock_timestamp() - t.created_at)::float8 AS age_seconds
"""  # noqa: S608  fragments of this module

# The same for signals that were stored before, by their ids alone. Here, too, rows are locked in their order.
CLAIM_STORED = f"""
WITH picked AS MATERIALIZED (
    SELECT t.task_id FROM llm_enhancement_tasks t
    WHERE t.signal_id = ANY ($1::text[]) AND t.status IN {OPEN} AND NOT {_live_elsewhere("ARRAY[$2::text]")}
    ORDER BY t.signal_id
    FOR UPDATE OF t
)
UPDATE llm_enhancement_tasks t
SET status = 'processing', attempts = t.attempts + 1, claim_id = gen_random_uuid(), claimed_by = $2::text,
    claimed_at = clock_timestamp(), updated_at = clock_timestamp(),
    lease_expires_at = clock_timestamp() + make_interval(secs => $3::float8),
    endpoint = COALESCE($4::text, t.endpoint), simulated = COALESCE($5::boolean, t.simulated)
FROM picked p WHERE t.task_id = p.task_id
RETURNING t.task_id, t.signal_id, t.claim_id::text, t.attempts,
          extract(epoch FROM clock_timestamp() - t.created_at)::float8 AS age_seconds
"""  # noqa: S608  fragments of this module

IS_SIMULATED = """COALESCE(t.simulated, EXISTS (
            SELECT FROM trading_signals s JOIN trading_sessions x ON x.session_id = s.session_id
            WHERE s.signal_id = t.signal_id AND x.mode LIKE 'simulated%'))"""
"""Task ``t`` was meant for a simulated model; older tasks say it by their session only."""

SESSION_OF_TASK = """COALESCE((
            SELECT s.session_id FROM trading_signals s WHERE s.signal_id = t.signal_id), '')"""
"""The session of task ``t``, '' without one."""

# The worker's own reservations and claims are left alone for a moment: the host is just handing the signal
# over in memory, or it came after this statement was made. A claim on top of another voids that one, and if
# the reply to this statement is lost, the worker finishes the task by a claim that is good no more.
# $2 keeps a simulated model away from real tasks, and the other way round. $3 are the worker's own sessions,
# '' for signals without one; NULL for all. $4 is where it sends its requests; NULL: it takes what was meant
# for other places.
_WAITING = f"""t.status IN {OPEN}
      AND NOT {_live_elsewhere("ARRAY[$1::text]")}
      AND (t.claimed_by = $1::text AND t.claimed_at > clock_timestamp() - interval '2 seconds') IS NOT TRUE
      AND ($2::boolean IS NULL OR $2::boolean = {IS_SIMULATED})
      AND ($3::text[] IS NULL OR t.claimed_by IS NOT DISTINCT FROM $1::text
           OR {SESSION_OF_TASK} = ANY ($3::text[]))
      AND ($4::text IS NULL OR t.endpoint IS NULL OR t.endpoint = $4::text)"""

# What {_WAITING} leaves alone, and why: by session and endpoint, the newest session first.
LEFT_ALONE = f"""
SELECT session, endpoint, count(*) AS tasks
FROM (
    SELECT {SESSION_OF_TASK} AS session, t.endpoint
    FROM llm_enhancement_tasks t
    WHERE t.status IN {OPEN} AND NOT {_live_elsewhere("ARRAY[$1::text]")}
      AND ($2::boolean IS NULL OR $2::boolean = {IS_SIMULATED})
) AS waiting
WHERE NOT (($3::text[] IS NULL OR session = ANY ($3::text[]))
           AND ($4::text IS NULL OR endpoint IS NULL OR endpoint = $4::text))
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 1000
"""  # noqa: S608  fragments of this module

# Tasks within the sessions $3 that were meant for another endpoint than $4, by that endpoint.
FOR_ELSEWHERE = f"""
SELECT t.endpoint, count(*) AS tasks
FROM llm_enhancement_tasks t
WHERE t.status IN {OPEN} AND NOT {_live_elsewhere("ARRAY[$1::text]")} AND t.endpoint <> $4::text
  AND ($2::boolean IS NULL OR $2::boolean = {IS_SIMULATED})
  AND ($3::text[] IS NULL OR {SESSION_OF_TASK} = ANY ($3::text[]))
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100
"""  # noqa: S608  fragments of this module

# Page by page, as a worker with a backlog knows most of them: its own reservations.
WAITING_TASKS = f"""
SELECT t.task_id, t.signal_id FROM llm_enhancement_tasks t
WHERE {_WAITING} AND t.task_id > $5::bigint
ORDER BY t.task_id LIMIT $6::bigint
"""  # noqa: S608  fragments of this module

# SKIP LOCKED: a task that another worker is claiming at this moment is passed over, not waited for.
CLAIM_WAITING = f"""
WITH picked AS MATERIALIZED (
    SELECT t.task_id FROM llm_enhancement_tasks t
    WHERE {_WAITING} AND t.task_id = ANY ($6::bigint[])
    ORDER BY t.task_id LIMIT $7::bigint
    FOR UPDATE OF t SKIP LOCKED
), claimed AS (
    UPDATE llm_enhancement_tasks t
    SET status = 'processing', attempts = t.attempts + 1, claim_id = gen_random_uuid(), claimed_by = $1::text,
        claimed_at = clock_timestamp(), updated_at = clock_timestamp(),
        lease_expires_at = clock_timestamp() + make_interval(secs => $5::float8),
        endpoint = COALESCE($8::text, t.endpoint)
    FROM picked p WHERE t.task_id = p.task_id
    RETURNING t.task_id, t.signal_id, t.claim_id, t.attempts, t.context, t.created_at
)
SELECT c.task_id, c.claim_id, c.attempts, c.context::text AS context, s.signal_id, s.session_id, s.symbol,
       s."timestamp", s.signal_type, s.entry_price, s.stop_loss, s.target_price, s.indicators, s.strategy,
       s.notes,
       extract(epoch FROM clock_timestamp() - c.created_at)::float8 AS age_seconds
FROM claimed c JOIN trading_signals s ON s.signal_id = c.signal_id
ORDER BY c.task_id
"""  # noqa: S608  fragments of this module

_RESULT_COLUMNS = [name for name in OUTCOME_COLUMNS if name not in TASK_COLUMNS]
_RESULT_VALUES = ", ".join(f"i.{name}" for name in _RESULT_COLUMNS)
_RESULT_UPDATES = ", ".join(f"{name} = EXCLUDED.{name}" for name in _RESULT_COLUMNS)
_OPINION_NAMES = ", ".join(tuple(OPINION_COLUMNS)[1:])
TEXT_COLUMNS: Mapping[str, str] = {"text_id": "bytea", "content": "text"}

# One statement, hence one transaction: a task never ends without its result, nor the other way round.
# The fence: with a claim, the task must still carry that claim_id; without one (PostgreSQL was away when the
# work began), no other living worker may hold it. `me` are the workers that speak through this manager.
# A task that was called completed by hand and has no result still takes one.
# An outcome without a claim whose signal never arrived makes a placeholder for it, to be filled in later.
# `again` recognises an outcome that was stored before: its confirmation was lost and it is sent once more.
# Texts come once per statement and are sent every time, so that no result ever refers to one that is missing.
# Opinions of an earlier answer go: the DELETE sees only what stood there before this statement.
# "= ANY (ARRAY[x])" for "= x" leaves the planner no way but the index, also while the tables are young.
SAVE_OUTCOMES = f"""
WITH incoming AS MATERIALIZED ({rows_of(OUTCOME_COLUMNS, "o")}),
texts AS (
    INSERT INTO llm_texts (text_id, content)
    {rows_of(TEXT_COLUMNS, "x", 3)} ORDER BY text_id
    ON CONFLICT (text_id) DO NOTHING
),
signals AS (
    INSERT INTO trading_signals (signal_id, placeholder)
    SELECT signal_id, true FROM incoming WHERE NOT claimed ORDER BY signal_id
    ON CONFLICT (signal_id) DO NOTHING
),
new_tasks AS (
    INSERT INTO llm_enhancement_tasks (signal_id, status, claim_id, error, spent_usd, completed_at)
    SELECT signal_id, status, claim_id, error, spent_usd, clock_timestamp()
    FROM incoming WHERE NOT claimed ORDER BY signal_id
    ON CONFLICT (signal_id) DO NOTHING
    RETURNING task_id, signal_id
),
ended AS (
    UPDATE llm_enhancement_tasks t
    SET status = i.status, claim_id = i.claim_id, error = i.error, lease_expires_at = NULL,
        spent_usd = CASE WHEN i.spent_usd IS NULL THEN t.spent_usd
                         ELSE COALESCE(t.spent_usd, 0) + i.spent_usd END,
        completed_at = clock_timestamp(), updated_at = clock_timestamp()
    FROM incoming i
    WHERE t.signal_id = ANY (ARRAY[i.signal_id])
      AND CASE WHEN i.claimed THEN t.status IN {OPEN} AND t.claim_id = i.claim_id
               WHEN t.status IN {OPEN} THEN NOT {_live_elsewhere("$2::text[]")}
               ELSE t.status = 'completed' AND NOT EXISTS (
                    SELECT FROM llm_analysis_results r WHERE r.task_id = ANY (ARRAY[t.task_id])) END
    RETURNING t.task_id, t.signal_id
),
done AS (SELECT task_id, signal_id FROM ended UNION ALL SELECT task_id, signal_id FROM new_tasks),
results AS (
    INSERT INTO llm_analysis_results (task_id, signal_id, {", ".join(_RESULT_COLUMNS)})
    SELECT d.task_id, d.signal_id, {_RESULT_VALUES}
    FROM done d JOIN incoming i ON i.signal_id = d.signal_id
    WHERE i.status = 'completed'
    ON CONFLICT (task_id) DO UPDATE SET {_RESULT_UPDATES}, created_at = EXCLUDED.created_at
),
withdrawn AS (DELETE FROM llm_opinions o USING ended e WHERE o.task_id = e.task_id),
opinions AS (
    INSERT INTO llm_opinions (task_id, {_OPINION_NAMES})
    SELECT d.task_id, {_OPINION_NAMES}
    FROM ({rows_of(OPINION_COLUMNS, "p", 4)}) AS p JOIN done d ON d.signal_id = p.signal_id
),
again AS (
    SELECT t.signal_id FROM llm_enhancement_tasks t JOIN incoming i ON i.signal_id = t.signal_id
    WHERE t.claim_id = i.claim_id AND t.status NOT IN {OPEN}
)
SELECT signal_id FROM done UNION SELECT signal_id FROM again
"""  # noqa: S608  fragments of this module

# A released task belongs to nobody; its claim is void.
RELEASE = f"""
UPDATE llm_enhancement_tasks t
SET status = 'pending', claim_id = NULL, claimed_by = NULL, lease_expires_at = NULL,
    updated_at = clock_timestamp()
FROM unnest($1::bigint[], $2::uuid[]) AS c(task_id, claim_id)
WHERE t.task_id = c.task_id AND t.claim_id = c.claim_id AND t.status IN {OPEN}
"""  # noqa: S608  fragments of this module

# Rows of workers that were killed long ago go by the way.
HEARTBEAT = """
WITH gone AS (
    DELETE FROM llm_workers WHERE lease_expires_at < clock_timestamp() - interval '1 day' AND worker_id <> $1
)
INSERT INTO llm_workers (worker_id, lease_expires_at)
VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8))
ON CONFLICT (worker_id) DO UPDATE SET lease_expires_at = EXCLUDED.lease_expires_at
"""

# claim_id stays: a result that is already on its way is good until somebody else is given the task.
RETIRE_WORKER = f"""
WITH gone AS (DELETE FROM llm_workers WHERE worker_id = $1)
UPDATE llm_enhancement_tasks
SET status = 'pending', claimed_by = NULL, lease_expires_at = NULL, updated_at = clock_timestamp()
WHERE claimed_by = $1 AND status IN {OPEN}
"""  # noqa: S608  fragments of this module

# Tasks by hand

# The first SELECT finds no signal: no row at all. The upsert returns the task also when it was there.
CREATE_TASK = """
INSERT INTO llm_enhancement_tasks AS t (signal_id)
SELECT signal_id FROM trading_signals WHERE signal_id = $1
ON CONFLICT (signal_id) DO UPDATE SET signal_id = EXCLUDED.signal_id
RETURNING t.task_id
"""

PENDING_TASKS = """
SELECT t.task_id, t.signal_id, t.status, t.attempts, t.created_at, t.context, s.session_id, s.symbol,
       s."timestamp", s.signal_type, s.entry_price, s.stop_loss, s.target_price, s.indicators, s.strategy,
       s.notes
FROM llm_enhancement_tasks t JOIN trading_signals s ON s.signal_id = t.signal_id
WHERE t.status = 'pending' ORDER BY t.task_id LIMIT $1::bigint
"""

# Whoever sets a status by hand voids the claim: a worker that still holds it is refused by the fence.
SET_STATUS = f"""
UPDATE llm_enhancement_tasks
SET status = $2::text, error = $3::text, claim_id = NULL, claimed_by = NULL, lease_expires_at = NULL,
    completed_at = CASE WHEN $2::text IN {OPEN} THEN NULL ELSE COALESCE(completed_at, clock_timestamp()) END,
    updated_at = clock_timestamp()
WHERE task_id = $1::bigint
RETURNING task_id
"""  # noqa: S608  fragments of this module

TASK_SIGNAL = "SELECT signal_id, status, claim_id FROM llm_enhancement_tasks WHERE task_id = $1::bigint"
