-- Tables that extensions of a projection make belong to the projector and are shown to the reader as the first ones are,
-- in the live schema, in a rebuild and in the scratch of a verification.

CREATE OR REPLACE FUNCTION projection.create_trading(target text) RETURNS void
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
    PERFORM projection.close_schema(target, current_setting('search_path'));
END
$$;

SELECT projection.close_schema('trading', current_setting('search_path'));
