-- The decision chain as rows: what the domain's book knows after each event of TRADING, and the events
-- themselves as history.
--
-- accounts, positions, orders, strategies, pending_signals and halts hold the book's present state and are
-- loaded back into it; the other tables only grow, one row per event, keyed by its stream sequence.

CREATE FUNCTION projection.create_trading(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    -- A light index of every event but the marks (which `equity` holds): the last ten, and the chains.
    CREATE TABLE events (
        sequence          bigint PRIMARY KEY,
        event_id          text   NOT NULL,
        event_time_ns     bigint NOT NULL,
        recorded_time_ns  bigint,
        source            text   NOT NULL,
        kind              text   NOT NULL,
        subject           text   NOT NULL,
        account           text   NOT NULL,
        correlation_id    text   NOT NULL,
        causation_id      text   NOT NULL,
        summary           text   NOT NULL
    );
    CREATE INDEX ON events (event_id);
    CREATE INDEX ON events (correlation_id, sequence);
    CREATE INDEX ON events (causation_id, sequence);

    CREATE TABLE signals (
        sequence        bigint PRIMARY KEY,
        event_id        text   NOT NULL,
        event_time_ns   bigint NOT NULL,
        strategy        text   NOT NULL,
        symbol          text   NOT NULL,
        intent          text   NOT NULL,
        legs            jsonb  NOT NULL,
        indicators      jsonb  NOT NULL,
        reason          text   NOT NULL,
        correlation_id  text   NOT NULL,
        causation_id    text   NOT NULL
    );
    CREATE INDEX ON signals (event_id);
    CREATE INDEX ON signals (strategy, sequence DESC);

    CREATE TABLE risk_decisions (
        sequence        bigint PRIMARY KEY,
        event_id        text   NOT NULL,
        event_time_ns   bigint NOT NULL,
        account         text   NOT NULL,
        strategy        text   NOT NULL,
        symbol          text   NOT NULL,
        signal_id       text   NOT NULL,
        verdict         text   NOT NULL,
        rule            text   NOT NULL,
        reason          text   NOT NULL,
        orders          jsonb  NOT NULL,
        inputs          jsonb  NOT NULL
    );
    CREATE INDEX ON risk_decisions (signal_id);
    CREATE INDEX ON risk_decisions (account, sequence DESC);

    CREATE TABLE orders (
        order_id          text          PRIMARY KEY,
        account           text          NOT NULL,
        strategy          text          NOT NULL,
        symbol            text          NOT NULL,
        side              text          NOT NULL,
        order_type        text          NOT NULL,
        time_in_force     text          NOT NULL,
        quantity          numeric(19,9) NOT NULL,
        limit_price       numeric(19,9),
        stop_price        numeric(19,9),
        leg               bigint        NOT NULL,
        reducing          boolean       NOT NULL,
        status            text          NOT NULL,
        ended             boolean       NOT NULL,
        cancel_requested  boolean       NOT NULL,
        filled            numeric(19,9) NOT NULL,
        fills             bigint        NOT NULL,
        filled_value      numeric(38,9) NOT NULL,
        commission        numeric(38,9) NOT NULL,
        -- Broker's execution ids folded so far.
        executions        jsonb         NOT NULL,
        reference_price   numeric(19,9) NOT NULL,
        client_order_id   text          NOT NULL,
        broker            text          NOT NULL,
        broker_order_id   text          NOT NULL,
        reason            text          NOT NULL,
        signal_id         text          NOT NULL,
        decision_id       text          NOT NULL,
        correlation_id    text          NOT NULL,
        -- The split that last restated the order.
        adjusted_by       text          NOT NULL,
        -- Last sequence of the order's own events; 0 while only approved.
        last_sequence     bigint        NOT NULL,
        approved_ns       bigint        NOT NULL,
        submitted_ns      bigint,
        accepted_ns       bigint,
        ended_ns          bigint,
        updated_ns        bigint        NOT NULL,
        first_sequence    bigint        NOT NULL,
        sequence          bigint        NOT NULL
    ) WITH (fillfactor = 70);
    CREATE UNIQUE INDEX ON orders (first_sequence DESC, order_id);
    CREATE INDEX ON orders (order_id) WHERE NOT ended;
    CREATE INDEX ON orders (signal_id);

    CREATE TABLE order_events (
        sequence       bigint PRIMARY KEY,
        event_id       text   NOT NULL,
        order_id       text   NOT NULL,
        event_time_ns  bigint NOT NULL,
        kind           text   NOT NULL,
        status         text   NOT NULL,
        detail         text   NOT NULL
    );
    CREATE INDEX ON order_events (order_id, sequence);

    CREATE TABLE fills (
        sequence        bigint        PRIMARY KEY,
        event_id        text          NOT NULL,
        event_time_ns   bigint        NOT NULL,
        order_id        text          NOT NULL,
        number          bigint        NOT NULL,
        account         text          NOT NULL,
        strategy        text          NOT NULL,
        symbol          text          NOT NULL,
        side            text          NOT NULL,
        quantity        numeric(19,9) NOT NULL,
        price           numeric(19,9) NOT NULL,
        commission      numeric(38,9) NOT NULL,
        slippage        numeric(19,9) NOT NULL,
        -- Gross profit that this fill realised, before commission.
        realized_pnl    numeric(38,9) NOT NULL,
        remaining       numeric(19,9) NOT NULL,
        execution_id    text          NOT NULL,
        executed_at_ns  bigint,
        causation_id    text          NOT NULL
    );
    CREATE INDEX ON fills (order_id, sequence);
    CREATE INDEX ON fills (symbol, event_time_ns);
    CREATE INDEX ON fills (account, strategy, sequence DESC);

    CREATE TABLE entries (
        sequence        bigint        PRIMARY KEY,
        event_id        text          NOT NULL,
        event_time_ns   bigint        NOT NULL,
        account         text          NOT NULL,
        kind            text          NOT NULL,
        strategy        text          NOT NULL,
        symbol          text          NOT NULL,
        amount          numeric(38,9) NOT NULL,
        quantity_after  numeric(19,9) NOT NULL,
        fraction        numeric(19,9) NOT NULL,
        action_id       text          NOT NULL
    );
    CREATE INDEX ON entries (account, sequence DESC);

    -- Signals that risk has not answered; the event is kept whole until then.
    CREATE TABLE pending_signals (
        signal_id  text    PRIMARY KEY,
        decided    boolean NOT NULL,
        event      bytea,
        sequence   bigint  NOT NULL
    ) WITH (fillfactor = 70);
    CREATE INDEX ON pending_signals (signal_id) WHERE NOT decided;

    CREATE TABLE positions (
        account        text          NOT NULL,
        strategy       text          NOT NULL,
        symbol         text          NOT NULL,
        quantity       numeric(19,9) NOT NULL,
        cost           numeric(38,9) NOT NULL,
        -- Fraction of a share that a split left, owed in cash, and its cost.
        fraction       numeric(19,9) NOT NULL,
        fraction_cost  numeric(38,9) NOT NULL,
        realized_pnl   numeric(38,9) NOT NULL,
        fees           numeric(38,9) NOT NULL,
        dividends      numeric(38,9) NOT NULL,
        updated_ns     bigint        NOT NULL,
        sequence       bigint        NOT NULL,
        PRIMARY KEY (account, strategy, symbol)
    ) WITH (fillfactor = 70);

    -- An account as configured and as last marked.
    CREATE TABLE accounts (
        account            text          PRIMARY KEY,
        -- NULL before the first configuration; limits also when it states none.
        limits_version     bigint,
        broker             text,
        limits             jsonb,
        costs              jsonb,
        cash               numeric(38,9) NOT NULL,
        realized_pnl       numeric(38,9) NOT NULL,
        fees               numeric(38,9) NOT NULL,
        deposits           numeric(38,9) NOT NULL,
        dividends          numeric(38,9) NOT NULL,
        -- The last mark; NULL before the first.
        marked_ns          bigint,
        equity             numeric(38,9),
        gross_exposure     numeric(38,9),
        net_exposure       numeric(38,9),
        unrealized_pnl     numeric(38,9),
        prices             jsonb,
        equity_baseline    numeric(38,9) NOT NULL,
        day_start_equity   numeric(38,9) NOT NULL,
        opened_since_mark  numeric(38,9) NOT NULL,
        sequence           bigint        NOT NULL
    ) WITH (fillfactor = 40);

    -- Every version of an account's limits, for the decisions that name one.
    CREATE TABLE limits (
        sequence       bigint PRIMARY KEY,
        account        text   NOT NULL,
        version        bigint NOT NULL,
        broker         text   NOT NULL,
        limits         jsonb  NOT NULL,
        costs          jsonb  NOT NULL,
        actor          text   NOT NULL,
        reason         text   NOT NULL,
        event_time_ns  bigint NOT NULL
    );
    CREATE INDEX ON limits (account, version);

    -- The equity curve: one row per mark.
    CREATE TABLE equity (
        sequence         bigint        PRIMARY KEY,
        account          text          NOT NULL,
        event_time_ns    bigint        NOT NULL,
        equity           numeric(38,9) NOT NULL,
        cash             numeric(38,9) NOT NULL,
        gross_exposure   numeric(38,9) NOT NULL,
        net_exposure     numeric(38,9) NOT NULL,
        realized_pnl     numeric(38,9) NOT NULL,
        unrealized_pnl   numeric(38,9) NOT NULL,
        fees             numeric(38,9) NOT NULL,
        session_start    boolean       NOT NULL
    );
    CREATE INDEX ON equity (account, event_time_ns);

    CREATE TABLE strategies (
        strategy              text    PRIMARY KEY,
        registered            boolean NOT NULL,
        kind                  text    NOT NULL,
        parameters            jsonb   NOT NULL,
        symbols               jsonb   NOT NULL,
        timeframe             text    NOT NULL,
        sizing                jsonb,
        account               text    NOT NULL,
        enabled               boolean NOT NULL,
        mode                  text    NOT NULL,
        warmed_sequence       bigint,
        warmed_bars           bigint,
        signals               bigint  NOT NULL,
        last_signal_sequence  bigint,
        last_signal_ns        bigint,
        last_signal           text    NOT NULL,
        updated_ns            bigint  NOT NULL,
        sequence              bigint  NOT NULL
    ) WITH (fillfactor = 70);

    -- Halts in force, and those ended. The empty account stands for all.
    CREATE TABLE halts (
        account        text    PRIMARY KEY,
        halted         boolean NOT NULL,
        actor          text    NOT NULL,
        reason         text    NOT NULL,
        event_time_ns  bigint  NOT NULL,
        sequence       bigint  NOT NULL
    );

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_trading('trading');
