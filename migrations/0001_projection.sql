-- The projector's own bookkeeping, and the two roles that share the read models.
--
-- tapedeck_projector owns every schema below and is the only role that writes; tapedeck_reader reads.
-- Both are groups without login: logins are made by projections::provision_logins. Roles belong to the
-- server, not to one database, so they may exist already, or be made by another database at this moment.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['tapedeck_projector', 'tapedeck_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role %: % may not create roles; run as an administrator: CREATE ROLE % NOLOGIN',
                        wanted, current_user, wanted;
            END;
        END IF;
    END LOOP;
END
$$;

-- What migrations create is handed to the projector, for which the user must be its member.
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'tapedeck_projector', 'MEMBER') THEN
        EXECUTE format('GRANT tapedeck_projector TO %I', current_user);
    END IF;
END
$$;

-- The projector creates, renames and drops schemas when it rebuilds. Called at every start and not only
-- here, because rights on the database itself are not copied with it.
CREATE FUNCTION projection.grant_database() RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO tapedeck_projector', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO tapedeck_reader', current_database());
END
$$;
SELECT projection.grant_database();

ALTER SCHEMA projection OWNER TO tapedeck_projector;
GRANT USAGE ON SCHEMA projection TO tapedeck_reader;

-- How far each projection has folded its stream. A row is updated in the statement or transaction that
-- writes the projection's rows, expecting the sequence and generation it has read before, so that two
-- instances cannot apply the same event twice.
CREATE TABLE projection.checkpoints (
    name                 text   PRIMARY KEY,
    version              bigint NOT NULL CHECK (version > 0),
    -- Grows with every swap: whoever holds folded state of an earlier generation loads it again.
    generation           bigint NOT NULL DEFAULT 1,
    stream               text   NOT NULL,
    -- Last sequence of the stream that is folded; 0 before the first.
    sequence             bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    -- Event time of that event in UTC nanoseconds, so that lag can be told in market time.
    event_time_ns        bigint,
    updated_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Messages set aside since the first sequence.
    parked               bigint NOT NULL DEFAULT 0,
    -- Why the projection does not go on, and at which sequence; NULL when it does.
    fault_reason         text,
    fault_sequence       bigint,
    fault_at             timestamptz,
    -- Progress of a rebuild beside the live tables; NULL when none runs.
    rebuild_version      bigint,
    rebuild_sequence     bigint,
    rebuild_target       bigint,
    rebuild_started_at   timestamptz
);
ALTER TABLE projection.checkpoints OWNER TO tapedeck_projector;
-- Updated with every batch: room on the page keeps the updates in place, without index entries.
ALTER TABLE projection.checkpoints SET (fillfactor = 20);
GRANT SELECT ON projection.checkpoints TO tapedeck_reader;

-- UTC nanoseconds as a timestamp, for people: SELECT projection.at(close_ns), * FROM bars.bars.
CREATE FUNCTION projection.at(ns bigint) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_timestamp(ns / 1000000000) + make_interval(secs => (ns % 1000000000) / 1e9);

-- Opens a new, empty schema for a projection. The DDL of each area is one function that calls this one,
-- so that the live schema, the rebuild beside it and the scratch of a verification are the same.
CREATE FUNCTION projection.open_schema(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE SCHEMA %I', target);
    EXECUTE format('ALTER SCHEMA %I OWNER TO tapedeck_projector', target);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO tapedeck_reader', target);
    PERFORM set_config('search_path', quote_ident(target), true);
END
$$;

-- Hands every table of a schema to the two roles and restores the search path.
CREATE FUNCTION projection.close_schema(target text, path text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = target AND c.relkind IN ('r', 'p')
    LOOP
        EXECUTE format('ALTER TABLE %I.%I OWNER TO tapedeck_projector', target, relation.relname);
        EXECUTE format('GRANT SELECT ON %I.%I TO tapedeck_reader', target, relation.relname);
    END LOOP;
    PERFORM set_config('search_path', path, true);
END
$$;
