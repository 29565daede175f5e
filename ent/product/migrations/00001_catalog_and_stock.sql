-- +goose Up
CREATE TABLE catalog_state (
    id      bigint NOT NULL PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    CONSTRAINT catalog_state_single_check CHECK (id = 1)
);
INSERT INTO catalog_state (id, version) VALUES (1, 1);

CREATE TABLE category (
    id          uuid        NOT NULL PRIMARY KEY,
    slug        text        NOT NULL,
    name        text        NOT NULL,
    parent_id   uuid        NULL,
    position    integer     NOT NULL DEFAULT 0,
    version     bigint      NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT category_category_children FOREIGN KEY (parent_id) REFERENCES category (id) ON DELETE RESTRICT,
    CONSTRAINT category_parent_check CHECK (parent_id <> id),
    CONSTRAINT category_version_check CHECK (version > 0)
);
CREATE UNIQUE INDEX category_slug_key ON category (slug);
CREATE INDEX category_parent_idx ON category (parent_id);

CREATE TABLE product (
    id            uuid        NOT NULL PRIMARY KEY,
    slug          text        NOT NULL,
    sku           text        NOT NULL DEFAULT '',
    name          text        NOT NULL,
    description   text        NOT NULL DEFAULT '',
    currency_code text        NOT NULL,
    price_minor   bigint      NOT NULL,
    tax_class     text        NOT NULL DEFAULT 'standard',
    status        text        NOT NULL,
    weight_grams  integer     NOT NULL DEFAULT 0,
    group_key     text        NOT NULL DEFAULT '',
    attributes    jsonb       NOT NULL DEFAULT '{}'::jsonb,
    version       bigint      NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL,
    update_time   timestamptz NOT NULL,
    delete_time   timestamptz NULL,
    -- Names in both dictionaries: whole words of any language by prefix, English ones by stem as well.
    search        tsvector    GENERATED ALWAYS AS (
        setweight(to_tsvector('simple'::regconfig, name || ' ' || sku), 'A') ||
        setweight(to_tsvector('english'::regconfig, name), 'A') ||
        setweight(jsonb_to_tsvector('simple'::regconfig, attributes, '["string"]'::jsonb), 'B') ||
        setweight(to_tsvector('english'::regconfig, description), 'D')
    ) STORED,
    CONSTRAINT product_price_minor_check CHECK (price_minor >= 0),
    CONSTRAINT product_weight_grams_check CHECK (weight_grams >= 0),
    CONSTRAINT product_version_check CHECK (version > 0),
    CONSTRAINT product_status_check CHECK (status IN ('ACTIVE', 'DRAFT', 'ARCHIVED')),
    CONSTRAINT product_currency_check CHECK (currency_code ~ '^[A-Z]{3}$')
);
CREATE UNIQUE INDEX product_slug_key ON product (slug) WHERE delete_time IS NULL;
CREATE UNIQUE INDEX product_sku_key ON product (sku) WHERE delete_time IS NULL AND sku <> '';
CREATE INDEX product_price_idx ON product (price_minor, id) WHERE delete_time IS NULL;
CREATE INDEX product_create_time_idx ON product (create_time, id) WHERE delete_time IS NULL;
-- Sixty characters sort well enough and keep page tokens short.
CREATE INDEX product_name_idx ON product (left(lower(name), 60), id) WHERE delete_time IS NULL;
CREATE INDEX product_search_idx ON product USING gin (search) WHERE delete_time IS NULL;
CREATE INDEX product_name_trgm_idx ON product USING gin (lower(name) gin_trgm_ops) WHERE delete_time IS NULL;
CREATE INDEX product_attributes_idx ON product USING gin (attributes jsonb_path_ops) WHERE delete_time IS NULL;

CREATE TABLE product_category (
    product_id  uuid NOT NULL,
    category_id uuid NOT NULL,
    PRIMARY KEY (product_id, category_id),
    CONSTRAINT product_category_product_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE,
    CONSTRAINT product_category_category_category FOREIGN KEY (category_id) REFERENCES category (id) ON DELETE CASCADE
);
CREATE INDEX product_category_category_idx ON product_category (category_id, product_id);

CREATE TABLE product_image (
    id            uuid        NOT NULL PRIMARY KEY,
    product_id    uuid        NOT NULL,
    object_key    text        NOT NULL DEFAULT '',
    thumbnail_key text        NOT NULL DEFAULT '',
    external_url  text        NOT NULL DEFAULT '',
    alt           text        NOT NULL DEFAULT '',
    width         integer     NOT NULL DEFAULT 0,
    height        integer     NOT NULL DEFAULT 0,
    position      integer     NOT NULL DEFAULT 0,
    create_time   timestamptz NOT NULL,
    CONSTRAINT product_image_product_images FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE NO ACTION,
    CONSTRAINT product_image_source_check CHECK ((object_key = '') <> (external_url = '')),
    CONSTRAINT product_image_url_check CHECK (external_url = '' OR external_url LIKE 'https://%'),
    CONSTRAINT product_image_size_check CHECK (width >= 0 AND height >= 0)
);
CREATE INDEX product_image_product_idx ON product_image (product_id, position, id);

-- Half empty pages let the hottest update of the platform stay on its page (HOT).
CREATE TABLE stock_level (
    product_id uuid    NOT NULL PRIMARY KEY,
    on_hand    integer NOT NULL DEFAULT 0,
    reserved   integer NOT NULL DEFAULT 0,
    CONSTRAINT stock_level_product_fkey FOREIGN KEY (product_id) REFERENCES product (id),
    CONSTRAINT stock_level_reserved_check CHECK (0 <= reserved AND reserved <= on_hand)
) WITH (fillfactor = 50);

CREATE TABLE stock_entry (
    id             uuid        NOT NULL PRIMARY KEY,
    product_id     uuid        NOT NULL,
    kind           text        NOT NULL,
    on_hand_delta  integer     NOT NULL,
    reserved_delta integer     NOT NULL,
    reason         text        NOT NULL DEFAULT '',
    order_id       uuid        NULL,
    create_time    timestamptz NOT NULL,
    CONSTRAINT stock_entry_stock_level_entries FOREIGN KEY (product_id) REFERENCES stock_level (product_id),
    CONSTRAINT stock_entry_kind_check CHECK (kind IN ('ADJUSTED', 'RESERVED', 'RELEASED', 'EXPIRED', 'ALLOCATED', 'RETURNED')),
    CONSTRAINT stock_entry_delta_check CHECK (on_hand_delta <> 0 OR reserved_delta <> 0)
);
CREATE INDEX stock_entry_product_idx ON stock_entry (product_id, id);

CREATE TABLE reservation (
    order_id    uuid        NOT NULL PRIMARY KEY,
    state       text        NOT NULL,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    commit_time timestamptz NULL,
    end_time    timestamptz NULL,
    CONSTRAINT reservation_state_check CHECK (state IN ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED'))
);
CREATE INDEX reservation_expire_time_idx ON reservation (expire_time) WHERE state = 'ACTIVE';

CREATE TABLE reservation_line (
    order_id      uuid    NOT NULL,
    product_id    uuid    NOT NULL,
    quantity      integer NOT NULL,
    sku           text    NOT NULL,
    name          text    NOT NULL,
    currency_code text    NOT NULL,
    price_minor   bigint  NOT NULL,
    tax_class     text    NOT NULL,
    weight_grams  integer NOT NULL,
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT reservation_line_reservation_reservation FOREIGN KEY (order_id) REFERENCES reservation (order_id),
    CONSTRAINT reservation_line_stock_level_stock_level FOREIGN KEY (product_id) REFERENCES stock_level (product_id),
    CONSTRAINT reservation_line_quantity_check CHECK (quantity > 0),
    CONSTRAINT reservation_line_price_check CHECK (price_minor >= 0)
);

-- +goose StatementBegin
-- The ledger is evidence: a row once written stays as it is.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the stock ledger is append-only' USING ERRCODE = 'restrict_violation';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER stock_entry_append_only BEFORE UPDATE OR DELETE ON stock_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER stock_entry_no_truncate BEFORE TRUNCATE ON stock_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- +goose StatementBegin
-- Two moves that are harmless alone can close a cycle together, so moves take
-- turns on the catalog's row before the ancestors are walked.
CREATE FUNCTION check_category_tree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ancestor uuid := NEW.parent_id;
    depth    integer := 0;
BEGIN
    IF ancestor IS NULL THEN
        RETURN NEW;
    END IF;
    PERFORM 1 FROM catalog_state WHERE id = 1 FOR UPDATE;
    WHILE ancestor IS NOT NULL LOOP
        depth := depth + 1;
        IF ancestor = NEW.id THEN
            RAISE EXCEPTION 'a category cannot be its own ancestor'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'category_cycle_check';
        END IF;
        IF depth > 16 THEN
            RAISE EXCEPTION 'the category tree is too deep'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'category_depth_check';
        END IF;
        SELECT c.parent_id INTO ancestor FROM category c WHERE c.id = ancestor;
    END LOOP;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER category_tree BEFORE INSERT OR UPDATE OF parent_id ON category
    FOR EACH ROW EXECUTE FUNCTION check_category_tree();

-- +goose Down
DROP TABLE reservation_line, reservation, stock_entry, stock_level, product_image, product_category, product, category, catalog_state;
DROP FUNCTION refuse_ledger_change(), check_category_tree();
