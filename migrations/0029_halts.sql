-- Risk asks for the newest halt or resumption of each symbol when it starts, whatever their severity.
CREATE FUNCTION projection.extend_calendar_halts(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX ON %I.quality (symbol, event_time_ns DESC, sequence DESC)
        WHERE rule IN (''halt'', ''resumption'')', target);
END
$$;

CREATE OR REPLACE FUNCTION projection.create_calendar(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_calendar_first(target);
    PERFORM projection.extend_calendar_quality(target);
    PERFORM projection.extend_calendar_halts(target);
END
$$;

SELECT projection.extend_calendar_halts('calendar');
