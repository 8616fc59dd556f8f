-- Corporate actions, sessions and findings about the data.

CREATE FUNCTION projection.create_calendar(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE corporate_actions (
        sequence       bigint        PRIMARY KEY,
        event_id       text          NOT NULL,
        symbol         text          NOT NULL,
        ex_date        date          NOT NULL,
        kind           text          NOT NULL,
        -- Split: new shares per old share. Dividend: cash per share.
        value          numeric(19,9) NOT NULL,
        origin         text          NOT NULL,
        event_time_ns  bigint        NOT NULL
    );
    CREATE INDEX ON corporate_actions (symbol, ex_date);

    CREATE TABLE sessions (
        exchange         text    NOT NULL,
        date             date    NOT NULL,
        phase            text    NOT NULL,
        open_ns          bigint,
        close_ns         bigint,
        early_close      boolean NOT NULL,
        event_time_ns    bigint  NOT NULL,
        sequence         bigint  NOT NULL,
        PRIMARY KEY (exchange, date)
    );
    CREATE INDEX ON sessions (exchange, sequence DESC);

    CREATE TABLE quality (
        sequence       bigint PRIMARY KEY,
        event_id       text   NOT NULL,
        symbol         text   NOT NULL,
        rule           text   NOT NULL,
        severity       text   NOT NULL,
        timeframe      text   NOT NULL,
        bar_start_ns   bigint,
        detail         text   NOT NULL,
        event_time_ns  bigint NOT NULL
    );
    CREATE INDEX ON quality (symbol, sequence DESC);

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_calendar('calendar');
