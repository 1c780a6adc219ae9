-- Which questions ``worth`` was asked, by whomever: each once.

-- name: ANNOUNCE_LOOK
-- Written before the others are read: of two that look at once, each sees the other's.
INSERT INTO worth_looks (key, simulated, look) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING

-- name: LOOKS
SELECT key, look, p, resolved, level, sentence, judged_at FROM worth_looks WHERE simulated = $1
ORDER BY created_at, key

-- name: SETTLE_LOOK
UPDATE worth_looks SET p = $2, resolved = $3, level = $4, sentence = $5, judged_at = $6,
                       updated_at = clock_timestamp()
WHERE key = $1
