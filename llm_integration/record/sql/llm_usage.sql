-- Version 3: what servers report about caches, thoughts and service tiers. Every statement may be repeated.
-- NULL is unknown, never 0; the tier is text as the server wrote it, for new names come up.

ALTER TABLE llm_analysis_results
    ADD COLUMN IF NOT EXISTS cached_tokens      BIGINT,             -- of prompt_tokens, read from a cache
    ADD COLUMN IF NOT EXISTS cache_write_tokens BIGINT,             -- of prompt_tokens, written to a cache
    ADD COLUMN IF NOT EXISTS reasoning_tokens   BIGINT,             -- of completion_tokens
    ADD COLUMN IF NOT EXISTS service_tier       TEXT;

ALTER TABLE llm_opinions
    ADD COLUMN IF NOT EXISTS cached_tokens      BIGINT,
    ADD COLUMN IF NOT EXISTS cache_write_tokens BIGINT,
    ADD COLUMN IF NOT EXISTS reasoning_tokens   BIGINT,
    ADD COLUMN IF NOT EXISTS service_tier       TEXT;
