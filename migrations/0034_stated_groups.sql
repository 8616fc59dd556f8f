-- The index of orders whose group something may still have to be done about, with those of which a failure was stated while
-- others of their group are under way.
CREATE FUNCTION projection.extend_trading_stated_groups(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP INDEX IF EXISTS %I.orders_order_id_idx', target);
    EXECUTE format('CREATE INDEX orders_grouped_idx ON %I.orders (order_id)
        WHERE group_stage IN (''stated'', ''watched'', ''unwinding'', ''completing'')', target);
END
$$;

SELECT projection.extend_trading_stated_groups('trading');
