-- Since when the bars of a series are live or rehearsed. Whoever looks back from a series' last live bar for the few
-- before it stops there, rather than go through the imported history behind it.

CREATE OR REPLACE FUNCTION projection.create_bars(target text, keyed boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_bars_first(target, keyed);
    EXECUTE format('ALTER TABLE %I.series ADD COLUMN live_close_ns bigint, ADD COLUMN live_since_ns bigint', target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for.
ALTER TABLE bars.series ADD COLUMN live_since_ns bigint;
