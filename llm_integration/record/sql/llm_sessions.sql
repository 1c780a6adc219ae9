-- Version 4: whose tasks are whose, and where a run keeps its files. Every statement may be repeated.

-- endpoint: the address that the session's requests went to. folders: {"output": ..., "outbox": ..., "host": ...},
-- absolute paths on that host, from which a resumed run takes what waits there.
ALTER TABLE trading_sessions
    ADD COLUMN IF NOT EXISTS endpoint   TEXT,
    ADD COLUMN IF NOT EXISTS folders    JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS feed_ended BOOLEAN NOT NULL DEFAULT false; -- every bar of its feed was traded

-- The address a task was meant for, and whether a simulated model was to answer it; NULL: not known, older.
ALTER TABLE llm_enhancement_tasks
    ADD COLUMN IF NOT EXISTS endpoint  TEXT,
    ADD COLUMN IF NOT EXISTS simulated BOOLEAN;
