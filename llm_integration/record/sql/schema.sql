-- Version 1, first half: the tables of the host. Every statement may be repeated.
-- Beside the keys everything has a default or may be NULL, so that an embedding process can write the
-- columns it has. Prices are double precision, as the feed gives them; a missing value is NULL.

CREATE TABLE IF NOT EXISTS trading_sessions (
    session_id  TEXT PRIMARY KEY DEFAULT gen_random_uuid()::text,
    symbol      TEXT,
    mode        TEXT NOT NULL DEFAULT 'live',       -- 'simulated/...' when no real model rates
    source      TEXT,                               -- where the bars came from
    status      TEXT NOT NULL DEFAULT 'running'
                CONSTRAINT trading_sessions_status CHECK (status IN ('running', 'stopped', 'failed', 'completed')),
    started_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    ended_at    TIMESTAMPTZ,
    last_bar_at TIMESTAMPTZ,
    config      JSONB NOT NULL DEFAULT '{}'
);

CREATE INDEX IF NOT EXISTS idx_trading_sessions_started ON trading_sessions (started_at DESC);

CREATE TABLE IF NOT EXISTS market_data (
    session_id  TEXT NOT NULL REFERENCES trading_sessions (session_id) ON DELETE CASCADE,
    symbol      TEXT NOT NULL,
    "timestamp" TIMESTAMPTZ NOT NULL,               -- the stamp the feed gave the bar
    open        DOUBLE PRECISION,
    high        DOUBLE PRECISION,
    low         DOUBLE PRECISION,
    close       DOUBLE PRECISION,
    volume      DOUBLE PRECISION,
    PRIMARY KEY (session_id, symbol, "timestamp")
);

CREATE TABLE IF NOT EXISTS trading_signals (
    signal_id    TEXT PRIMARY KEY DEFAULT gen_random_uuid()::text,
    session_id   TEXT REFERENCES trading_sessions (session_id) ON DELETE CASCADE,
    symbol       TEXT,
    "timestamp"  TIMESTAMPTZ,                       -- the stamp of the bar that produced the signal
    signal_type  TEXT,
    entry_price  DOUBLE PRECISION,
    stop_loss    DOUBLE PRECISION,
    target_price DOUBLE PRECISION,
    indicators   JSONB NOT NULL DEFAULT '{}',
    strategy     TEXT,
    notes        TEXT,
    placeholder  BOOLEAN NOT NULL DEFAULT false,    -- a result came before the signal; filled in when it comes
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_trading_signals_session ON trading_signals (session_id, "timestamp");
