-- Of every restatement of a bar: behind which instant it was known, and what else of the bar it replaced, so that a bar can
-- be read as it was known at any instant.
CREATE FUNCTION projection.extend_bars_known(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.revisions
        ADD COLUMN old_start_ns bigint,
        ADD COLUMN old_vwap     numeric(19,9),
        ADD COLUMN old_origin   text,
        ADD COLUMN known_ns     bigint NOT NULL DEFAULT 0', target);
END
$$;

CREATE OR REPLACE FUNCTION projection.create_bars(target text, keyed boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_bars_first(target, keyed);
    EXECUTE format('ALTER TABLE %I.series ADD COLUMN live_close_ns bigint, ADD COLUMN live_since_ns bigint', target);
    PERFORM projection.extend_bars_known(target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for; until then the newest version counts always.
SELECT projection.extend_bars_known('bars');
