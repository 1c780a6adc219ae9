-- The ledger. What is subtle about it stands in llm_ledger.sql.

-- name: CLOCK
SELECT clock_timestamp() AS at

-- name: RESERVE
SELECT outcome, at, totals FROM llm_ledger_reserve(
    $1::text, $2::uuid, $3::text, $4::jsonb, $5::numeric, $6::bigint, $7::text, $8::jsonb)

-- name: STATE
SELECT at, totals FROM llm_budget_state($1::text, $2::jsonb)

-- name: SETTLE
SELECT llm_ledger_settle($1::text, $2::text, $3::jsonb)

-- name: ABANDONED
SELECT llm_ledger_abandoned($1::text, $2::interval)

-- part: sums
       count(*) AS requests,
       COALESCE(sum(signals), 0)::bigint AS signals,
       round(COALESCE(sum(part * billed_usd), 0), 15) AS spent_usd,
       count(*) FILTER (WHERE billed_usd IS NULL AND state <> 'reserved') AS unknown,
       count(*) FILTER (WHERE state = 'reserved') AS in_flight,
       round(COALESCE(sum(part * reserved_usd) FILTER (WHERE billed_usd IS NULL), 0), 15) AS put_aside_usd,
       round(COALESCE(sum(part * prompt_tokens), 0))::bigint AS prompt_tokens,
       round(COALESCE(sum(part * completion_tokens), 0))::bigint AS completion_tokens,
       count(*) FILTER (WHERE billed_tokens IS NULL) AS tokens_unknown

-- part: sent
    FROM llm_ledger l
    LEFT JOIN LATERAL (SELECT sum(n::numeric) AS all_signals
                       FROM jsonb_each_text(l.symbols) AS e(symbol, n)) a ON true

-- part: in_time
    WHERE l.state <> 'returned' AND ($1::timestamptz IS NULL OR l.created_at >= $1)
      AND ($2::timestamptz IS NULL OR l.created_at < $2) AND ($3::text IS NULL OR l.key_fingerprint = $3)
      AND $4::text IS NOT NULL

-- name: SPENDING_BY_SYMBOL
-- A request about several symbols is divided among them by their signals.
SELECT name, {{sums}}
FROM (SELECT s.symbol AS name, COALESCE(s.n / a.all_signals, 1) AS part, s.n AS signals, l.* {{sent}}
    LEFT JOIN LATERAL (SELECT symbol, n::numeric FROM jsonb_each_text(l.symbols) AS e(symbol, n)) s ON true
    {{in_time}}) AS rows
GROUP BY name ORDER BY spent_usd DESC, name

-- name: SPENDING_BY_RATING
-- By how signals ended: from the results, for the ledger does not know what was answered, and results do not
-- say by which key they came. What a failure cost is known or was nothing.
SELECT CASE WHEN t.status <> 'completed' THEN t.status WHEN r.rating IS NULL THEN 'unrated'
            ELSE r.rating::text END AS name,
       count(*) AS signals,
       COALESCE(sum(t.spent_usd), 0) AS spent_usd,
       count(*) FILTER (WHERE t.status = 'completed' AND r.cost_usd IS NULL) AS unknown,
       COALESCE(sum(r.prompt_tokens), 0)::bigint AS prompt_tokens,
       COALESCE(sum(r.completion_tokens), 0)::bigint AS completion_tokens,
       count(*) FILTER (WHERE t.status = 'completed' AND r.prompt_tokens + r.completion_tokens IS NULL)
           AS tokens_unknown
FROM llm_enhancement_tasks t
LEFT JOIN llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
WHERE t.status NOT IN ('pending', 'processing') AND ($1::timestamptz IS NULL OR t.completed_at >= $1)
  AND ($2::timestamptz IS NULL OR t.completed_at < $2)
GROUP BY name ORDER BY name

-- name: RATED
SELECT count(*) FROM llm_analysis_results r JOIN llm_enhancement_tasks t ON t.task_id = r.task_id
WHERE r.rating IS NOT NULL AND t.status = 'completed'
  AND ($1::timestamptz IS NULL OR t.completed_at >= $1) AND ($2::timestamptz IS NULL OR t.completed_at < $2)

-- name: SPENDING_IN_ALL
SELECT name, {{sums}}
FROM (SELECT 'all'::text AS name, 1 AS part, a.all_signals AS signals, l.* {{sent}} {{in_time}}) AS rows
GROUP BY name ORDER BY spent_usd DESC, name

-- name: SPENDING_BY_DAY
SELECT name, {{sums}}
FROM (SELECT to_char(l.created_at AT TIME ZONE $4::text, 'YYYY-MM-DD') AS name, 1 AS part,
             a.all_signals AS signals, l.* {{sent}} {{in_time}}) AS rows
GROUP BY name ORDER BY name

-- name: SPENDING_BY_MODEL
SELECT name, {{sums}}
FROM (SELECT l.model AS name, 1 AS part, a.all_signals AS signals, l.* {{sent}} {{in_time}}) AS rows
GROUP BY name ORDER BY spent_usd DESC, name
