-- Reading back. rows.signal_from_row and outcome_rows.analysis_from_row expect these names.

-- part: result
llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
LEFT JOIN llm_texts system ON system.text_id = r.system_text_id
LEFT JOIN llm_texts prompt ON prompt.text_id = r.prompt_text_id

-- part: outcome_fields
t.task_id, t.status, t.error, t.spent_usd, t.completed_at, {{result_fields}}

-- name: SIGNAL_WITH_OUTCOME
SELECT {{signal_fields}}, {{outcome_fields}}, s.created_at, t.created_at AS task_created_at,
       t.attempts AS task_attempts, t.context
FROM trading_signals s
LEFT JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {{result}}
WHERE s.signal_id = $1

-- name: FINISHED_SIGNALS
SELECT {{signal_fields}}, {{outcome_fields}}
FROM trading_signals s
JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {{result}}
WHERE ($1::text IS NULL OR s.session_id = $1) AND t.status NOT IN ('pending', 'processing')
ORDER BY s."timestamp", s.signal_id

-- name: FINISHED_OF_THESE
SELECT {{signal_fields}}, {{outcome_fields}}
FROM trading_signals s
JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {{result}}
WHERE s.signal_id = ANY ($1::text[]) AND t.status NOT IN ('pending', 'processing')

-- name: BARS_WITH_SIGNALS
SELECT b.symbol AS bar_symbol, b."timestamp" AS bar_timestamp, b.open, b.high, b.low, b.close, b.volume,
       {{signal_fields}}, {{outcome_fields}}
FROM market_data b
LEFT JOIN trading_signals s
       ON s.session_id = b.session_id AND s.symbol = b.symbol AND s."timestamp" = b."timestamp"
LEFT JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {{result}}
WHERE b.session_id = $1 AND ($2::text IS NULL OR b.symbol = $2)
ORDER BY b."timestamp", b.symbol, s.signal_id

-- name: OPINIONS
-- Of the signals $1, each signal's in the order they were given.
SELECT t.signal_id, o.*
FROM llm_opinions o JOIN llm_enhancement_tasks t ON t.task_id = o.task_id
WHERE t.signal_id = ANY ($1::text[]) ORDER BY t.signal_id, o.position

-- name: MESSAGES
SELECT system_text, prompt_text, raw_reply FROM llm_messages WHERE signal_id = $1

-- name: STATISTICS
-- One row. Percentiles are over results whose time is known; a cost is unknown, not 0, where it is NULL.
WITH rows AS MATERIALIZED (
    SELECT t.status, t.error, t.spent_usd, r.rating, r.parse_method, r.unrated_reason, r.model_served,
           r.prompt_tokens, r.completion_tokens, r.cost_usd, r.queue_ms, r.api_ms, r.total_ms
    FROM trading_signals s
    JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
    LEFT JOIN llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
    WHERE $1::text IS NULL OR s.session_id = $1
),
counted (kind, name, n) AS (
    SELECT 'ratings', rating::text, count(*) FROM rows WHERE rating IS NOT NULL GROUP BY 2
    UNION ALL
    SELECT 'unrated_reasons', COALESCE(unrated_reason, 'no reason given'), count(*) FROM rows
    WHERE status = 'completed' AND rating IS NULL GROUP BY 2
    UNION ALL
    SELECT 'failure_reasons', COALESCE(error, 'no reason given'), count(*) FROM rows
    WHERE status IN ('failed', 'expired') GROUP BY 2
    UNION ALL
    SELECT 'by_parse_method', parse_method, count(*) FROM rows WHERE parse_method IS NOT NULL GROUP BY 2
    UNION ALL
    SELECT 'by_model', COALESCE(model_served, 'unknown'), count(*) FROM rows
    WHERE status = 'completed' GROUP BY 2
)
SELECT count(*) AS total,
       count(*) FILTER (WHERE status = 'pending') AS pending,
       count(*) FILTER (WHERE status = 'processing') AS processing,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'expired') AS expired,
       count(rating) AS rated,
       count(*) FILTER (WHERE status = 'completed' AND rating IS NULL) AS unrated,
       avg(rating)::float8 AS average_rating,
       COALESCE(sum(spent_usd), 0) AS cost_usd,
       count(*) FILTER (WHERE status = 'completed' AND cost_usd IS NULL) AS cost_unknown,
       COALESCE(sum(prompt_tokens), 0)::bigint AS prompt_tokens,
       COALESCE(sum(completion_tokens), 0)::bigint AS completion_tokens,
       avg(queue_ms) AS average_queue_ms, avg(api_ms) AS average_api_ms, avg(total_ms) AS average_total_ms,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY api_ms) AS api_percentiles,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY total_ms) AS total_percentiles,
       (SELECT jsonb_object_agg(kind, names)
        FROM (SELECT kind, jsonb_object_agg(name, n) AS names FROM counted GROUP BY kind) AS k) AS counts
FROM rows
