-- Backtests: what was asked for, how far it is, and what it came to.

CREATE FUNCTION projection.create_backtests(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE runs (
        run_id           text   PRIMARY KEY,
        actor            text   NOT NULL,
        -- Program that does it; empty for the service `backtest`.
        runner           text   NOT NULL,
        -- `single`, `sweep` or `walk_forward`.
        kind             text   NOT NULL,
        -- Strategies with their parameters, and symbols, in words.
        strategies       text   NOT NULL,
        symbols          text   NOT NULL,
        timeframe        text   NOT NULL,
        request          jsonb  NOT NULL,
        requested_at_ns  bigint NOT NULL,
        first_sequence   bigint NOT NULL,
        -- `waiting`, `running`, `succeeded`, `failed` or `cancelled`.
        status           text   NOT NULL,
        attempt          bigint NOT NULL,
        cancel_requested boolean NOT NULL,
        detail           text,
        started_at_ns    bigint,
        finished_at_ns   bigint,
        code_version     text,
        data_hash        text,
        result_hash      text,
        counts           jsonb,
        trades           bigint,
        duration_ms      bigint,
        statistics       jsonb,
        sharpe           double precision,
        max_drawdown     double precision,
        total_return     double precision,
        -- The report, gzipped JSON.
        document         bytea,
        sequence         bigint NOT NULL
    );
    CREATE INDEX ON runs (first_sequence DESC);
    CREATE INDEX ON runs (status, first_sequence DESC);

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_backtests('backtests');
