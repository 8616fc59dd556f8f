-- What a finding about data measured and expected, and the source whose bar another one's was held against.

CREATE FUNCTION projection.extend_calendar_quality(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.quality
        ADD COLUMN found     text NOT NULL DEFAULT '''',
        ADD COLUMN expected  text NOT NULL DEFAULT '''',
        ADD COLUMN authority text NOT NULL DEFAULT ''''', target);
    -- Risk asks for the newest of each symbol when it starts.
    EXECUTE format('CREATE INDEX ON %I.quality (symbol, event_time_ns DESC, sequence DESC)
        WHERE severity IN (''warning'', ''error'')', target);
END
$$;

ALTER FUNCTION projection.create_calendar(text) RENAME TO create_calendar_first;

CREATE FUNCTION projection.create_calendar(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_calendar_first(target);
    PERFORM projection.extend_calendar_quality(target);
END
$$;

-- Findings so far measured nothing in fields of their own, so that their rows are right as they are.
SELECT projection.extend_calendar_quality('calendar');
