-- Version 2: what batches, routes, second opinions and budgets need. Every statement may be repeated.

-- Texts that many results share, each stored once: system texts, and the user texts of requests that were about
-- several signals. text_id is the SHA-256 of the content.
CREATE TABLE IF NOT EXISTS llm_texts (
    text_id    BYTEA PRIMARY KEY,
    content    TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE llm_analysis_results
    ADD COLUMN IF NOT EXISTS prompt_name    TEXT,
    ADD COLUMN IF NOT EXISTS prompt_hash    TEXT,                   -- of the template
    ADD COLUMN IF NOT EXISTS batch_size     INTEGER NOT NULL DEFAULT 1, -- signals in the request
    ADD COLUMN IF NOT EXISTS route          TEXT,
    ADD COLUMN IF NOT EXISTS rating_spread  SMALLINT,               -- largest rating of the opinions minus the smallest
    ADD COLUMN IF NOT EXISTS system_text_id BYTEA REFERENCES llm_texts (text_id),
    ADD COLUMN IF NOT EXISTS prompt_text_id BYTEA REFERENCES llm_texts (text_id); -- in place of prompt_text

-- The single readings of a signal that several models or prompts were asked about. Those of the role `shadow`
-- were never delivered.
CREATE TABLE IF NOT EXISTS llm_opinions (
    opinion_id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id           BIGINT NOT NULL REFERENCES llm_enhancement_tasks (task_id) ON DELETE CASCADE,
    position          INTEGER NOT NULL,             -- order within the task, from 0
    role              TEXT NOT NULL CONSTRAINT llm_opinions_role CHECK (role IN ('ensemble', 'shadow')),
    model_requested   TEXT,
    rating            SMALLINT CONSTRAINT llm_opinions_rating CHECK (rating BETWEEN 1 AND 5),
    choppiness        TEXT CONSTRAINT llm_opinions_choppiness CHECK (choppiness IN ('yes', 'no')),
    analysis          TEXT,
    recommendations   TEXT,
    parse_method      TEXT NOT NULL DEFAULT 'none',
    error             TEXT,
    model_served      TEXT,
    provider          TEXT,
    generation_id     TEXT,
    prompt_tokens     BIGINT,
    completion_tokens BIGINT,
    cost_usd          NUMERIC,                      -- NULL when unknown, never 0 for unknown
    api_ms            DOUBLE PRECISION,
    attempts          INTEGER NOT NULL DEFAULT 0,
    prompt_name       TEXT,
    prompt_version    TEXT,
    prompt_hash       TEXT,
    raw_reply         TEXT,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX IF NOT EXISTS idx_llm_opinions_task ON llm_opinions (task_id);

-- The exact messages behind every result.
CREATE OR REPLACE VIEW llm_messages AS
SELECT r.task_id, r.signal_id, system.content AS system_text,
       COALESCE(r.prompt_text, prompt.content) AS prompt_text, r.raw_reply
FROM llm_analysis_results r
LEFT JOIN llm_texts system ON system.text_id = r.system_text_id
LEFT JOIN llm_texts prompt ON prompt.text_id = r.prompt_text_id;
