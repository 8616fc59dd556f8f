-- Limits by scope, breakers, kill switches, and what the monitor measured.

-- limit_sets and risk_tallies hold the book's present state and are loaded back into it; the other tables only
-- grow. An empty account, strategy or symbol of a limit means each one. Of accounts: the highest equity; of halts:
-- whether strategies may still reduce.
CREATE FUNCTION projection.extend_trading_risk(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.accounts ADD COLUMN peak_equity numeric(38,9)', target);
    EXECUTE format('ALTER TABLE %I.halts ADD COLUMN state text NOT NULL DEFAULT ''unspecified''', target);
    EXECUTE format('CREATE TABLE %I.limit_sets (
        account        text   NOT NULL,
        strategy       text   NOT NULL,
        symbol         text   NOT NULL,
        version        bigint NOT NULL,
        limits         jsonb  NOT NULL,
        actor          text   NOT NULL,
        reason         text   NOT NULL,
        event_time_ns  bigint NOT NULL,
        sequence       bigint NOT NULL,
        PRIMARY KEY (account, strategy, symbol)
    )', target);
    EXECUTE format('CREATE TABLE %I.limit_versions (
        sequence       bigint PRIMARY KEY,
        event_id       text   NOT NULL,
        account        text   NOT NULL,
        strategy       text   NOT NULL,
        symbol         text   NOT NULL,
        version        bigint NOT NULL,
        limits         jsonb  NOT NULL,
        actor          text   NOT NULL,
        reason         text   NOT NULL,
        event_time_ns  bigint NOT NULL
    )', target);
    EXECUTE format('CREATE TABLE %I.risk_tallies (
        account   text   NOT NULL,
        strategy  text   NOT NULL,
        tally     jsonb  NOT NULL,
        sequence  bigint NOT NULL,
        PRIMARY KEY (account, strategy)
    ) WITH (fillfactor = 70)', target);
    EXECUTE format('CREATE TABLE %I.alerts (
        sequence       bigint  PRIMARY KEY,
        event_id       text    NOT NULL,
        event_time_ns  bigint  NOT NULL,
        account        text    NOT NULL,
        strategy       text    NOT NULL,
        kind           text    NOT NULL,
        detail         text    NOT NULL,
        cleared        boolean NOT NULL,
        correlation_id text    NOT NULL
    )', target);
    EXECUTE format('CREATE INDEX ON %I.alerts (account, strategy, kind, sequence DESC)', target);
    EXECUTE format('CREATE TABLE %I.risk_measures (
        sequence       bigint PRIMARY KEY,
        event_time_ns  bigint NOT NULL,
        account        text   NOT NULL,
        measure        jsonb  NOT NULL
    )', target);
    EXECUTE format('CREATE INDEX ON %I.risk_measures (account, sequence DESC)', target);
    -- Order rates count approvals of the last day.
    EXECUTE format('CREATE INDEX ON %I.risk_decisions (event_time_ns) WHERE verdict = ''approved''', target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for.
SELECT projection.extend_trading_risk('trading');
