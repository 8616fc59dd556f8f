-- The last report of every instance of every live source, beside the heartbeats.

CREATE FUNCTION projection.extend_services_sources(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I.sources (
        source          text   NOT NULL,
        instance        text   NOT NULL,
        state           text   NOT NULL,
        detail          text   NOT NULL,
        since_ns        bigint,
        symbols         jsonb  NOT NULL,
        last_message_ns bigint,
        messages        bigint NOT NULL,
        bars            bigint NOT NULL,
        revisions       bigint NOT NULL,
        duplicates      bigint NOT NULL,
        lag_p50_ns      bigint,
        lag_p99_ns      bigint,
        reconnects      bigint NOT NULL,
        gaps_filled     bigint NOT NULL,
        gap_bars        bigint NOT NULL,
        errors          bigint NOT NULL,
        last_error      text   NOT NULL,
        breaker         text   NOT NULL,
        reported_at_ns  bigint NOT NULL,
        sequence        bigint NOT NULL,
        PRIMARY KEY (source, instance)
    ) WITH (fillfactor = 70)', target);
END
$$;

ALTER FUNCTION projection.create_services(text) RENAME TO create_services_first;

CREATE FUNCTION projection.create_services(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_services_first(target);
    PERFORM projection.extend_services_sources(target);
    PERFORM projection.close_schema(target, current_setting('search_path'));
END
$$;

SELECT projection.extend_services_sources('services');
SELECT projection.close_schema('services', current_setting('search_path'));
