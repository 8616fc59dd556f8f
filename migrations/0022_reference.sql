-- Facts about companies and listings, and news: every event is a row, so that any moment of the past can be shown.

CREATE FUNCTION projection.create_reference(target text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM projection.open_schema(target);

    CREATE TABLE facts (
        sequence       bigint PRIMARY KEY,
        event_id       text   NOT NULL,
        symbol         text   NOT NULL,
        -- `profile`, `statistics`, `statement`, `holders`, `analysts` or `listing`.
        kind           text   NOT NULL,
        -- A statement's period and its last day, such as `annual 2025-09-30`; empty for other kinds.
        part           text   NOT NULL,
        source         text   NOT NULL,
        -- The fact as its event states it, in proto3-JSON.
        fact           jsonb  NOT NULL,
        event_time_ns  bigint NOT NULL
    );
    CREATE INDEX ON facts (symbol, kind, source, part, sequence DESC);

    CREATE TABLE articles (
        sequence           bigint PRIMARY KEY,
        event_id           text   NOT NULL,
        article_id         text   NOT NULL,
        -- The symbol under which it stands; empty when it is about none.
        symbol             text   NOT NULL,
        source             text   NOT NULL,
        source_article_id  text   NOT NULL,
        publisher          text   NOT NULL,
        author             text   NOT NULL,
        url                text   NOT NULL,
        headline           text   NOT NULL,
        summary            text   NOT NULL,
        published_ns       bigint NOT NULL,
        updated_ns         bigint NOT NULL,
        -- Every symbol that the source names, a JSON list.
        symbols            jsonb  NOT NULL,
        library            text,
        library_version    text,
        -- From -1 (bad) to 1 (good), and the parts of the text.
        compound           double precision,
        negative           double precision,
        neutral            double precision,
        positive           double precision,
        -- How late the source is.
        delay              text   NOT NULL,
        revision           bigint NOT NULL,
        origin             text   NOT NULL,
        -- From when on it could be known.
        event_time_ns      bigint NOT NULL
    );
    CREATE INDEX ON articles (symbol, event_time_ns DESC, sequence DESC);
    CREATE INDEX ON articles (event_time_ns DESC, sequence DESC);
    CREATE INDEX ON articles (article_id, symbol, sequence DESC);

    PERFORM projection.close_schema(target, path);
END
$$;

SELECT projection.create_reference('reference');
