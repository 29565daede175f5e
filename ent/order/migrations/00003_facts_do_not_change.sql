-- What Ent cannot say: lines sum to their order, and what was sold or happened stays as it was.
-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION check_order_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM order_lines l WHERE l.order_id = NEW.id
        HAVING count(*) = NEW.line_count AND sum(l.subtotal) = NEW.subtotal
            AND sum(l.discount) = NEW.discount AND sum(l.tax) = NEW.tax
            AND sum(l.total) = NEW.total - NEW.shipping
    ) THEN
        RAISE EXCEPTION 'the lines of order % do not sum to it', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_lines_sum';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- At the commit, when the lines are there too. One check an order.
CREATE CONSTRAINT TRIGGER order_lines_sum AFTER INSERT ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_order_lines();

-- A line that comes later has no place left: places are unique and run up to line_count.
-- +goose StatementBegin
CREATE FUNCTION check_order_line_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_lines n JOIN orders o ON o.id = n.order_id
        WHERE n.position < 1 OR n.position > o.line_count
    ) THEN
        RAISE EXCEPTION 'an order has as many lines as it was placed with'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_line_place';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER order_line_place AFTER INSERT ON order_lines
    REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION check_order_line_place();

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are facts and are not changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

CREATE TRIGGER order_lines_fixed BEFORE UPDATE OR DELETE OR TRUNCATE ON order_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER order_events_fixed BEFORE UPDATE OR DELETE OR TRUNCATE ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER orders_kept BEFORE DELETE OR TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Money of an order is fixed when it is placed, and its state only moves along the arrows.
-- +goose StatementBegin
CREATE FUNCTION check_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.currency, NEW.subtotal, NEW.discount, NEW.tax, NEW.shipping, NEW.total, NEW.line_count, NEW.number)
        IS DISTINCT FROM
       (OLD.currency, OLD.subtotal, OLD.discount, OLD.tax, OLD.shipping, OLD.total, OLD.line_count, OLD.number) THEN
        RAISE EXCEPTION 'the amounts of order % are fixed', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_amounts_fixed';
    END IF;
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('PENDING', 'CONFIRMED'), ('PENDING', 'CANCELLED'), ('PENDING', 'EXPIRED'),
        ('CONFIRMED', 'FULFILLED'), ('CONFIRMED', 'CANCELLED'), ('FULFILLED', 'COMPLETED')) THEN
        RAISE EXCEPTION 'order % cannot become % from %', OLD.id, NEW.status, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_status_moves';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd

CREATE TRIGGER order_change BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION check_order_change();

-- +goose Down
DROP TRIGGER order_change ON orders;
DROP FUNCTION check_order_change();
DROP TRIGGER orders_kept ON orders;
DROP TRIGGER order_events_fixed ON order_events;
DROP TRIGGER order_lines_fixed ON order_lines;
DROP FUNCTION refuse_change();
DROP TRIGGER order_line_place ON order_lines;
DROP FUNCTION check_order_line_place();
DROP TRIGGER order_lines_sum ON orders;
DROP FUNCTION check_order_lines();
