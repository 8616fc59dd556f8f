-- How far the live or rehearsed bars of a series reach. Risk asks for the last price of every symbol when it
-- starts; without this it would go through all of the imported history to find that none of it is live.

ALTER FUNCTION projection.create_bars(text, boolean) RENAME TO create_bars_first;

CREATE FUNCTION projection.create_bars(target text, keyed boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_bars_first(target, keyed);
    EXECUTE format('ALTER TABLE %I.series ADD COLUMN live_close_ns bigint', target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for.
ALTER TABLE bars.series ADD COLUMN live_close_ns bigint;
