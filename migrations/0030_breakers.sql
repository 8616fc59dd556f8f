-- How the breakers of a service's clients stand, with its heartbeat.

CREATE FUNCTION projection.extend_services_breakers(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.heartbeats ADD COLUMN breakers jsonb NOT NULL DEFAULT ''[]''', target);
END
$$;

CREATE OR REPLACE FUNCTION projection.create_services(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_services_first(target);
    PERFORM projection.extend_services_sources(target);
    PERFORM projection.extend_services_ticks(target);
    PERFORM projection.extend_services_breakers(target);
    PERFORM projection.close_schema(target, current_setting('search_path'));
END
$$;

-- Heartbeats told of none before.
SELECT projection.extend_services_breakers('services');
