-- An index that finds the orders that ended before they got the new terms that risk had approved: that these are void has
-- still to be recorded, by whoever takes up the read model after a restart. There are hardly ever any.
--
-- Written as an equation, which a planner without statistics takes for "few": see 0011_open_rows.sql.
CREATE FUNCTION projection.extend_trading_void_terms(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX orders_void_terms_idx ON %I.orders (((replacement IS NOT NULL)::int))
        WHERE ended AND replacement IS NOT NULL', target);
END
$$;

SELECT projection.extend_trading_void_terms('trading');
