-- Signals and their tasks: stored, claimed, given back. Statements that write return what the caller needs, so
-- that each is one round trip and one transaction.

-- part: store_signals
-- Signals and tasks. `incoming` has the columns of rows.SIGNAL_COLUMNS. Foreign keys are checked at the end of
-- a statement, so session, signal and task can be written by one. Rows are inserted in the order of their
-- ids: two statements that meet the same rows then wait for each other instead of deadlocking.
-- A placeholder (its result came first) is filled in; any other stored signal stays as it is.
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

-- name: RECORD_SIGNALS
-- This always returns the task, also when it was there before: DO NOTHING would return no row. A stored
-- reservation is not touched.
WITH incoming AS MATERIALIZED ({{incoming_signals}}), {{store_signals}}
INSERT INTO llm_enhancement_tasks AS t
    (signal_id, context, claimed_by, claimed_at, lease_expires_at, endpoint, simulated)
SELECT signal_id, context, $2::text,
       CASE WHEN $2::text IS NOT NULL THEN clock_timestamp() END,
       CASE WHEN $2::text IS NOT NULL THEN clock_timestamp() + make_interval(secs => $3::float8) END,
       $4::text, $5::boolean
FROM incoming ORDER BY signal_id
ON CONFLICT (signal_id) DO UPDATE SET context = COALESCE(t.context, EXCLUDED.context)
RETURNING t.task_id

-- name: CLAIM_SIGNALS
-- ON CONFLICT DO UPDATE locks the row it meets and then looks at its newest version, so of two workers that
-- claim the same task at once the second sees the first one's claim, and its WHERE turns it away.
WITH incoming AS MATERIALIZED ({{incoming_signals}}), {{store_signals}}
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
WHERE t.status IN {{open}} AND NOT {{live_elsewhere: ARRAY[$2::text]}}
RETURNING t.task_id, t.signal_id, t.claim_id::text, t.attempts,
          extract(epoch FROM clock_timestamp() - t.created_at)::float8 AS age_seconds

-- name: CLAIM_STORED
-- The same for signals that were stored before, by their ids alone. Here, too, rows are locked in their order.
WITH picked AS MATERIALIZED (
    SELECT t.task_id FROM llm_enhancement_tasks t
    WHERE t.signal_id = ANY ($1::text[]) AND t.status IN {{open}} AND NOT {{live_elsewhere: ARRAY[$2::text]}}
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

-- part: is_simulated
-- Task ``t`` was meant for a simulated model; older tasks say it by their session only.
COALESCE(t.simulated, EXISTS (
            SELECT FROM trading_signals s JOIN trading_sessions x ON x.session_id = s.session_id
            WHERE s.signal_id = t.signal_id AND x.mode LIKE 'simulated%'))

-- part: session_of_task
-- The session of task ``t``, '' without one.
COALESCE((
            SELECT s.session_id FROM trading_signals s WHERE s.signal_id = t.signal_id), '')

-- part: waiting
-- The worker's own reservations and claims are left alone for a moment: the host is just handing the signal
-- over in memory, or it came after this statement was made. A claim on top of another voids that one, and if
-- the reply to this statement is lost, the worker finishes the task by a claim that is good no more.
-- $2 keeps a simulated model away from real tasks, and the other way round. $3 are the worker's own sessions,
-- '' for signals without one; NULL for all. $4 is where it sends its requests; NULL: it takes what was meant
-- for other places.
t.status IN {{open}}
      AND NOT {{live_elsewhere: ARRAY[$1::text]}}
      AND (t.claimed_by = $1::text AND t.claimed_at > clock_timestamp() - interval '2 seconds') IS NOT TRUE
      AND ($2::boolean IS NULL OR $2::boolean = {{is_simulated}})
      AND ($3::text[] IS NULL OR t.claimed_by IS NOT DISTINCT FROM $1::text
           OR {{session_of_task}} = ANY ($3::text[]))
      AND ($4::text IS NULL OR t.endpoint IS NULL OR t.endpoint = $4::text)

-- name: LEFT_ALONE
-- What {_WAITING} leaves alone, and why: by session and endpoint, the newest session first.
SELECT session, endpoint, count(*) AS tasks
FROM (
    SELECT {{session_of_task}} AS session, t.endpoint
    FROM llm_enhancement_tasks t
    WHERE t.status IN {{open}} AND NOT {{live_elsewhere: ARRAY[$1::text]}}
      AND ($2::boolean IS NULL OR $2::boolean = {{is_simulated}})
) AS waiting
WHERE NOT (($3::text[] IS NULL OR session = ANY ($3::text[]))
           AND ($4::text IS NULL OR endpoint IS NULL OR endpoint = $4::text))
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 1000

-- name: FOR_ELSEWHERE
-- Tasks within the sessions $3 that were meant for another endpoint than $4, by that endpoint.
SELECT t.endpoint, count(*) AS tasks
FROM llm_enhancement_tasks t
WHERE t.status IN {{open}} AND NOT {{live_elsewhere: ARRAY[$1::text]}} AND t.endpoint <> $4::text
  AND ($2::boolean IS NULL OR $2::boolean = {{is_simulated}})
  AND ($3::text[] IS NULL OR {{session_of_task}} = ANY ($3::text[]))
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100

-- name: WAITING_TASKS
-- Page by page, as a worker with a backlog knows most of them: its own reservations.
SELECT t.task_id, t.signal_id FROM llm_enhancement_tasks t
WHERE {{waiting}} AND t.task_id > $5::bigint
ORDER BY t.task_id LIMIT $6::bigint

-- name: CLAIM_WAITING
-- SKIP LOCKED: a task that another worker is claiming at this moment is passed over, not waited for.
WITH picked AS MATERIALIZED (
    SELECT t.task_id FROM llm_enhancement_tasks t
    WHERE {{waiting}} AND t.task_id = ANY ($6::bigint[])
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

-- name: RELEASE
-- A released task belongs to nobody; its claim is void.
UPDATE llm_enhancement_tasks t
SET status = 'pending', claim_id = NULL, claimed_by = NULL, lease_expires_at = NULL,
    updated_at = clock_timestamp()
FROM unnest($1::bigint[], $2::uuid[]) AS c(task_id, claim_id)
WHERE t.task_id = c.task_id AND t.claim_id = c.claim_id AND t.status IN {{open}}

-- name: HEARTBEAT
-- Rows of workers that were killed long ago go by the way.
WITH gone AS (
    DELETE FROM llm_workers WHERE lease_expires_at < clock_timestamp() - interval '1 day' AND worker_id <> $1
)
INSERT INTO llm_workers (worker_id, lease_expires_at)
VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8))
ON CONFLICT (worker_id) DO UPDATE SET lease_expires_at = EXCLUDED.lease_expires_at

-- name: RETIRE_WORKER
-- claim_id stays: a result that is already on its way is good until somebody else is given the task.
WITH gone AS (DELETE FROM llm_workers WHERE worker_id = $1)
UPDATE llm_enhancement_tasks
SET status = 'pending', claimed_by = NULL, lease_expires_at = NULL, updated_at = clock_timestamp()
WHERE claimed_by = $1 AND status IN {{open}}

-- name: CREATE_TASK
-- The first SELECT finds no signal: no row at all. The upsert returns the task also when it was there.
INSERT INTO llm_enhancement_tasks AS t (signal_id)
SELECT signal_id FROM trading_signals WHERE signal_id = $1
ON CONFLICT (signal_id) DO UPDATE SET signal_id = EXCLUDED.signal_id
RETURNING t.task_id

-- name: PENDING_TASKS
SELECT t.task_id, t.signal_id, t.status, t.attempts, t.created_at, t.context, s.session_id, s.symbol,
       s."timestamp", s.signal_type, s.entry_price, s.stop_loss, s.target_price, s.indicators, s.strategy,
       s.notes
FROM llm_enhancement_tasks t JOIN trading_signals s ON s.signal_id = t.signal_id
WHERE t.status = 'pending' ORDER BY t.task_id LIMIT $1::bigint

-- name: SET_STATUS
-- Whoever sets a status by hand voids the claim: a worker that still holds it is refused by the fence.
UPDATE llm_enhancement_tasks
SET status = $2::text, error = $3::text, claim_id = NULL, claimed_by = NULL, lease_expires_at = NULL,
    completed_at = CASE WHEN $2::text IN {{open}} THEN NULL ELSE COALESCE(completed_at, clock_timestamp()) END,
    updated_at = clock_timestamp()
WHERE task_id = $1::bigint
RETURNING task_id

-- name: TASK_SIGNAL
SELECT signal_id, status, claim_id FROM llm_enhancement_tasks WHERE task_id = $1::bigint
