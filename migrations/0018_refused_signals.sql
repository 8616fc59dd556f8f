-- Indexes that count, per strategy, the signals that were no good: denied as invalid, or parked because they were none.

CREATE FUNCTION projection.extend_trading_refused(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX risk_decisions_invalid_idx ON %I.risk_decisions (strategy) WHERE rule = ''invalid_signal''',
        target);
END
$$;

SELECT projection.extend_trading_refused('trading');

CREATE FUNCTION projection.extend_parked_sender(target text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX parked_sender_idx ON %I.parked (split_part(origin_subject, ''.'', 2))
        WHERE origin_subject LIKE ''signal.%%''', target);
END
$$;

SELECT projection.extend_parked_sender('parked');
