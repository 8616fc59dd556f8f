-- Bars and their restatements. Times are UTC nanoseconds, as on the tape; prices hold every i64 at 1e-9.

-- The key of the bars, for tables that were made without it.
CREATE FUNCTION projection.key_bars(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.bars ADD PRIMARY KEY (symbol, timeframe, close_ns)', target);
END
$$;

-- `keyed` may be false for tables that are filled from the first event on: the key is made afterwards, in
-- one go, unless a bar is restated before.
CREATE FUNCTION projection.create_bars(target text, keyed boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    -- Texts are bounded so that no partition needs a second table for overlong values.
    CREATE TABLE bars (
        symbol          varchar(64)   NOT NULL COLLATE "C",
        timeframe       varchar(8)    NOT NULL COLLATE "C",
        close_ns        bigint        NOT NULL,
        start_ns        bigint        NOT NULL,
        open            numeric(19,9) NOT NULL,
        high            numeric(19,9) NOT NULL,
        low             numeric(19,9) NOT NULL,
        close           numeric(19,9) NOT NULL,
        volume          numeric(19,3) NOT NULL,
        vwap            numeric(19,9),
        trade_count     bigint,
        origin          varchar(16)   NOT NULL,
        event_id        varchar(64)   NOT NULL,
        -- When the bar came onto the tape, and when it was last changed.
        first_sequence  bigint        NOT NULL,
        sequence        bigint        NOT NULL
    ) PARTITION BY RANGE (close_ns);

    -- One partition per year of close (UTC); whatever lies outside goes to the default.
    FOR year IN 1990..2045 LOOP
        EXECUTE format(
            'CREATE TABLE bars_%s PARTITION OF bars FOR VALUES FROM (%s) TO (%s)',
            year,
            extract(epoch FROM make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC'))::bigint * 1000000000,
            extract(epoch FROM make_timestamptz(year + 1, 1, 1, 0, 0, 0, 'UTC'))::bigint * 1000000000
        );
    END LOOP;
    CREATE TABLE bars_other PARTITION OF bars DEFAULT;
    IF keyed THEN
        PERFORM projection.key_bars(target);
    END IF;

    -- Every restatement of a bar, with the values it replaced, so that a bar can be read as of any
    -- sequence. A second bar of the same interval from another source restates it too.
    CREATE TABLE revisions (
        sequence        bigint        PRIMARY KEY,
        event_id        text          NOT NULL,
        revises         text          NOT NULL,
        symbol          text          NOT NULL,
        timeframe       text          NOT NULL,
        close_ns        bigint        NOT NULL,
        start_ns        bigint        NOT NULL,
        open            numeric(19,9) NOT NULL,
        high            numeric(19,9) NOT NULL,
        low             numeric(19,9) NOT NULL,
        close           numeric(19,9) NOT NULL,
        volume          numeric(19,3) NOT NULL,
        -- What the bar was before; NULL when there was none.
        old_sequence    bigint,
        old_event_id    text,
        old_open        numeric(19,9),
        old_high        numeric(19,9),
        old_low         numeric(19,9),
        old_close       numeric(19,9),
        old_volume      numeric(19,3)
    );
    CREATE INDEX ON revisions (symbol, timeframe, close_ns, sequence);

    -- Which series there are, and how far they reach.
    CREATE TABLE series (
        symbol          text   NOT NULL,
        timeframe       text   NOT NULL,
        bars            bigint NOT NULL,
        first_close_ns  bigint NOT NULL,
        last_close_ns   bigint NOT NULL,
        sequence        bigint NOT NULL,
        PRIMARY KEY (symbol, timeframe)
    );

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_bars('bars');
