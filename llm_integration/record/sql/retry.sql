-- Finished tasks made pending again.

-- part: chosen
SELECT t.task_id, t.signal_id, s.symbol, s."timestamp", t.status,
       COALESCE(t.error, r.unrated_reason) AS reason, r.model_served, r.model_requested, t.spent_usd
FROM llm_enhancement_tasks t
JOIN trading_signals s ON s.signal_id = t.signal_id
LEFT JOIN llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
WHERE (t.status = 'failed' AND $1::boolean OR t.status = 'expired' AND $2::boolean
       OR t.status = 'completed' AND $3::boolean AND r.rating IS NULL)
  AND ($4::text IS NULL OR s.session_id = $4)
  AND ($5::timestamptz IS NULL OR t.completed_at >= $5)
  AND t.completed_at <= $6::timestamptz
ORDER BY t.task_id LIMIT $7::bigint

-- name: CHOSEN
{{chosen}}

-- name: NOW
SELECT clock_timestamp() AS at

-- name: RETRY
-- The old answer goes, so that nobody takes it for the new one; in short it stays in the task's context, under
-- `earlier`, the last five of them. What it cost stays in spent_usd, to which the next outcome is added.
-- created_at is when the task came up: the age at which a signal expires counts from now on.
-- A claim that somebody may still hold is void. FOR UPDATE: of two retries at once the second finds nothing.
WITH chosen AS MATERIALIZED ({{chosen}} FOR UPDATE OF t),
past AS MATERIALIZED (
    SELECT c.task_id, jsonb_strip_nulls(jsonb_build_object(
        'status', t.status, 'reason', c.reason, 'created_at', t.created_at, 'ended_at', t.completed_at,
        'claims', t.attempts, 'requests', r.attempts, 'model_requested', r.model_requested,
        'model_served', r.model_served, 'generation_id', r.generation_id, 'parse_method', r.parse_method,
        'prompt_name', r.prompt_name, 'prompt_version', r.prompt_version, 'prompt_tokens', r.prompt_tokens,
        'completion_tokens', r.completion_tokens, 'cached_tokens', r.cached_tokens,
        'cache_write_tokens', r.cache_write_tokens, 'reasoning_tokens', r.reasoning_tokens,
        'service_tier', r.service_tier, 'cost_usd', r.cost_usd::text,
        'raw_reply', left(r.raw_reply, 1000))) AS entry
    FROM chosen c
    JOIN llm_enhancement_tasks t ON t.task_id = c.task_id
    LEFT JOIN llm_analysis_results r ON r.task_id = c.task_id
),
results AS (DELETE FROM llm_analysis_results r USING chosen c WHERE r.task_id = c.task_id),
opinions AS (DELETE FROM llm_opinions o USING chosen c WHERE o.task_id = c.task_id),
waiting AS (
    UPDATE llm_enhancement_tasks t
    SET status = 'pending', error = NULL, claim_id = NULL, claimed_by = NULL, claimed_at = NULL,
        lease_expires_at = NULL, completed_at = NULL, created_at = clock_timestamp(),
        updated_at = clock_timestamp(),
        context = (CASE jsonb_typeof(t.context) WHEN 'object' THEN t.context ELSE '{}' END) - 'model'
            || CASE WHEN $8::text IS NULL THEN '{}' ELSE jsonb_build_object('model', $8::text) END
            || jsonb_build_object('earlier', (
                SELECT jsonb_agg(e ORDER BY n) FROM (
                    SELECT e, n FROM jsonb_array_elements(
                        CASE jsonb_typeof(t.context -> 'earlier') WHEN 'array' THEN t.context -> 'earlier'
                             ELSE '[]' END || jsonb_build_array(p.entry)) WITH ORDINALITY AS x(e, n)
                    ORDER BY n DESC LIMIT 5) AS kept))
    FROM past p WHERE t.task_id = p.task_id
    RETURNING t.task_id
)
SELECT c.* FROM chosen c JOIN waiting w ON w.task_id = c.task_id ORDER BY c.task_id
