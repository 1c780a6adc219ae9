-- Version 5: what became of signals, and which questions were asked about that. Every statement may be repeated.

-- One row a signal. It refers to no other table: an outcome may be known before PostgreSQL has its signal.
-- R is counted in the risk that was taken; r_net after the costs that stand in rules, in price units of a round
-- trip. What is not known is NULL. An 'open' row keeps a fill that the host has reported.
CREATE TABLE IF NOT EXISTS signal_outcomes (
    signal_id        TEXT PRIMARY KEY,
    exit             TEXT NOT NULL CONSTRAINT signal_outcomes_exit
                     CHECK (exit IN ('stop', 'target', 'time', 'open', 'unresolvable')),
    reason           TEXT,                          -- why it is unresolvable
    entry_at         TIMESTAMPTZ,
    entry_price      DOUBLE PRECISION,
    exit_at          TIMESTAMPTZ,
    exit_price       DOUBLE PRECISION,
    bars_held        INTEGER,
    r_gross          DOUBLE PRECISION,
    r_net            DOUBLE PRECISION,
    r_optimistic     DOUBLE PRECISION,              -- had the target come first in a bar that touched both
    mfe              DOUBLE PRECISION,              -- the furthest it went with the trade, in R, 0 or more
    mae              DOUBLE PRECISION,              -- and against it, 0 or less
    ambiguous        BOOLEAN NOT NULL DEFAULT false,
    reward_risk      DOUBLE PRECISION,
    source           TEXT NOT NULL CONSTRAINT signal_outcomes_source CHECK (source IN ('bars', 'host')),
    resolver_version TEXT NOT NULL,
    rules            JSONB NOT NULL,                -- {"entry": ..., "horizon_bars": ..., "spread": ..., ...}
    fill_at          TIMESTAMPTZ,                   -- what the host reported
    fill_price       DOUBLE PRECISION,
    created_at       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    updated_at       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

-- What hosts reported is looked up by `worth`; all else it tells from bars.
CREATE INDEX IF NOT EXISTS idx_signal_outcomes_host ON signal_outcomes (signal_id)
    WHERE source = 'host' OR fill_price IS NOT NULL;

-- Each question that `worth` was asked, once: model, prompt, horizon, rules, selection. p counts as 1 while it is
-- NULL: somebody is looking, or nothing could be tested.
CREATE TABLE IF NOT EXISTS worth_looks (
    key        TEXT PRIMARY KEY,
    simulated  BOOLEAN NOT NULL,                    -- of the simulator's ratings: counted apart
    look       JSONB NOT NULL,
    p          DOUBLE PRECISION,
    resolved   INTEGER NOT NULL DEFAULT 0,
    level      TEXT NOT NULL DEFAULT 'too_few',
    sentence   TEXT NOT NULL DEFAULT '',
    judged_at  INTEGER NOT NULL DEFAULT 0,          -- how many were resolved when the verdict was taken
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
