-- Of risk decisions: when each was made, in market time. A decision's event time is that of its signal, which after an
-- outage may be long past; a limited rate counts orders by when they were let go.
CREATE FUNCTION projection.extend_trading_risk_moment(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I.risk_decisions ADD COLUMN decided_ns bigint NOT NULL DEFAULT 0', target);
    -- What the version before folded was decided at its event time, as far as that one knew: until the rebuild has ended a
    -- limited rate must not see none of it.
    EXECUTE format('UPDATE %I.risk_decisions SET decided_ns = event_time_ns WHERE verdict = ''approved''', target);
    EXECUTE format('DROP INDEX IF EXISTS %I.risk_decisions_event_time_ns_idx', target);
    EXECUTE format('CREATE INDEX ON %I.risk_decisions (decided_ns) WHERE verdict = ''approved''', target);
END
$$;

-- Filled by the rebuild that the new version of the projection asks for.
SELECT projection.extend_trading_risk_moment('trading');
