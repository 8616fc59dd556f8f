-- What was asked of the read models, rebuilds and verifications, and what came of it.

CREATE FUNCTION projection.create_jobs(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE jobs (
        request_id        text   PRIMARY KEY,
        projection        text   NOT NULL,
        -- `rebuild` or `verify`.
        task              text   NOT NULL,
        actor             text   NOT NULL,
        requested_at_ns   bigint NOT NULL,
        first_sequence    bigint NOT NULL,
        -- `succeeded`, `differs`, `failed` or `refused`; NULL while it waits or runs.
        outcome           text,
        detail            text,
        -- Sequence of the projection's own stream.
        folded_sequence   bigint,
        messages          bigint,
        differences       bigint,
        state_hash        text,
        state_hash_before text,
        sequence_before   bigint,
        duration_ms       bigint,
        finished_at_ns    bigint,
        sequence          bigint NOT NULL
    );
    CREATE INDEX ON jobs (first_sequence DESC);
    CREATE INDEX ON jobs (projection, first_sequence DESC);

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_jobs('jobs');
