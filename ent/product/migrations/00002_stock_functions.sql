-- +goose Up
-- Stock moves in functions, because reserving is the hottest write of the shop:
-- one call is one round trip and one transaction. Lock order, everywhere:
-- the reservation first, then stock rows in id order.

-- +goose StatementBegin
-- A UUIDv7 of the given time: ledger rows sort by time and land on the same index pages.
CREATE FUNCTION ledger_id(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || substr(r, 14, 3) || substr(r, 17))::uuid
    FROM replace(gen_random_uuid()::text, '-', '') AS r
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- True when the order's reservation holds exactly these pieces.
CREATE FUNCTION reserved_lines_match(p_order uuid, p_products uuid[], p_quantities integer[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT 1
        FROM (SELECT t.id, sum(t.quantity) AS quantity
              FROM unnest(p_products, p_quantities) AS t (id, quantity) GROUP BY t.id) d
        FULL JOIN (SELECT l.product_id, l.quantity FROM reservation_line l WHERE l.order_id = p_order) h
            ON h.product_id = d.id
        WHERE h.quantity IS DISTINCT FROM d.quantity
    )
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Reserves all or nothing. Each row tells an outcome:
--   RESERVED  a line as it was sold, also when the same call came before
--   SHORT     too few pieces; available says how many there are
--   MISSING   no such product on sale
--   CONFLICT  the order holds a reservation of other lines
--   ENDED     the reservation was committed and its goods came back
--   RETRY     a twin of this call is in the way; call again
-- Unless every row is RESERVED nothing was changed.
CREATE FUNCTION reserve_stock(p_order uuid, p_products uuid[], p_quantities integer[], p_expire timestamptz, p_now timestamptz)
RETURNS TABLE (outcome text, product_id uuid, sku text, name text, currency_code text, price_minor bigint,
    tax_class text, weight_grams integer, quantity integer, available integer, expire_time timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    held     reservation%ROWTYPE;
    wanted   record;
    locked   uuid[] := '{}';
    refused  boolean := false;
    replayed boolean := false;
BEGIN
    -- The order that is placed next flushes this commit with its own: the log of
    -- one server is in order. Should a crash of a server of its own lose the
    -- reservation, it is missing when the payment settles, and the money goes back.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO held FROM reservation r WHERE r.order_id = p_order FOR UPDATE;
    IF FOUND THEN
        IF NOT reserved_lines_match(p_order, p_products, p_quantities) THEN
            RETURN QUERY SELECT 'CONFLICT', NULL::uuid, '', '', '', 0::bigint, '', 0, 0, 0, held.expire_time;
            RETURN;
        ELSIF held.state IN ('ACTIVE', 'COMMITTED') THEN
            IF held.state = 'ACTIVE' AND held.expire_time <= p_now THEN
                UPDATE reservation r SET expire_time = greatest(r.expire_time, p_expire) WHERE r.order_id = p_order;
            END IF;
            RETURN QUERY SELECT 'RESERVED', l.product_id, l.sku, l.name, l.currency_code, l.price_minor, l.tax_class,
                l.weight_grams, l.quantity, 0, r.expire_time
                FROM reservation_line l JOIN reservation r ON r.order_id = l.order_id
                WHERE l.order_id = p_order ORDER BY l.product_id;
            RETURN;
        ELSIF held.commit_time IS NOT NULL THEN
            RETURN QUERY SELECT 'ENDED', NULL::uuid, '', '', '', 0::bigint, '', 0, 0, 0, held.expire_time;
            RETURN;
        END IF;
    END IF;

    FOR wanted IN
        SELECT s.product_id AS id, d.quantity AS quantity, s.on_hand - s.reserved AS available,
               p.delete_time IS NULL AND p.status = 'ACTIVE' AS on_sale
        FROM (SELECT t.id, sum(t.quantity)::integer AS quantity
              FROM unnest(p_products, p_quantities) AS t (id, quantity) GROUP BY t.id) d
        JOIN stock_level s ON s.product_id = d.id
        JOIN product p ON p.id = d.id
        ORDER BY s.product_id
        FOR UPDATE OF s
    LOOP
        locked := locked || wanted.id;
        IF NOT wanted.on_sale THEN
            refused := true;
            RETURN QUERY SELECT 'MISSING', wanted.id, '', '', '', 0::bigint, '', 0, wanted.quantity, 0, p_expire;
        ELSIF wanted.available < wanted.quantity THEN
            refused := true;
            RETURN QUERY SELECT 'SHORT', p.id, p.sku, p.name, p.currency_code, p.price_minor, p.tax_class, p.weight_grams,
                wanted.quantity, wanted.available, p_expire FROM product p WHERE p.id = wanted.id;
        END IF;
    END LOOP;
    IF refused AND held.order_id IS NULL AND EXISTS (SELECT 1 FROM reservation r WHERE r.order_id = p_order) THEN
        -- A twin of this very call took the last pieces while this one waited.
        RETURN QUERY SELECT 'RETRY', NULL::uuid, '', '', '', 0::bigint, '', 0, 0, 0, p_expire;
        RETURN;
    END IF;
    RETURN QUERY SELECT 'MISSING', t.id, '', '', '', 0::bigint, '', 0, t.quantity, 0, p_expire
        FROM unnest(p_products, p_quantities) AS t (id, quantity) WHERE t.id <> ALL (locked);
    IF refused OR FOUND THEN
        RETURN;
    END IF;

    IF held.order_id IS NOT NULL THEN
        -- It ended without being sold, and the same order asks again.
        DELETE FROM reservation_line l WHERE l.order_id = p_order;
        DELETE FROM reservation r WHERE r.order_id = p_order;
    END IF;
    RETURN QUERY
    WITH demand AS (
        SELECT t.id, sum(t.quantity)::integer AS quantity
        FROM unnest(p_products, p_quantities) AS t (id, quantity) GROUP BY t.id
    ), opened AS (
        INSERT INTO reservation (order_id, state, expire_time, create_time)
        VALUES (p_order, 'ACTIVE', p_expire, p_now)
        ON CONFLICT (order_id) DO NOTHING
        RETURNING order_id
    ), moved AS (
        UPDATE stock_level s SET reserved = s.reserved + d.quantity
        FROM demand d, opened
        WHERE s.product_id = d.id
    ), written AS (
        INSERT INTO stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, reason, order_id, create_time)
        SELECT ledger_id(p_now), d.id, 'RESERVED', 0, d.quantity, '', p_order, p_now FROM demand d, opened
    ), lines AS (
        INSERT INTO reservation_line (order_id, product_id, quantity, sku, name, currency_code, price_minor, tax_class, weight_grams)
        SELECT p_order, p.id, d.quantity, p.sku, p.name, p.currency_code, p.price_minor, p.tax_class, p.weight_grams
        FROM demand d JOIN product p ON p.id = d.id, opened
        RETURNING *
    )
    SELECT 'RESERVED', l.product_id, l.sku, l.name, l.currency_code, l.price_minor, l.tax_class, l.weight_grams,
        l.quantity, 0, p_expire
    FROM lines l ORDER BY l.product_id;
    IF NOT FOUND THEN
        -- A twin with this order id came first on other stock rows.
        RETURN QUERY SELECT 'RETRY', NULL::uuid, '', '', '', 0::bigint, '', 0, 0, 0, p_expire;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Moves the stock of reservations that the caller has locked and writes the
-- ledger. The factors say what one piece does to the two quantities.
CREATE FUNCTION settle_reservations(p_orders uuid[], p_kind text, p_on_hand integer, p_reserved integer, p_reason text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM stock_level s
        WHERE s.product_id IN (SELECT l.product_id FROM reservation_line l WHERE l.order_id = ANY (p_orders))
        ORDER BY s.product_id FOR UPDATE;
    UPDATE stock_level s
        SET on_hand = s.on_hand + p_on_hand * t.quantity, reserved = s.reserved + p_reserved * t.quantity
        FROM (SELECT l.product_id, sum(l.quantity)::integer AS quantity
              FROM reservation_line l WHERE l.order_id = ANY (p_orders) GROUP BY l.product_id) t
        WHERE s.product_id = t.product_id;
    INSERT INTO stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, reason, order_id, create_time)
        SELECT ledger_id(p_now), l.product_id, p_kind, p_on_hand * l.quantity, p_reserved * l.quantity, p_reason, l.order_id, p_now
        FROM reservation_line l WHERE l.order_id = ANY (p_orders);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Sells what is reserved. Returns COMMITTED (also when it was before), the state that ended it, or MISSING.
CREATE FUNCTION commit_reservation(p_order uuid, p_now timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held reservation%ROWTYPE;
BEGIN
    SELECT * INTO held FROM reservation r WHERE r.order_id = p_order FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'MISSING';
    ELSIF held.state <> 'ACTIVE' THEN
        RETURN held.state;
    END IF;
    PERFORM settle_reservations(ARRAY[p_order], 'ALLOCATED', -1, -1, '', p_now);
    UPDATE reservation r SET state = 'COMMITTED', commit_time = p_now WHERE r.order_id = p_order;
    RETURN 'COMMITTED';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Gives pieces back: reserved ones to the available, sold ones to the warehouse.
-- Returns RELEASED, the state that had ended it before, or MISSING.
CREATE FUNCTION release_reservation(p_order uuid, p_reason text, p_now timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    held reservation%ROWTYPE;
BEGIN
    SELECT * INTO held FROM reservation r WHERE r.order_id = p_order FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'MISSING';
    ELSIF held.state = 'ACTIVE' THEN
        PERFORM settle_reservations(ARRAY[p_order], 'RELEASED', 0, -1, p_reason, p_now);
    ELSIF held.state = 'COMMITTED' THEN
        PERFORM settle_reservations(ARRAY[p_order], 'RETURNED', 1, 0, p_reason, p_now);
    ELSE
        RETURN held.state;
    END IF;
    UPDATE reservation r SET state = 'RELEASED', end_time = p_now WHERE r.order_id = p_order;
    RETURN 'RELEASED';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Ends up to p_limit reservations whose time is over and returns how many. Sweepers skip each other's.
CREATE FUNCTION expire_reservations(p_now timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    due uuid[];
BEGIN
    SELECT array_agg(d.order_id) INTO due FROM (
        SELECT r.order_id FROM reservation r
        WHERE r.state = 'ACTIVE' AND r.expire_time <= p_now
        ORDER BY r.expire_time LIMIT p_limit FOR UPDATE SKIP LOCKED
    ) d;
    IF due IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM settle_reservations(due, 'EXPIRED', 0, -1, '', p_now);
    UPDATE reservation r SET state = 'EXPIRED', end_time = p_now WHERE r.order_id = ANY (due);
    RETURN cardinality(due);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Moves the expiry of a live reservation later. Outcome: ACTIVE, the state that ended it, or MISSING.
CREATE FUNCTION extend_reservation(p_order uuid, p_expire timestamptz)
RETURNS TABLE (outcome text, expire_time timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY UPDATE reservation r SET expire_time = greatest(r.expire_time, p_expire)
        WHERE r.order_id = p_order AND r.state = 'ACTIVE' RETURNING r.state, r.expire_time;
    IF NOT FOUND THEN
        RETURN QUERY SELECT r.state, r.expire_time FROM reservation r WHERE r.order_id = p_order;
    END IF;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'MISSING', p_expire;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Changes the quantity on hand once for each ledger id. Outcome: ADJUSTED, REPEATED, TOO_LOW, TOO_HIGH or MISSING.
CREATE FUNCTION adjust_stock(p_id uuid, p_product uuid, p_delta integer, p_reason text, p_now timestamptz)
RETURNS TABLE (outcome text, on_hand integer, reserved integer) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    level stock_level%ROWTYPE;
BEGIN
    SELECT s.* INTO level FROM stock_level s JOIN product p ON p.id = s.product_id
        WHERE s.product_id = p_product AND p.delete_time IS NULL FOR UPDATE OF s;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'MISSING', 0, 0;
    ELSIF EXISTS (SELECT 1 FROM stock_entry e WHERE e.id = p_id) THEN
        RETURN QUERY SELECT 'REPEATED', level.on_hand, level.reserved;
    ELSIF level.on_hand::bigint + p_delta < level.reserved THEN
        RETURN QUERY SELECT 'TOO_LOW', level.on_hand, level.reserved;
    ELSIF level.on_hand::bigint + p_delta > 1000000000 THEN
        RETURN QUERY SELECT 'TOO_HIGH', level.on_hand, level.reserved;
    ELSE
        INSERT INTO stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, reason, create_time)
            VALUES (p_id, p_product, 'ADJUSTED', p_delta, 0, p_reason, p_now);
        RETURN QUERY UPDATE stock_level s SET on_hand = s.on_hand + p_delta WHERE s.product_id = p_product
            RETURNING 'ADJUSTED', s.on_hand, s.reserved;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION adjust_stock(uuid, uuid, integer, text, timestamptz);
DROP FUNCTION extend_reservation(uuid, timestamptz);
DROP FUNCTION expire_reservations(timestamptz, integer);
DROP FUNCTION release_reservation(uuid, text, timestamptz);
DROP FUNCTION commit_reservation(uuid, timestamptz);
DROP FUNCTION settle_reservations(uuid[], text, integer, integer, text, timestamptz);
DROP FUNCTION reserve_stock(uuid, uuid[], integer[], timestamptz, timestamptz);
DROP FUNCTION reserved_lines_match(uuid, uuid[], integer[]);
DROP FUNCTION ledger_id(timestamptz);
