-- What a broker outside says that holdings are worth which no bar prices, by account, as the prices of its last mark are.

CREATE FUNCTION projection.extend_trading_told_prices(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.accounts ADD COLUMN told_prices jsonb', target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for.
SELECT projection.extend_trading_told_prices('trading');
