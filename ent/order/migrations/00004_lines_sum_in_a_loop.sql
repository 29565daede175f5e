-- As before, with less machinery: an aggregate is set up for each order, and an order has a line or a few.
-- +goose Up

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION check_order_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    line     record;
    lines    integer := 0;
    subtotal bigint := 0;
    discount bigint := 0;
    tax      bigint := 0;
    total    bigint := 0;
BEGIN
    FOR line IN SELECT l.subtotal, l.discount, l.tax, l.total FROM order_lines l WHERE l.order_id = NEW.id LOOP
        lines := lines + 1;
        subtotal := subtotal + line.subtotal;
        discount := discount + line.discount;
        tax := tax + line.tax;
        total := total + line.total;
    END LOOP;
    IF lines <> NEW.line_count OR subtotal <> NEW.subtotal OR discount <> NEW.discount
        OR tax <> NEW.tax OR total <> NEW.total - NEW.shipping THEN
        RAISE EXCEPTION 'the lines of order % do not sum to it', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_lines_sum';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION check_order_lines() RETURNS trigger LANGUAGE plpgsql AS $$
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
