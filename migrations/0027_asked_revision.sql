-- Of orders: the highest revision that new terms were ever given, those included that were refused. The next terms are
-- numbered above it.
CREATE FUNCTION projection.extend_trading_asked_revision(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.orders ADD COLUMN asked_revision bigint NOT NULL DEFAULT 0', target);
END
$$;

SELECT projection.extend_trading_asked_revision('trading');
