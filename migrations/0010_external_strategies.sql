-- External strategies: what they read, and through which durable consumer.

ALTER FUNCTION projection.create_trading(text) RENAME TO create_trading_before_0050;

CREATE FUNCTION projection.create_trading(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM projection.create_trading_before_0050(target);
    EXECUTE format('ALTER TABLE %I.strategies ADD COLUMN subjects jsonb NOT NULL DEFAULT ''[]'',
                                              ADD COLUMN consumer text NOT NULL DEFAULT ''''', target);
END
$$;

-- No strategy registered before has either, so the rows that exist are right.
ALTER TABLE trading.strategies ADD COLUMN subjects jsonb NOT NULL DEFAULT '[]',
                               ADD COLUMN consumer text NOT NULL DEFAULT '';
