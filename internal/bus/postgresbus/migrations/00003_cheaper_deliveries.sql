-- A delivery costs less than half. Nobody but the functions writes these tables: publish and register make deliveries of
-- events and subscriptions that their own statement reads, nothing takes subscriptions away, and purge, which alone
-- takes events away, and those that read events of before exclude each other. So the two references, each a look and a lock
-- of the referred row for every delivery, keep out nothing; nor does anything look for deliveries by event but purge, which
-- reads them all.

-- +goose Up
ALTER TABLE delivery DROP CONSTRAINT delivery_seq_fkey, DROP CONSTRAINT delivery_subscription_fkey;
DROP INDEX delivery_seq;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION register(p_name text, p_types text[], p_backlog interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
DECLARE
    v_old text[];
BEGIN
    PERFORM bus.permit(ARRAY[p_name]);
    IF EXISTS (SELECT FROM subscription WHERE name = p_name AND types @> p_types) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('bus purge', 0));
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

CREATE OR REPLACE FUNCTION replay(p_name text, p_since timestamptz, p_after bigint, p_limit int, OUT last_seq bigint, OUT replayed int)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    PERFORM bus.permit(ARRAY[p_name]);
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('bus purge', 0));
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
-- +goose StatementEnd

-- +goose Down
CREATE INDEX delivery_seq ON delivery (seq);
ALTER TABLE delivery ADD CONSTRAINT delivery_seq_fkey FOREIGN KEY (seq) REFERENCES event ON DELETE CASCADE,
    ADD CONSTRAINT delivery_subscription_fkey FOREIGN KEY (subscription) REFERENCES subscription ON DELETE CASCADE;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION register(p_name text, p_types text[], p_backlog interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
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
    INSERT INTO subscription (name, types) VALUES (p_name, p_types)
    ON CONFLICT (name) DO UPDATE SET types = ARRAY(SELECT DISTINCT unnest(subscription.types || p_types) ORDER BY 1);
    INSERT INTO delivery (subscription, seq)
    SELECT p_name, e.seq FROM event e
    WHERE e.publish_time >= now() - p_backlog AND e.type = ANY (p_types) AND NOT e.type = ANY (v_old)
    ON CONFLICT DO NOTHING;
END $$;

CREATE OR REPLACE FUNCTION replay(p_name text, p_since timestamptz, p_after bigint, p_limit int, OUT last_seq bigint, OUT replayed int)
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
-- +goose StatementEnd
