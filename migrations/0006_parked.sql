-- Messages that could not be decoded or handled, and what became of them.

CREATE FUNCTION projection.create_parked(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE parked (
        event_id             text   PRIMARY KEY,
        service              text   NOT NULL,
        origin_stream        text   NOT NULL,
        origin_sequence      bigint NOT NULL,
        origin_subject       text   NOT NULL,
        reason               text   NOT NULL,
        payload              bytea  NOT NULL,
        parked_at_ns         bigint NOT NULL,
        first_sequence       bigint NOT NULL,
        -- `replayed` or `dismissed`; NULL while it waits.
        resolution           text,
        resolved_by          text,
        resolved_reason      text,
        resolved_at_ns       bigint,
        sequence             bigint NOT NULL
    );
    CREATE INDEX ON parked (first_sequence DESC);
    CREATE INDEX ON parked (origin_stream, origin_sequence);

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_parked('parked');
