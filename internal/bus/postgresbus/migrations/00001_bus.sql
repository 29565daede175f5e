-- The event bus. Components reach it through the functions below and never through the tables: they run with the
-- rights of the owner and look at session_user, which SET ROLE does not change.

-- +goose Up

-- What was published, kept for replay.
CREATE TABLE event (
    seq          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           uuid        NOT NULL CONSTRAINT event_id UNIQUE,
    type         text        NOT NULL,
    subject      text        NOT NULL,
    -- json and not jsonb: an event passes unchanged, and text that jsonb refuses must not stop the outbox.
    body         json        NOT NULL,
    publish_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX event_publish_time ON event (publish_time);

-- Who wants which types, whether or not a process of theirs runs.
CREATE TABLE subscription (
    name        text        PRIMARY KEY,
    types       text[]      NOT NULL CONSTRAINT subscription_types CHECK (cardinality(types) > 0),
    create_time timestamptz NOT NULL DEFAULT now()
);

-- What is still to be handled. next_attempt_time is also the lease: a claimed delivery is due again when its
-- claimer did not settle it by then.
CREATE TABLE delivery (
    subscription      text        NOT NULL REFERENCES subscription ON DELETE CASCADE,
    seq               bigint      NOT NULL REFERENCES event ON DELETE CASCADE,
    attempts          int         NOT NULL DEFAULT 0,
    next_attempt_time timestamptz NOT NULL DEFAULT now(),
    last_error        text        NOT NULL DEFAULT '',
    dead              boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (subscription, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX delivery_due ON delivery (subscription, next_attempt_time, seq) WHERE NOT dead;
CREATE INDEX delivery_seq ON delivery (seq);

-- +goose StatementBegin
-- permit refuses a component that acts for another one's subscription. Who may become the owner may do everything.
CREATE FUNCTION permit(p_names text[]) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(p_names) n WHERE session_user <> 'commerce_' || split_part(n, '.', 1))
        AND NOT pg_has_role(session_user, 'bus_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'role % may not act for subscriptions %', session_user, p_names
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

-- register makes a subscription, or adds types to one. Types it did not have start p_backlog ago. The lock waits
-- for publishers at work, so an event is either in the backlog or delivered by its publisher, never neither.
CREATE FUNCTION register(p_name text, p_types text[], p_backlog interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
DECLARE
    v_old text[];
BEGIN
    PERFORM bus.permit(ARRAY[p_name]);
    IF EXISTS (SELECT FROM subscription WHERE name = p_name AND types @> p_types) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('bus publish', 0));
    v_old := coalesce((SELECT types FROM subscription WHERE name = p_name), '{}');
    -- Types are only ever added: during a rollout an older process must not take away what a newer one wants.
    INSERT INTO subscription (name, types) VALUES (p_name, p_types)
    ON CONFLICT (name) DO UPDATE SET types = ARRAY(SELECT DISTINCT unnest(subscription.types || p_types) ORDER BY 1);
    INSERT INTO delivery (subscription, seq)
    SELECT p_name, e.seq FROM event e
    WHERE e.publish_time >= now() - p_backlog AND e.type = ANY (p_types) AND NOT e.type = ANY (v_old)
    ON CONFLICT DO NOTHING;
END $$;

-- publish takes a batch. Only events that are new make deliveries, so a repeated batch has no effect.
CREATE FUNCTION publish(p_ids uuid[], p_types text[], p_subjects text[], p_bodies text[]) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
DECLARE
    v_fresh int;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('bus publish', 0));
    WITH fresh AS (
        INSERT INTO event (id, type, subject, body)
        SELECT e.id, e.type, e.subject, e.body::json
        FROM unnest(p_ids, p_types, p_subjects, p_bodies) WITH ORDINALITY AS e (id, type, subject, body, place)
        ORDER BY e.place
        ON CONFLICT (id) DO NOTHING
        RETURNING event.seq, event.type
    ), delivered AS (
        INSERT INTO delivery (subscription, seq)
        SELECT s.name, f.seq FROM fresh f JOIN subscription s ON f.type = ANY (s.types)
        RETURNING delivery.subscription
    ), notified AS (
        SELECT pg_notify('bus_' || c.component, '')
        FROM (SELECT DISTINCT split_part(subscription, '.', 1) AS component FROM delivered) c
    )
    SELECT (SELECT count(*) FROM fresh) + 0 * (SELECT count(*) FROM notified) INTO v_fresh;
    RETURN v_fresh;
END $$;

-- claim leases up to p_limits[i] due deliveries of p_names[i] whose type is in the comma-separated p_types[i].
CREATE FUNCTION claim(p_names text[], p_types text[], p_limits int[], p_lease interval)
RETURNS TABLE (claimed_subscription text, claimed_seq bigint, claimed_attempts int, claimed_body text)
LANGUAGE plpgsql SECURITY DEFINER
-- A plan made while the table was empty must not scan it when it is full.
SET search_path = pg_catalog, bus, pg_temp SET enable_seqscan = off AS $$
BEGIN
    PERFORM bus.permit(p_names);
    -- A crash of the server may undo this: then the lease or the settlement is simply repeated.
    PERFORM set_config('synchronous_commit', 'off', true);
    FOR i IN 1 .. cardinality(p_names) LOOP
        CONTINUE WHEN p_limits[i] <= 0;
        RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT d.seq AS due_seq, e.body AS due_body
            FROM delivery d JOIN event e ON e.seq = d.seq
            WHERE d.subscription = p_names[i] AND NOT d.dead AND d.next_attempt_time <= now()
                AND e.type = ANY (string_to_array(p_types[i], ','))
            ORDER BY d.next_attempt_time, d.seq
            LIMIT p_limits[i]
            FOR UPDATE OF d SKIP LOCKED
        )
        UPDATE delivery d SET attempts = d.attempts + 1, next_attempt_time = now() + p_lease
        FROM due WHERE d.subscription = p_names[i] AND d.seq = due.due_seq
        RETURNING d.subscription, d.seq, d.attempts, due.due_body::text;
    END LOOP;
END $$;

-- extend prolongs the leases that are still held.
CREATE FUNCTION extend(p_names text[], p_seqs bigint[], p_attempts int[], p_lease interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    PERFORM bus.permit(p_names);
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE delivery d SET next_attempt_time = now() + p_lease
    FROM unnest(p_names, p_seqs, p_attempts) AS h (name, seq, attempts)
    WHERE d.subscription = h.name AND d.seq = h.seq AND d.attempts = h.attempts AND NOT d.dead;
END $$;

-- settle ends claims: 'done' deletes, 'retry' waits p_delays[i] seconds, 'dead' gives up, 'release' gives back
-- unused. A claim that was lost to somebody else meanwhile (its attempts moved on) changes nothing, except that
-- 'done' always counts: the effect has happened.
CREATE FUNCTION settle(p_names text[], p_seqs bigint[], p_attempts int[], p_outcomes text[], p_delays double precision[], p_errors text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    PERFORM bus.permit(p_names);
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM delivery d
    USING unnest(p_names, p_seqs, p_outcomes) AS s (name, seq, outcome)
    WHERE d.subscription = s.name AND d.seq = s.seq AND s.outcome = 'done';
    UPDATE delivery d SET
        next_attempt_time = now() + make_interval(secs => s.delay),
        attempts = d.attempts - (s.outcome = 'release')::int,
        last_error = CASE WHEN s.outcome = 'release' THEN d.last_error ELSE left(s.error, 1000) END,
        dead = s.outcome = 'dead'
    FROM unnest(p_names, p_seqs, p_attempts, p_outcomes, p_delays, p_errors) AS s (name, seq, attempts, outcome, delay, error)
    WHERE d.subscription = s.name AND d.seq = s.seq AND d.attempts = s.attempts AND s.outcome <> 'done';
END $$;

-- redrive gives the dead deliveries of a subscription a fresh start.
CREATE FUNCTION redrive(p_name text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
DECLARE
    v_count int;
BEGIN
    PERFORM bus.permit(ARRAY[p_name]);
    UPDATE delivery SET dead = false, attempts = 0, next_attempt_time = now() WHERE subscription = p_name AND dead;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    PERFORM pg_notify('bus_' || split_part(p_name, '.', 1), '') WHERE v_count > 0;
    RETURN v_count;
END $$;

-- replay delivers again up to p_limit retained events after p_after, and answers the last one and their number.
CREATE FUNCTION replay(p_name text, p_since timestamptz, p_after bigint, p_limit int, OUT last_seq bigint, OUT replayed int)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    PERFORM bus.permit(ARRAY[p_name]);
    WITH chosen AS (
        SELECT e.seq FROM event e JOIN subscription s ON s.name = p_name AND e.type = ANY (s.types)
        WHERE e.publish_time >= p_since AND e.seq > p_after
        ORDER BY e.seq LIMIT p_limit
    ), made AS (
        INSERT INTO delivery (subscription, seq) SELECT p_name, chosen.seq FROM chosen
        ON CONFLICT (subscription, seq) DO UPDATE SET dead = false, attempts = 0, next_attempt_time = now()
        RETURNING delivery.seq
    )
    SELECT max(made.seq), count(*) INTO last_seq, replayed FROM made;
    PERFORM pg_notify('bus_' || split_part(p_name, '.', 1), '') WHERE replayed > 0;
END $$;

-- dead lists what a subscription gave up on, oldest first.
CREATE FUNCTION dead(p_name text, p_limit int) RETURNS TABLE (dead_body text, dead_attempts int, dead_error text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    PERFORM bus.permit(ARRAY[p_name]);
    RETURN QUERY SELECT e.body::text, d.attempts, d.last_error FROM delivery d JOIN event e ON e.seq = d.seq
    WHERE d.subscription = p_name AND d.dead ORDER BY d.seq LIMIT p_limit;
END $$;

-- stats counts what waits and what is dead, and how old the oldest waiting event is in seconds.
CREATE FUNCTION stats(p_names text[])
RETURNS TABLE (stats_subscription text, waiting bigint, dead_letters bigint, oldest_seconds double precision)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    PERFORM bus.permit(p_names);
    RETURN QUERY SELECT n.name, count(*) FILTER (WHERE NOT d.dead), count(*) FILTER (WHERE d.dead),
        coalesce(extract(epoch FROM now() - (SELECT e.publish_time FROM event e WHERE e.seq = min(d.seq) FILTER (WHERE NOT d.dead))), 0)::double precision
    FROM unnest(p_names) AS n (name) LEFT JOIN delivery d ON d.subscription = n.name
    GROUP BY n.name;
END $$;

-- purge forgets events of which nothing is due after 14 days and dead letters after 90, some at a time.
CREATE FUNCTION purge() RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
DECLARE
    v_count int;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('bus purge', 0)) THEN
        RETURN 0;
    END IF;
    DELETE FROM delivery d USING event e WHERE e.seq = d.seq AND d.dead AND e.publish_time < now() - interval '90 days';
    DELETE FROM event WHERE seq IN (
        SELECT e.seq FROM event e
        WHERE e.publish_time < now() - interval '14 days' AND NOT EXISTS (SELECT FROM delivery d WHERE d.seq = e.seq)
        ORDER BY e.publish_time LIMIT 5000);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
-- +goose StatementEnd

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bus FROM PUBLIC;
GRANT USAGE ON SCHEMA bus TO commerce_component;
GRANT EXECUTE ON FUNCTION register, publish, claim, extend, settle, redrive, replay, dead, stats, purge TO commerce_component;
-- The login role of the bus itself serves nobody.
REVOKE ALL ON event, subscription, delivery FROM commerce_bus;

-- +goose Down
DROP FUNCTION purge, stats, dead, replay, redrive, settle, extend, claim, publish, register, permit;
DROP TABLE delivery, subscription, event;
