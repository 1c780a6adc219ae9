-- What the commands of a shell read. Not for a trading loop.

-- name: SESSIONS
SELECT session_id, symbol, mode, status, started_at, feed_ended
FROM trading_sessions ORDER BY started_at, session_id

-- name: RATINGS
-- In the order in which the answers came, which is the order a worker sees them in.
SELECT COALESCE(r.processed_at, r.created_at) AS at, r.rating, r.model_served, r.model_requested,
       r.prompt_name, r.prompt_version
FROM llm_analysis_results r
JOIN llm_enhancement_tasks t ON t.task_id = r.task_id AND t.status = 'completed'
JOIN trading_signals s ON s.signal_id = t.signal_id
WHERE ($1::text IS NULL OR s.session_id = $1)
  AND ($2::timestamptz IS NULL OR COALESCE(r.processed_at, r.created_at) >= $2)
ORDER BY 1, r.result_id

-- name: SPENDING
-- One row for each value of each grouping; `dimension` says which grouping it is. spent_usd is what all
-- attempts at a signal are known to have cost, also those before a retry; cost_unknown counts answers whose
-- cost nobody named. A signal that failed before anything was sent cost nothing: spent_usd is NULL then.
WITH rows AS (
    SELECT (COALESCE(r.processed_at, t.completed_at, t.updated_at) AT TIME ZONE 'UTC')::date::text AS day,
           COALESCE(r.model_served, r.model_requested, '(no answer)') AS model,
           COALESCE(s.symbol, '(none)') AS symbol,
           CASE WHEN t.status <> 'completed' THEN t.status
                ELSE COALESCE(r.rating::text, 'unrated') END AS rating,
           t.spent_usd, r.result_id, r.rating AS number, r.prompt_tokens, r.completion_tokens,
           (CASE WHEN r.result_id IS NOT NULL AND r.cost_usd IS NULL THEN 1 ELSE 0 END
            + (SELECT count(*) FROM jsonb_array_elements(
                   CASE jsonb_typeof(t.context -> 'earlier') WHEN 'array' THEN t.context -> 'earlier'
                        ELSE '[]' END) AS e(entry)
               WHERE entry ->> 'status' = 'completed' AND NOT entry ? 'cost_usd')) AS unknown
    FROM llm_enhancement_tasks t
    JOIN trading_signals s ON s.signal_id = t.signal_id
    LEFT JOIN trading_sessions x ON x.session_id = s.session_id
    LEFT JOIN llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
    WHERE (t.status NOT IN ('pending', 'processing') OR t.spent_usd IS NOT NULL OR t.context ? 'earlier')
      AND ($1::text IS NULL OR s.session_id = $1)
      AND ($2::timestamptz IS NULL OR COALESCE(r.processed_at, t.completed_at, t.updated_at) >= $2)
      AND $3::boolean = (COALESCE(x.mode, '') LIKE 'simulated%'
                         OR COALESCE(r.model_served, '') LIKE 'simulated/%')
)
SELECT CASE WHEN GROUPING(day) = 0 THEN 'day' WHEN GROUPING(model) = 0 THEN 'model'
            WHEN GROUPING(symbol) = 0 THEN 'symbol' WHEN GROUPING(rating) = 0 THEN 'rating'
            ELSE 'total' END AS dimension,
       COALESCE(day, model, symbol, rating) AS name,
       count(*) AS signals, count(result_id) AS answered, count(number) AS rated,
       sum(spent_usd) AS spent_usd, COALESCE(sum(unknown), 0)::bigint AS cost_unknown,
       sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens,
       count(*) FILTER (WHERE result_id IS NOT NULL
                        AND (prompt_tokens IS NULL OR completion_tokens IS NULL)) AS tokens_unknown
FROM rows GROUP BY GROUPING SETS ((), (day), (model), (symbol), (rating))
ORDER BY 1, 2

-- name: REQUESTS
-- Requests as they were sent, from the ledger: also shadows, repeated and failed ones. A request about several
-- symbols is divided among them by their signals. A cost that is not known is counted, never taken for 0. The
-- ledger names the model that was asked, and a simulated one by its prefix.
WITH sent AS (
    SELECT l.*, a.all_signals
    FROM llm_ledger l
    LEFT JOIN LATERAL (SELECT sum(n::numeric) AS all_signals
                       FROM jsonb_each_text(l.symbols) AS e(symbol, n)) a ON true
    WHERE l.state <> 'returned' AND ($1::timestamptz IS NULL OR l.created_at >= $1)
      AND $2::boolean = (l.model LIKE 'simulated/%')
),
rows AS (
    SELECT 'total' AS dimension, NULL AS name, 1::numeric AS part, all_signals AS signals, sent.* FROM sent
    UNION ALL
    SELECT 'day', (created_at AT TIME ZONE 'UTC')::date::text, 1, all_signals, sent.* FROM sent
    UNION ALL
    SELECT 'model', model, 1, all_signals, sent.* FROM sent
    UNION ALL
    SELECT 'symbol', s.symbol, COALESCE(s.n / all_signals, 1), s.n, sent.*
    FROM sent LEFT JOIN LATERAL (SELECT symbol, n::numeric
                                 FROM jsonb_each_text(sent.symbols) AS e(symbol, n)) s ON true
)
SELECT dimension, name, count(*) AS requests, COALESCE(sum(signals), 0)::bigint AS signals,
       round(sum(part * billed_usd), 15) AS spent_usd,
       count(*) FILTER (WHERE billed_usd IS NULL AND state <> 'reserved') AS unknown,
       count(*) FILTER (WHERE state = 'reserved') AS in_flight,
       CASE WHEN bool_or(billed_usd IS NULL AND reserved_usd IS NULL) THEN NULL
            ELSE round(COALESCE(sum(part * reserved_usd) FILTER (WHERE billed_usd IS NULL), 0), 15)
            END AS put_aside_usd,
       round(sum(part * prompt_tokens))::bigint AS prompt_tokens,
       round(sum(part * completion_tokens))::bigint AS completion_tokens,
       count(*) FILTER (WHERE billed_tokens IS NULL) AS tokens_unknown
FROM rows GROUP BY dimension, name
ORDER BY dimension, CASE WHEN dimension <> 'day' THEN -sum(part * billed_usd) END NULLS LAST, name

-- name: SIGNALS
-- The newest first, $2 of them; with $1 that signal alone.
SELECT {{signal_fields}}, t.context, t.status
FROM trading_signals s
LEFT JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
WHERE ($1::text IS NULL OR s.signal_id = $1)
ORDER BY s.created_at DESC, s."timestamp" DESC NULLS LAST, s.signal_id
LIMIT $2

-- name: PROMPTS
-- The messages behind the newest answers that match, simulated or real ones, as command_reports.SPENDING does.
SELECT system.content AS system_text, COALESCE(r.prompt_text, prompt.content) AS prompt_text, r.batch_size
FROM llm_analysis_results r
JOIN llm_enhancement_tasks t ON t.task_id = r.task_id AND t.status = 'completed'
JOIN trading_signals s ON s.signal_id = t.signal_id
LEFT JOIN trading_sessions x ON x.session_id = s.session_id
LEFT JOIN llm_texts system ON system.text_id = r.system_text_id
LEFT JOIN llm_texts prompt ON prompt.text_id = r.prompt_text_id
WHERE COALESCE(r.prompt_text, prompt.content) IS NOT NULL
  AND ($1::text IS NULL OR s.session_id = $1)
  AND ($2::timestamptz IS NULL OR COALESCE(r.processed_at, t.completed_at, t.updated_at) >= $2)
  AND $3::boolean = (COALESCE(x.mode, '') LIKE 'simulated%'
                     OR COALESCE(r.model_served, '') LIKE 'simulated/%')
ORDER BY r.result_id DESC
LIMIT $4
