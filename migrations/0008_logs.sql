-- Log lines, by day.
--
-- A partition holds a day of event time and is made when its first line comes (projection.open_logs_day);
-- lines of days that are never opened go to the default one. Whole days leave when the stream no longer
-- holds any of their lines (projection.trim_logs): the read model follows the stream's retention, by
-- sequence and not by a clock, so that what is left is a fold of what the stream holds.

CREATE FUNCTION projection.create_logs(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE records (
        sequence       bigint NOT NULL,
        event_time_ns  bigint NOT NULL,
        service        text   NOT NULL,
        -- 1 error, 2 warning, 3 information, 4 debugging, 5 tracing.
        severity       bigint NOT NULL,
        -- Module that logged.
        target         text   NOT NULL,
        message        text   NOT NULL,
        -- Instance of the process that logged; empty where it did not say.
        run            text   NOT NULL,
        -- Chain of events that the line belongs to; empty where it belongs to none.
        correlation_id text   NOT NULL,
        fields         jsonb  NOT NULL,
        PRIMARY KEY (sequence, event_time_ns)
    ) PARTITION BY RANGE (event_time_ns);
    CREATE INDEX ON records (service, sequence);
    CREATE INDEX ON records (sequence) WHERE severity <= 2;
    CREATE INDEX ON records (correlation_id, sequence) WHERE correlation_id <> '';
    CREATE TABLE records_default PARTITION OF records DEFAULT;

    PERFORM projection.close_schema(target, path);
END
$$;

-- Makes the partition of a day, counted from 1970, unless it is there, there are too many (a client with a
-- wrong clock) or lines of that day are in the default partition already. Answers whether it was made.
CREATE FUNCTION projection.open_logs_day(target text, day bigint) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    day_ns CONSTANT bigint := 86400000000000;
    partition text := 'records_' || replace(day::text, '-', 'n');
    days bigint;
    held boolean;
BEGIN
    IF to_regclass(format('%I.%I', target, partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    SELECT count(*) INTO days FROM pg_catalog.pg_inherits
        WHERE inhparent = to_regclass(format('%I.records', target));
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.records_default WHERE event_time_ns >= $1 AND event_time_ns < $2)',
        target) INTO held USING day * day_ns, (day + 1) * day_ns;
    IF days > 64 OR held THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.records FOR VALUES FROM (%s) TO (%s)',
        target, partition, target, day * day_ns, (day + 1) * day_ns);
    EXECUTE format('GRANT SELECT ON %I.%I TO tapedeck_reader', target, partition);
    RETURN true;
END
$$;

-- Drops the days whose lines are all older than `oldest`, the first sequence that the stream still holds.
CREATE FUNCTION projection.trim_logs(target text, oldest bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    day record;
    held boolean;
    dropped bigint := 0;
BEGIN
    FOR day IN
        SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(format('%I.records', target)) AND c.relname <> 'records_default'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I WHERE sequence >= $1)', target, day.relname)
            INTO held USING oldest;
        IF NOT held THEN
            EXECUTE format('DROP TABLE %I.%I', target, day.relname);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    EXECUTE format('DELETE FROM %I.records_default WHERE sequence < $1', target) USING oldest;
    RETURN dropped;
END
$$;

SELECT projection.create_logs('logs');
