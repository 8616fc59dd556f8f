-- Indexes that find what is open, however much has ended and whether or not the tables were ever analysed.
--
-- Risk reads the open orders and the undecided signals before every decision. `NOT ended` tells a planner
-- without statistics that half of the table may qualify, and it reads all of it; an equation tells it "few".
-- So the condition is written as one (`ended::int = 0`), and the index is on the same expression.

CREATE FUNCTION projection.extend_trading_open(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP INDEX %I.orders_order_id_idx', target);
    EXECUTE format('DROP INDEX %I.pending_signals_signal_id_idx', target);
    EXECUTE format('CREATE INDEX orders_open_idx ON %I.orders ((ended::int)) WHERE NOT ended', target);
    EXECUTE format('CREATE INDEX pending_signals_open_idx ON %I.pending_signals ((decided::int)) WHERE NOT decided',
        target);
END
$$;

SELECT projection.extend_trading_open('trading');
