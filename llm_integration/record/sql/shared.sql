-- Pieces that statements of several files have in common.

-- part: live_elsewhere
-- Task ``t`` is held by a worker that is alive and none of {{it}}, a text array; see llm_schema_updates.sql.
-- IS TRUE: claimed_by may be NULL.
(t.claimed_by <> ALL ({{it}}) AND (
        t.lease_expires_at > clock_timestamp()
        OR EXISTS (SELECT FROM llm_workers w
                   WHERE w.worker_id = t.claimed_by AND w.lease_expires_at > clock_timestamp())
    )) IS TRUE

-- part: open
-- The statuses of a task that has no end yet.
('pending', 'processing')

-- part: signal_fields
s.signal_id, s.session_id, s.symbol, s."timestamp", s.signal_type, s.entry_price,
       s.stop_loss, s.target_price, s.indicators, s.strategy, s.notes
