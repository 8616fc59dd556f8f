-- Indexes behind the lists of orders, fills, decisions and signals: newest first by event time and, within
-- an instant, by sequence, whole or filtered, so that a page costs the same however much there is and
-- however deep it lies. Only columns that never change are in them, or rows that have ended, so that the
-- updates of a working order stay where they are.
--
-- What is added to a projection's schema after its first migration is a function of its own,
-- `projection.extend_<projection>_<what>(target)`: the live schema, a rebuild beside it and the scratch of a
-- verification all call whichever there are.

CREATE FUNCTION projection.extend_trading_lists(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    indexes text[] := ARRAY[
        'orders (approved_ns, first_sequence)',
        'orders (symbol, approved_ns, first_sequence)',
        'orders (strategy, approved_ns, first_sequence)',
        'orders (account, approved_ns, first_sequence)',
        'orders (approved_ns, first_sequence) WHERE NOT ended',
        'orders (status, approved_ns, first_sequence) WHERE ended',
        'fills (event_time_ns, sequence)',
        'fills (symbol, event_time_ns, sequence)',
        'fills (strategy, event_time_ns, sequence)',
        'fills (account, event_time_ns, sequence)',
        'risk_decisions (event_time_ns, sequence)',
        'risk_decisions (verdict, event_time_ns, sequence)',
        'risk_decisions (symbol, event_time_ns, sequence)',
        'risk_decisions (strategy, event_time_ns, sequence)',
        'signals (event_time_ns, sequence)',
        'signals (symbol, event_time_ns, sequence)',
        'signals (strategy, event_time_ns, sequence)'
    ];
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY indexes LOOP
        EXECUTE format('CREATE INDEX ON %I.%s', target, wanted);
    END LOOP;
END
$$;

ALTER FUNCTION projection.create_trading(text) RENAME TO create_trading_first;

CREATE FUNCTION projection.create_trading(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    extension regprocedure;
BEGIN
    PERFORM projection.create_trading_first(target);
    FOR extension IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'projection' AND p.proname LIKE 'extend\_trading\_%'
        ORDER BY p.proname
    LOOP
        EXECUTE format('SELECT %s($1)', extension::regproc) USING target;
    END LOOP;
END
$$;

SELECT projection.extend_trading_lists('trading');
