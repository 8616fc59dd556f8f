-- Of orders: when the broker last refused to cancel one, in market time. It is asked again a while after that.
CREATE FUNCTION projection.extend_trading_cancel_refused(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.orders ADD COLUMN cancel_refused_ns bigint', target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for.
SELECT projection.extend_trading_cancel_refused('trading');
