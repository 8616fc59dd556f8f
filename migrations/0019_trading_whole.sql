-- The making of `trading` is whole again: its first tables, what the extensions add, what external strategies added, and
-- owner and rights of all of it. 0017 had left out the columns of 0010, without which no rebuild and no verification began.

CREATE OR REPLACE FUNCTION projection.create_trading(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.create_trading_before_0050(target);
    EXECUTE format('ALTER TABLE %I.strategies ADD COLUMN IF NOT EXISTS subjects jsonb NOT NULL DEFAULT ''[]'',
                                              ADD COLUMN IF NOT EXISTS consumer text NOT NULL DEFAULT ''''', target);
    PERFORM projection.close_schema(target, path);
END
$$;
