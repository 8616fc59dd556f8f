-- The last heartbeat of every instance of every service.

CREATE FUNCTION projection.create_services(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE heartbeats (
        service         text   NOT NULL,
        instance        text   NOT NULL,
        program_version text   NOT NULL,
        state           text   NOT NULL,
        detail          text   NOT NULL,
        started_at_ns   bigint,
        beat_at_ns      bigint NOT NULL,
        sequence        bigint NOT NULL,
        PRIMARY KEY (service, instance)
    ) WITH (fillfactor = 70);

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_services('services');
