-- What became of signals. See llm_outcomes.sql.

-- name: SAVE_OUTCOMES
-- $1: rows as one JSON text. The host's word stands over that of bars, and what was counted from a fill over
-- what was not; a fill that was reported once is kept. A row that would not change is not touched. Rows go in
-- the order of their ids, so that two statements wait for each other instead of deadlocking.
INSERT INTO signal_outcomes AS o ({{names}})
SELECT {{names}} FROM ({{incoming_outcomes}}) AS incoming ORDER BY signal_id
ON CONFLICT (signal_id) DO UPDATE SET
    {{changes}},
    fill_at = COALESCE(excluded.fill_at, o.fill_at), fill_price = COALESCE(excluded.fill_price, o.fill_price),
    updated_at = clock_timestamp()
WHERE (excluded.source = 'host'
       OR (o.source <> 'host' AND (o.fill_price IS NULL OR excluded.fill_price IS NOT NULL)))
  AND ({{old_values}}, o.fill_at, o.fill_price)
      IS DISTINCT FROM ({{new_values}}, excluded.fill_at, excluded.fill_price)

-- name: REPORTED_OUTCOMES
-- What hosts have reported about the signals of session $1, or of all.
SELECT {{outcome_fields}}
FROM signal_outcomes o JOIN trading_signals s ON s.signal_id = o.signal_id
WHERE (o.source = 'host' OR o.fill_price IS NOT NULL) AND ($1::text IS NULL OR s.session_id = $1)
ORDER BY o.signal_id

-- name: ENDED_OUTCOMES
-- The ends of the signals of session $1, or of all, and of symbol $2, in the order of the signals' times.
SELECT {{outcome_fields}}
FROM signal_outcomes o JOIN trading_signals s ON s.signal_id = o.signal_id
WHERE o.exit <> 'open' AND ($1::text IS NULL OR s.session_id = $1) AND ($2::text IS NULL OR s.symbol = $2)
ORDER BY s."timestamp", s.signal_id

-- name: SIGNALS_BY_ID
SELECT {{signal_fields}} FROM trading_signals s WHERE s.signal_id = ANY ($1::text[]) AND NOT s.placeholder
