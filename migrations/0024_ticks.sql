-- Quotes and trades that live sources told, and those of them that are on the tape.

CREATE FUNCTION projection.extend_services_ticks(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.sources
        ADD COLUMN quotes bigint NOT NULL DEFAULT 0,
        ADD COLUMN trades bigint NOT NULL DEFAULT 0,
        ADD COLUMN ticks  bigint NOT NULL DEFAULT 0', target);
END
$$;

CREATE OR REPLACE FUNCTION projection.create_services(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_services_first(target);
    PERFORM projection.extend_services_sources(target);
    PERFORM projection.extend_services_ticks(target);
    PERFORM projection.close_schema(target, current_setting('search_path'));
END
$$;

-- Sources told none before.
SELECT projection.extend_services_ticks('services');
