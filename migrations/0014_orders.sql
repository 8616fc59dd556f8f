-- Every type of order, groups of orders, and accounts on margin.

-- Of orders: the distance of a trailing stop in the currency or as a share of the best price, and that price;
-- the group; when the stop was reached and when the market last did anything to the order; the shares that
-- the group lets it trade now. Of accounts: since when the equity is below the maintenance margin. Of fills:
-- whether the order of prices within the bar mattered and the worse one was taken.
CREATE FUNCTION projection.extend_trading_orders(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.orders
        ADD COLUMN trail_price   numeric(19,9),
        ADD COLUMN trail_rate    numeric(19,9),
        ADD COLUMN group_kind    text NOT NULL DEFAULT ''unspecified'',
        ADD COLUMN group_id      text NOT NULL DEFAULT '''',
        ADD COLUMN parent_id     text NOT NULL DEFAULT '''',
        ADD COLUMN triggered_ns  bigint,
        ADD COLUMN worked_ns     bigint,
        ADD COLUMN extreme_price numeric(19,9),
        ADD COLUMN tradable      numeric(19,9)', target);
    EXECUTE format('ALTER TABLE %I.accounts
        ADD COLUMN kind           text NOT NULL DEFAULT ''unspecified'',
        ADD COLUMN margin_call_ns bigint', target);
    EXECUTE format('ALTER TABLE %I.fills
        ADD COLUMN ambiguous boolean NOT NULL DEFAULT false', target);
END
$$;

-- No order or account before has any of it, so the rows that exist are right.
SELECT projection.extend_trading_orders('trading');
