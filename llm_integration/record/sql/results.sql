-- Results: stored with the end of their task, opinions with them or after them.

-- name: SAVE_OUTCOMES
-- One statement, hence one transaction: a task never ends without its result, nor the other way round.
-- The fence: with a claim, the task must still carry that claim_id; without one (PostgreSQL was away when the
-- work began), no other living worker may hold it. `me` are the workers that speak through this manager.
-- A task that was called completed by hand and has no result still takes one.
-- An outcome without a claim whose signal never arrived makes a placeholder for it, to be filled in later.
-- `again` recognises an outcome that was stored before: its confirmation was lost and it is sent once more.
-- Texts come once per statement and are sent every time, so that no result ever refers to one that is missing.
-- Opinions of an earlier answer go: the DELETE sees only what stood there before this statement.
-- "= ANY (ARRAY[x])" for "= x" leaves the planner no way but the index, also while the tables are young.
WITH incoming AS MATERIALIZED ({{incoming_outcomes}}),
texts AS (
    INSERT INTO llm_texts (text_id, content)
    {{incoming_texts}} ORDER BY text_id
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
      AND CASE WHEN i.claimed THEN t.status IN {{open}} AND t.claim_id = i.claim_id
               WHEN t.status IN {{open}} THEN NOT {{live_elsewhere: $2::text[]}}
               ELSE t.status = 'completed' AND NOT EXISTS (
                    SELECT FROM llm_analysis_results r WHERE r.task_id = ANY (ARRAY[t.task_id])) END
    RETURNING t.task_id, t.signal_id
),
done AS (SELECT task_id, signal_id FROM ended UNION ALL SELECT task_id, signal_id FROM new_tasks),
results AS (
    INSERT INTO llm_analysis_results (task_id, signal_id, {{result_names}})
    SELECT d.task_id, d.signal_id, {{result_values}}
    FROM done d JOIN incoming i ON i.signal_id = d.signal_id
    WHERE i.status = 'completed'
    ON CONFLICT (task_id) DO UPDATE SET {{result_updates}}, created_at = EXCLUDED.created_at
),
withdrawn AS (DELETE FROM llm_opinions o USING ended e WHERE o.task_id = e.task_id),
opinions AS (
    INSERT INTO llm_opinions (task_id, {{opinion_names}})
    SELECT d.task_id, {{opinion_names}}
    FROM ({{incoming_opinions}}) AS p JOIN done d ON d.signal_id = p.signal_id
),
again AS (
    SELECT t.signal_id FROM llm_enhancement_tasks t JOIN incoming i ON i.signal_id = t.signal_id
    WHERE t.claim_id = i.claim_id AND t.status NOT IN {{open}}
)
SELECT signal_id FROM done UNION SELECT signal_id FROM again

-- name: SAVE_OPINIONS
-- Positions go on after what is stored, so that opinions of one signal keep the order in which they came.
INSERT INTO llm_opinions (task_id, position, {{opinion_rest}})
SELECT t.task_id, p.position + COALESCE((SELECT max(o.position) + 1 FROM llm_opinions o
                                         WHERE o.task_id = t.task_id), 0), {{opinion_given}}
FROM ({{given_opinions}}) AS p
JOIN llm_enhancement_tasks t ON t.signal_id = p.signal_id
RETURNING task_id
