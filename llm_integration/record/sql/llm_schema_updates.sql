-- Version 1, second half: the tables of the sidecar. Every statement may be repeated.

-- One row per worker that is alive. Its lease covers everything it holds, so one small UPDATE a few times a
-- minute keeps hundreds of claims and reservations alive.
CREATE TABLE IF NOT EXISTS llm_workers (
    worker_id        TEXT PRIMARY KEY,
    started_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    lease_expires_at TIMESTAMPTZ NOT NULL
);

-- claimed_by names the worker that reserved the task (status pending) or works on it (processing).
-- A task is *live* while the later of two leases has not run out by the clock of this database: its own
-- lease_expires_at, set when it was reserved or claimed, or that of its worker in llm_workers, which the
-- heartbeat extends. The first covers a worker that has not beaten yet, the second everything after.
-- A live task is left alone by all other workers; any other open task is there to be taken.
-- claim_id is new with every claim. Only who shows the current one may finish the task, so a worker that was
-- given up for dead and comes back cannot overwrite the answer of its successor. It stays after the end, so
-- that a result whose confirmation was lost on the way can be sent again and is recognised.
CREATE TABLE IF NOT EXISTS llm_enhancement_tasks (
    task_id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id        TEXT NOT NULL CONSTRAINT idx_llm_tasks_signal UNIQUE
                     REFERENCES trading_signals (signal_id) ON DELETE CASCADE,
    status           TEXT NOT NULL DEFAULT 'pending' CONSTRAINT llm_enhancement_tasks_status
                     CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'expired')),
    attempts         INTEGER NOT NULL DEFAULT 0,    -- how often the task was claimed
    claim_id         UUID,
    claimed_by       TEXT,
    claimed_at       TIMESTAMPTZ,
    lease_expires_at TIMESTAMPTZ,
    error            TEXT,                          -- why it failed or expired
    context          JSONB,                         -- {"bars": [[time, open, high, low, close, volume], ...]}
    spent_usd        NUMERIC,                       -- known cost of all attempts; NULL: none known
    created_at       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    updated_at       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    completed_at     TIMESTAMPTZ                    -- when it reached a final status
);

-- The open tasks, oldest first: what the workers look through. Finished tasks are not in it.
CREATE INDEX IF NOT EXISTS idx_llm_tasks_status ON llm_enhancement_tasks (task_id) INCLUDE (status)
    WHERE status IN ('pending', 'processing');

-- Finds what a worker holds when it retires.
CREATE INDEX IF NOT EXISTS idx_llm_tasks_worker ON llm_enhancement_tasks (claimed_by)
    WHERE status IN ('pending', 'processing');

CREATE TABLE IF NOT EXISTS llm_analysis_results (
    result_id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id           BIGINT NOT NULL CONSTRAINT idx_llm_results_task UNIQUE
                      REFERENCES llm_enhancement_tasks (task_id) ON DELETE CASCADE,
    signal_id         TEXT NOT NULL,
    rating            SMALLINT CONSTRAINT llm_analysis_results_rating CHECK (rating BETWEEN 1 AND 5),
    choppiness        TEXT CONSTRAINT llm_analysis_results_choppiness CHECK (choppiness IN ('yes', 'no')),
    analysis          TEXT,
    recommendations   TEXT,
    parse_method      TEXT NOT NULL DEFAULT 'none',
    warnings          JSONB NOT NULL DEFAULT '[]',
    unrated_reason    TEXT,                         -- why an answer has no rating
    model_requested   TEXT,
    model_served      TEXT,
    provider          TEXT,
    generation_id     TEXT,
    finish_reason     TEXT,
    prompt_tokens     BIGINT,
    completion_tokens BIGINT,
    cost_usd          NUMERIC,                      -- NULL when unknown, never 0 for unknown
    queue_ms          DOUBLE PRECISION,
    api_ms            DOUBLE PRECISION,
    total_ms          DOUBLE PRECISION,
    attempts          INTEGER NOT NULL DEFAULT 0,   -- requests sent for this answer
    prompt_text       TEXT,
    prompt_version    TEXT,
    raw_reply         TEXT,
    processed_at      TIMESTAMPTZ,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX IF NOT EXISTS idx_llm_results_signal ON llm_analysis_results (signal_id);
