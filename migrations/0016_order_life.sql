-- The full life of an order at a broker, groups of orders, and positions by first in, first out.

-- Of orders: their stage in one word, what was asked of the broker without an answer, new terms under way, the
-- revisions before, extended hours, amounts, and where their group stands. Of positions: the lots. Of strategies: what
-- becomes of groups, and how they were stopped. Of fills: whether the row is one, a correction or a bust; corrections
-- hold differences, so that sums over rows are right. Of entries: shares found and fees with who recorded them.
CREATE FUNCTION projection.extend_trading_order_life(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.orders
        ADD COLUMN stage          text    NOT NULL DEFAULT '''',
        ADD COLUMN resolving      text    NOT NULL DEFAULT '''',
        ADD COLUMN replacement    jsonb,
        ADD COLUMN chain          jsonb   NOT NULL DEFAULT ''[]'',
        ADD COLUMN revision       bigint  NOT NULL DEFAULT 0,
        ADD COLUMN extended_hours boolean NOT NULL DEFAULT false,
        ADD COLUMN notional       numeric(19,9),
        ADD COLUMN group_policy   text    NOT NULL DEFAULT ''unspecified'',
        ADD COLUMN group_stage    text    NOT NULL DEFAULT ''''', target);
    EXECUTE format('CREATE INDEX ON %I.orders (order_id)
        WHERE group_stage IN (''watched'', ''unwinding'', ''completing'')', target);
    EXECUTE format('ALTER TABLE %I.positions
        ADD COLUMN lots          jsonb         NOT NULL DEFAULT ''[]'',
        ADD COLUMN fifo_cost     numeric(38,9) NOT NULL DEFAULT 0,
        ADD COLUMN fifo_realized numeric(38,9) NOT NULL DEFAULT 0', target);
    EXECUTE format('ALTER TABLE %I.strategies
        ADD COLUMN group_policy text NOT NULL DEFAULT ''unspecified'',
        ADD COLUMN stopping     jsonb', target);
    EXECUTE format('ALTER TABLE %I.fills
        ADD COLUMN kind text NOT NULL DEFAULT ''fill''', target);
    EXECUTE format('ALTER TABLE %I.entries
        ADD COLUMN quantity numeric(19,9) NOT NULL DEFAULT 0,
        ADD COLUMN actor    text          NOT NULL DEFAULT '''',
        ADD COLUMN reason   text          NOT NULL DEFAULT ''''', target);
    -- What was done about groups of orders and stopped strategies: one row per event.
    EXECUTE format('CREATE TABLE %I.groups (
        sequence         bigint  PRIMARY KEY,
        event_id         text    NOT NULL,
        event_time_ns    bigint  NOT NULL,
        group_id         text    NOT NULL,
        account          text    NOT NULL,
        strategy         text    NOT NULL,
        policy           text    NOT NULL,
        failed_order_id  text    NOT NULL,
        failure          text    NOT NULL,
        cancels          jsonb   NOT NULL,
        orders           jsonb   NOT NULL,
        done             boolean NOT NULL,
        open             text    NOT NULL
    )', target);
    EXECUTE format('CREATE INDEX ON %I.groups (group_id, sequence)', target);
END
$$;

SELECT projection.extend_trading_order_life('trading');

-- The lots of positions are filled by the rebuild that the new version of the projection asks for; until then the
-- stage is what the rows say.
UPDATE trading.orders SET stage = CASE
    WHEN ended THEN status
    WHEN cancel_requested THEN 'cancel_requested'
    WHEN status = 'accepted' AND filled > 0 THEN 'partially_filled'
    ELSE status END;
