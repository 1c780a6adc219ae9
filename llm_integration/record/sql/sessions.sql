-- Sessions and bars of the host.

-- name: START_SESSION
-- Continuing a session opens it again and keeps what was known about it.
INSERT INTO trading_sessions AS s (session_id, symbol, mode, source, config, endpoint, folders, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'running')
ON CONFLICT (session_id) DO UPDATE
SET symbol = COALESCE(EXCLUDED.symbol, s.symbol), mode = EXCLUDED.mode,
    source = COALESCE(EXCLUDED.source, s.source), config = EXCLUDED.config,
    endpoint = COALESCE(EXCLUDED.endpoint, s.endpoint), folders = s.folders || EXCLUDED.folders,
    status = 'running', ended_at = NULL

-- part: unanswered
(
    SELECT count(*) FROM trading_signals g JOIN llm_enhancement_tasks t ON t.signal_id = g.signal_id
    WHERE g.session_id = {{it}} AND t.status IN ('pending', 'processing'))

-- name: END_SESSION
-- A session with unanswered signals is not completed, whatever its host says.
INSERT INTO trading_sessions AS s (session_id, status, ended_at, feed_ended)
VALUES ($1, $2, clock_timestamp(), $3)
ON CONFLICT (session_id) DO UPDATE
SET status = CASE WHEN $2::text = 'completed' AND {{unanswered: s.session_id}} > 0
                  THEN 'stopped' ELSE EXCLUDED.status END,
    ended_at = EXCLUDED.ended_at, feed_ended = s.feed_ended OR EXCLUDED.feed_ended
RETURNING status, {{unanswered: s.session_id}} AS unanswered

-- part: session_fields
SELECT s.session_id, s.symbol, s.mode, s.source, s.status, s.started_at, s.ended_at, s.last_bar_at, s.config,
       s.endpoint, s.folders, s.feed_ended, u.unanswered
FROM trading_sessions s CROSS JOIN LATERAL {{unanswered: s.session_id}} AS u(unanswered)

-- name: UNFINISHED_SESSION
-- There are bars to come, or answers. A session of older versions says only by its status that its feed ended.
{{session_fields}}
WHERE (u.unanswered > 0 OR (s.status <> 'completed' AND NOT s.feed_ended))
  AND ($1::text IS NULL OR s.symbol = $1) AND ($2::text[] IS NULL OR s.source = ANY ($2::text[]))
  AND ($3::text IS NULL OR s.mode = $3) AND ($4::boolean IS NULL OR $4 = (s.mode LIKE 'simulated%'))
ORDER BY s.started_at DESC, s.session_id LIMIT 1

-- name: ONE_SESSION
{{session_fields}} WHERE s.session_id = $1

-- name: LAST_BAR_TIME
SELECT max("timestamp") FROM market_data WHERE session_id = $1 AND symbol = $2

-- name: RECORD_BARS
WITH session AS (
    INSERT INTO trading_sessions AS s (session_id, symbol, last_bar_at)
    SELECT $1::text, $2::text, max(b.at) FROM unnest($3::timestamptz[]) AS b(at)
    ON CONFLICT (session_id) DO UPDATE SET last_bar_at = GREATEST(s.last_bar_at, EXCLUDED.last_bar_at)
)
INSERT INTO market_data (session_id, symbol, "timestamp", open, high, low, close, volume)
SELECT $1, $2, *
FROM unnest($3::timestamptz[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[])
ON CONFLICT DO NOTHING
