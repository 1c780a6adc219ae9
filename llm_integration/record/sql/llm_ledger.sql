-- Version 2, second half: what every request may cost, and what it did cost. Every statement may be repeated.

-- One row per request. state:
--   reserved  on its way; its highest possible cost is put aside
--   billed    the cost is known: billed_usd takes the place of reserved_usd
--   unknown   it was sent and nobody said what it cost, or its process died: the reservation stays
--   returned  it was never sent; the reservation counts no more
-- Tokens are settled by themselves: billed_tokens takes the place of reserved_tokens once it is not NULL.
CREATE TABLE IF NOT EXISTS llm_ledger (
    grant_id          UUID PRIMARY KEY,
    key_fingerprint   TEXT NOT NULL,                -- which API key; the key cannot be read from it
    model             TEXT NOT NULL,
    symbols           JSONB NOT NULL,               -- {"ES": 3, "NQ": 1}: signals in the request by symbol
    state             TEXT NOT NULL CONSTRAINT llm_ledger_state
                      CHECK (state IN ('reserved', 'billed', 'unknown', 'returned')),
    reserved_usd      NUMERIC,                      -- NULL: the price was not known
    reserved_tokens   BIGINT NOT NULL,
    billed_usd        NUMERIC,
    billed_tokens     BIGINT,
    prompt_tokens     BIGINT,
    completion_tokens BIGINT,
    worker_id         TEXT NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    settled_at        TIMESTAMPTZ
);

CREATE INDEX IF NOT EXISTS idx_llm_ledger_key ON llm_ledger (key_fingerprint, created_at);
CREATE INDEX IF NOT EXISTS idx_llm_ledger_open ON llm_ledger (key_fingerprint, worker_id) WHERE state = 'reserved';

-- Running totals of one budget's window. scope says which requests count: model_like and symbol_like are LIKE
-- patterns over names in lower case, NULL for all. Totals are kept by whoever writes into the ledger, also by
-- a process that has no such budget, and always under the lock of the key.
CREATE TABLE IF NOT EXISTS llm_budget_totals (
    key_fingerprint TEXT NOT NULL,
    scope           TEXT NOT NULL,
    window_start    TIMESTAMPTZ NOT NULL,
    window_end      TIMESTAMPTZ NOT NULL,
    model_like      TEXT,
    symbol_like     TEXT,
    spent_usd       NUMERIC NOT NULL DEFAULT 0,
    reserved_usd    NUMERIC NOT NULL DEFAULT 0,
    spent_tokens    NUMERIC NOT NULL DEFAULT 0,
    reserved_tokens NUMERIC NOT NULL DEFAULT 0,
    PRIMARY KEY (key_fingerprint, scope, window_start)
);

-- Lower case of A to Z only, the same under every locale.
CREATE OR REPLACE FUNCTION llm_folded(name TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT translate(name, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')
$$;

-- The part of an amount that the matching symbols bear, by the number of their signals, rounded up to `unit`
-- (1e-12 USD, or 1 token). The amount as it is without a pattern.
CREATE OR REPLACE FUNCTION llm_share(amount NUMERIC, symbols JSONB, symbol_like TEXT, unit NUMERIC)
RETURNS NUMERIC LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN symbol_like IS NULL OR amount IS NULL THEN amount ELSE (
        SELECT COALESCE(div(ceil(amount / unit) * sum(n::numeric) FILTER (WHERE llm_folded(symbol) LIKE symbol_like)
                            + sum(n::numeric) - 1, sum(n::numeric)) * unit, 0)
        FROM jsonb_each_text(symbols) AS s(symbol, n)
    ) END
$$;

-- What a row of the ledger counts as: still put aside, or spent.
CREATE OR REPLACE FUNCTION llm_ledger_parts(
    entry llm_ledger, symbol_like TEXT,
    OUT spent_usd NUMERIC, OUT reserved_usd NUMERIC, OUT spent_tokens NUMERIC, OUT reserved_tokens NUMERIC
) LANGUAGE sql IMMUTABLE AS $$
    SELECT COALESCE(llm_share(entry.billed_usd, entry.symbols, symbol_like, 1e-12), 0),
           CASE WHEN entry.state = 'returned' OR entry.billed_usd IS NOT NULL THEN 0
                ELSE COALESCE(llm_share(entry.reserved_usd, entry.symbols, symbol_like, 1e-12), 0) END,
           COALESCE(llm_share(entry.billed_tokens, entry.symbols, symbol_like, 1), 0),
           CASE WHEN entry.state = 'returned' OR entry.billed_tokens IS NOT NULL THEN 0
                ELSE llm_share(entry.reserved_tokens, entry.symbols, symbol_like, 1) END
$$;

-- Takes `before` out of all totals that cover it and puts `after` in; either may be NULL. Both are the same request.
CREATE OR REPLACE FUNCTION llm_ledger_count(before llm_ledger, after llm_ledger)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    entry llm_ledger := CASE WHEN after.grant_id IS NULL THEN before ELSE after END;
BEGIN
    UPDATE llm_budget_totals t
    SET spent_usd = t.spent_usd + COALESCE(a.spent_usd, 0) - COALESCE(b.spent_usd, 0),
        reserved_usd = t.reserved_usd + COALESCE(a.reserved_usd, 0) - COALESCE(b.reserved_usd, 0),
        spent_tokens = t.spent_tokens + COALESCE(a.spent_tokens, 0) - COALESCE(b.spent_tokens, 0),
        reserved_tokens = t.reserved_tokens + COALESCE(a.reserved_tokens, 0) - COALESCE(b.reserved_tokens, 0)
    FROM llm_budget_totals k
    LEFT JOIN LATERAL llm_ledger_parts(before, k.symbol_like) b ON before.grant_id IS NOT NULL
    LEFT JOIN LATERAL llm_ledger_parts(after, k.symbol_like) a ON after.grant_id IS NOT NULL
    WHERE k.key_fingerprint = entry.key_fingerprint
      AND k.window_start <= entry.created_at AND k.window_end > entry.created_at
      AND (k.model_like IS NULL OR llm_folded(entry.model) LIKE k.model_like)
      AND t.key_fingerprint = k.key_fingerprint AND t.scope = k.scope AND t.window_start = k.window_start;
END $$;

-- Makes the totals of windows that nobody has asked for yet, from what stands in the ledger.
-- wanted: [{"scope", "start", "end", "model_like", "symbol_like"}]. The caller holds the lock.
CREATE OR REPLACE FUNCTION llm_budget_open(fingerprint TEXT, wanted JSONB) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM jsonb_to_recordset(wanted) AS w(scope TEXT, start TIMESTAMPTZ)
        WHERE NOT EXISTS (SELECT FROM llm_budget_totals t WHERE t.key_fingerprint = fingerprint
                          AND t.scope = w.scope AND t.window_start = w.start)
    ) THEN
        RETURN;
    END IF;
    DELETE FROM llm_budget_totals
    WHERE key_fingerprint = fingerprint AND window_end < clock_timestamp() - interval '7 days';
    INSERT INTO llm_budget_totals AS t
    SELECT fingerprint, w.scope, w.start, w."end", w.model_like, w.symbol_like,
           COALESCE(sum(p.spent_usd), 0), COALESCE(sum(p.reserved_usd), 0),
           COALESCE(sum(p.spent_tokens), 0), COALESCE(sum(p.reserved_tokens), 0)
    FROM jsonb_to_recordset(wanted)
         AS w(scope TEXT, start TIMESTAMPTZ, "end" TIMESTAMPTZ, model_like TEXT, symbol_like TEXT)
    LEFT JOIN llm_ledger l ON l.key_fingerprint = fingerprint
         AND l.created_at >= w.start AND l.created_at < w."end"
         AND (w.model_like IS NULL OR llm_folded(l.model) LIKE w.model_like)
    LEFT JOIN LATERAL llm_ledger_parts(l, w.symbol_like) p ON l.grant_id IS NOT NULL
    GROUP BY w.scope, w.start, w."end", w.model_like, w.symbol_like
    ON CONFLICT DO NOTHING;
END $$;

-- The totals of the wanted windows as {scope: [spent_usd, reserved_usd, spent_tokens, reserved_tokens]}, numbers as
-- text so that no digit is lost.
CREATE OR REPLACE FUNCTION llm_budget_read(fingerprint TEXT, wanted JSONB) RETURNS JSONB LANGUAGE sql AS $$
    SELECT COALESCE(jsonb_object_agg(t.scope, jsonb_build_array(
        t.spent_usd::text, t.reserved_usd::text, t.spent_tokens::text, t.reserved_tokens::text)), '{}')
    FROM jsonb_to_recordset(wanted) AS w(scope TEXT, start TIMESTAMPTZ)
    JOIN llm_budget_totals t ON t.key_fingerprint = fingerprint AND t.scope = w.scope AND t.window_start = w.start
$$;

-- Puts the highest possible cost of one request aside if every wanted window that it counts in has room.
-- wanted also carries "usd" and "tokens": how much may be spent and put aside by now, NULL for no bound.
-- One process at a time per key: what another one has put aside is seen, for each statement of a function
-- looks anew. outcome: 'granted'; 'full'; 'late' when a window is not the present one (the caller's idea of
-- the time was wrong); 'gone' when this grant was given back before it could be made.
CREATE OR REPLACE FUNCTION llm_ledger_reserve(
    fingerprint TEXT, new_id UUID, new_model TEXT, new_symbols JSONB, usd NUMERIC, tokens BIGINT, worker TEXT,
    wanted JSONB, OUT outcome TEXT, OUT at TIMESTAMPTZ, OUT totals JSONB
) LANGUAGE plpgsql AS $$
DECLARE
    entry llm_ledger;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('llm_ledger ' || fingerprint, 0));
    at := clock_timestamp();
    IF EXISTS (SELECT FROM jsonb_to_recordset(wanted) AS w(start TIMESTAMPTZ, "end" TIMESTAMPTZ)
               WHERE at < w.start OR at >= w."end") THEN
        outcome := 'late';
        RETURN;
    END IF;
    PERFORM llm_budget_open(fingerprint, wanted);
    entry := (new_id, fingerprint, new_model, new_symbols, 'reserved', usd, tokens, NULL, NULL, NULL, NULL,
              worker, at, NULL)::llm_ledger;
    IF EXISTS (
        SELECT FROM jsonb_to_recordset(wanted)
             AS w(scope TEXT, start TIMESTAMPTZ, model_like TEXT, symbol_like TEXT, usd NUMERIC, tokens NUMERIC)
        JOIN llm_budget_totals t
          ON t.key_fingerprint = fingerprint AND t.scope = w.scope AND t.window_start = w.start,
        LATERAL llm_ledger_parts(entry, w.symbol_like) p
        WHERE (w.model_like IS NULL OR llm_folded(new_model) LIKE w.model_like)
          AND (w.symbol_like IS NULL OR p.reserved_tokens > 0 OR p.reserved_usd > 0)
          AND (t.spent_usd + t.reserved_usd + p.reserved_usd > w.usd
               OR entry.reserved_usd IS NULL AND w.usd IS NOT NULL
               OR t.spent_tokens + t.reserved_tokens + p.reserved_tokens > w.tokens)
    ) THEN
        outcome := 'full';
    ELSE
        INSERT INTO llm_ledger SELECT (entry).* ON CONFLICT (grant_id) DO NOTHING;
        IF FOUND THEN
            PERFORM llm_ledger_count(NULL, entry);
            outcome := 'granted';
        ELSE
            outcome := 'gone';
        END IF;
    END IF;
    totals := llm_budget_read(fingerprint, wanted);
END $$;

-- The totals of the wanted windows by the clock of this database, without asking for room.
CREATE OR REPLACE FUNCTION llm_budget_state(fingerprint TEXT, wanted JSONB, OUT at TIMESTAMPTZ, OUT totals JSONB)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('llm_ledger ' || fingerprint, 0));
    at := clock_timestamp();
    PERFORM llm_budget_open(fingerprint, wanted);
    totals := llm_budget_read(fingerprint, wanted);
END $$;

-- Stores how requests ended, and requests that were made without asking. changes: [{"grant_id", "model", "symbols",
-- "reserved_usd", "reserved_tokens", "age", "state", "billed_usd", "billed_tokens", "prompt_tokens",
-- "completion_tokens"}]; age is how many seconds ago the request was made. May be repeated: what is billed
-- or returned stays so. A request that is not in the ledger is entered, also one that was never sent: should
-- its reservation still be on the way here, it comes too late.
CREATE OR REPLACE FUNCTION llm_ledger_settle(fingerprint TEXT, worker TEXT, changes JSONB)
RETURNS INTEGER LANGUAGE plpgsql AS $$
DECLARE
    change RECORD;
    before llm_ledger;
    after llm_ledger;
    settled INTEGER := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('llm_ledger ' || fingerprint, 0));
    FOR change IN SELECT * FROM jsonb_to_recordset(changes) AS c(
        grant_id UUID, model TEXT, symbols JSONB, reserved_usd NUMERIC, reserved_tokens BIGINT, age FLOAT8,
        state TEXT, billed_usd NUMERIC, billed_tokens BIGINT, prompt_tokens BIGINT, completion_tokens BIGINT)
    LOOP
        SELECT * INTO before FROM llm_ledger l WHERE l.grant_id = change.grant_id;
        CONTINUE WHEN before.state IN ('billed', 'returned')
                   OR change.state = 'reserved' AND before.grant_id IS NOT NULL;
        after := (
            change.grant_id, fingerprint, COALESCE(before.model, change.model),
            COALESCE(before.symbols, change.symbols), change.state,
            CASE WHEN before.grant_id IS NULL THEN change.reserved_usd ELSE before.reserved_usd END,
            COALESCE(before.reserved_tokens, change.reserved_tokens),
            change.billed_usd, change.billed_tokens, change.prompt_tokens, change.completion_tokens,
            COALESCE(before.worker_id, worker),
            COALESCE(before.created_at, clock_timestamp() - make_interval(secs => change.age)),
            CASE WHEN change.state <> 'reserved' THEN clock_timestamp() END)::llm_ledger;
        IF before.grant_id IS NULL THEN
            INSERT INTO llm_ledger SELECT (after).*;
        ELSE
            UPDATE llm_ledger l
            SET state = after.state, billed_usd = after.billed_usd, billed_tokens = after.billed_tokens,
                prompt_tokens = after.prompt_tokens, completion_tokens = after.completion_tokens,
                settled_at = after.settled_at
            WHERE l.grant_id = change.grant_id;
        END IF;
        PERFORM llm_ledger_count(before, after);
        settled := settled + 1;
    END LOOP;
    RETURN settled;
END $$;

-- Requests of processes that are gone: nobody will say what they cost. Their reservations stay.
CREATE OR REPLACE FUNCTION llm_ledger_abandoned(fingerprint TEXT, older_than INTERVAL)
RETURNS INTEGER LANGUAGE sql AS $$
    WITH gone AS (
        UPDATE llm_ledger l SET state = 'unknown', settled_at = clock_timestamp()
        WHERE l.key_fingerprint = fingerprint AND l.state = 'reserved'
          AND l.created_at < clock_timestamp() - older_than
          AND NOT EXISTS (SELECT FROM llm_workers w
                          WHERE w.worker_id = l.worker_id AND w.lease_expires_at > clock_timestamp())
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
