"""The SQL of sessions, bars, reports and exports, as named constants."""

from __future__ import annotations

from llm_integration.record import columns

# Sessions and bars

# Continuing a session opens it again and keeps what was known about it.
START_SESSION = """
INSERT INTO trading_sessions AS s (session_id, symbol, mode, source, config, endpoint, folders, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'running')
ON CONFLICT (session_id) DO UPDATE
SET symbol = COALESCE(EXCLUDED.symbol, s.symbol), mode = EXCLUDED.mode,
    source = COALESCE(EXCLUDED.source, s.source), config = EXCLUDED.config,
    endpoint = COALESCE(EXCLUDED.endpoint, s.endpoint), folders = s.folders || EXCLUDED.folders,
    status = 'running', ended_at = NULL
"""

_UNANSWERED = """(
    SELECT count(*) FROM trading_signals g JOIN llm_enhancement_tasks t ON t.signal_id = g.signal_id
    WHERE g.session_id = {session} AND t.status IN ('pending', 'processing'))"""

# A session with unanswered signals is not completed, whatever its host says.
END_SESSION = f"""
INSERT INTO trading_sessions AS s (session_id, status, ended_at, feed_ended)
VALUES ($1, $2, clock_timestamp(), $3)
ON CONFLICT (session_id) DO UPDATE
SET status = CASE WHEN $2::text = 'completed' AND {_UNANSWERED.format(session="s.session_id")} > 0
                  THEN 'stopped' ELSE EXCLUDED.status END,
    ended_at = EXCLUDED.ended_at, feed_ended = s.feed_ended OR EXCLUDED.feed_ended
RETURNING status, {_UNANSWERED.format(session="s.session_id")} AS unanswered
"""  # noqa: S608  fragments of this module

_SESSION_FIELDS = f"""
SELECT s.session_id, s.symbol, s.mode, s.source, s.status, s.started_at, s.ended_at, s.last_bar_at, s.config,
       s.endpoint, s.folders, s.feed_ended, u.unanswered
FROM trading_sessions s CROSS JOIN LATERAL {_UNANSWERED.format(session="s.session_id")} AS u(unanswered)"""  # noqa: S608  fragments of this module

# There are bars to come, or answers. A session of older versions says only by its status that its feed ended.
UNFINISHED_SESSION = f"""{_SESSION_FIELDS}
WHERE (u.unanswered > 0 OR (s.status <> 'completed' AND NOT s.feed_ended))
  AND ($1::text IS NULL OR s.symbol = $1) AND ($2::text[] IS NULL OR s.source = ANY ($2::text[]))
  AND ($3::text IS NULL OR s.mode = $3) AND ($4::boolean IS NULL OR $4 = (s.mode LIKE 'simulated%'))
ORDER BY s.started_at DESC, s.session_id LIMIT 1
"""

ONE_SESSION = f"{_SESSION_FIELDS} WHERE s.session_id = $1"

LAST_BAR_TIME = """
SELECT max("timestamp") FROM market_data WHERE session_id = $1 AND symbol = $2
"""

RECORD_BARS = """
WITH session AS (
    INSERT INTO trading_sessions AS s (session_id, symbol, last_bar_at)
    SELECT $1::text, $2::text, max(b.at) FROM unnest($3::timestamptz[]) AS b(at)
    ON CONFLICT (session_id) DO UPDATE SET last_bar_at = GREATEST(s.last_bar_at, EXCLUDED.last_bar_at)
)
INSERT INTO market_data (session_id, symbol, "timestamp", open, high, low, close, volume)
SELECT $1, $2, *
FROM unnest($3::timestamptz[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[])
ON CONFLICT DO NOTHING
"""

# Reading back. rows.signal_from_row and rows.analysis_from_row expect these names.

SIGNAL_FIELDS = """s.signal_id, s.session_id, s.symbol, s."timestamp", s.signal_type, s.entry_price,
       s.stop_loss, s.target_price, s.indicators, s.strategy, s.notes"""

_ELSEWHERE = {
    "error": "r.unrated_reason",
    "prompt_text": "COALESCE(r.prompt_text, prompt.content) AS prompt_text",
    "system_text": "system.content AS system_text",
}
RESULT_FIELDS = ", ".join(
    _ELSEWHERE.get(column.name, f"r.{column.name}") for column in columns.RESULT.columns
)

RESULT = """llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
LEFT JOIN llm_texts system ON system.text_id = r.system_text_id
LEFT JOIN llm_texts prompt ON prompt.text_id = r.prompt_text_id"""

OUTCOME_FIELDS = f"t.task_id, t.status, t.error, t.spent_usd, t.completed_at, {RESULT_FIELDS}"

SIGNAL_WITH_OUTCOME = f"""
SELECT {SIGNAL_FIELDS}, {OUTCOME_FIELDS}, s.created_at, t.created_at AS task_created_at,
       t.attempts AS task_attempts, t.context
FROM trading_signals s
LEFT JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {RESULT}
WHERE s.signal_id = $1
"""  # noqa: S608  fragments of this module

FINISHED_SIGNALS = f"""
SELECT {SIGNAL_FIELDS}, {OUTCOME_FIELDS}
FROM trading_signals s
JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {RESULT}
WHERE ($1::text IS NULL OR s.session_id = $1) AND t.status NOT IN ('pending', 'processing')
ORDER BY s."timestamp", s.signal_id
"""  # noqa: S608  fragments of this module

FINISHED_OF_THESE = f"""
SELECT {SIGNAL_FIELDS}, {OUTCOME_FIELDS}
FROM trading_signals s
JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {RESULT}
WHERE s.signal_id = ANY ($1::text[]) AND t.status NOT IN ('pending', 'processing')
"""  # noqa: S608  fragments of this module

BARS_WITH_SIGNALS = f"""
SELECT b.symbol AS bar_symbol, b."timestamp" AS bar_timestamp, b.open, b.high, b.low, b.close, b.volume,
       {SIGNAL_FIELDS}, {OUTCOME_FIELDS}
FROM market_data b
LEFT JOIN trading_signals s
       ON s.session_id = b.session_id AND s.symbol = b.symbol AND s."timestamp" = b."timestamp"
LEFT JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN {RESULT}
WHERE b.session_id = $1 AND ($2::text IS NULL OR b.symbol = $2)
ORDER BY b."timestamp", b.symbol, s.signal_id
"""  # noqa: S608  fragments of this module

# Of the signals $1, each signal's in the order they were given.
OPINIONS = """
SELECT t.signal_id, o.*
FROM llm_opinions o JOIN llm_enhancement_tasks t ON t.task_id = o.task_id
WHERE t.signal_id = ANY ($1::text[]) ORDER BY t.signal_id, o.position
"""

MESSAGES = "SELECT system_text, prompt_text, raw_reply FROM llm_messages WHERE signal_id = $1"

# One row. Percentiles are over results whose time is known; a cost is unknown, not 0, where it is NULL.
STATISTICS = """
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
"""
