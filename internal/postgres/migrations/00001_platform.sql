-- The tables every component's schema has. They are written by this program's own packages and never by Ent.

-- +goose Up

-- Events that committed with the facts they tell of and wait to be published.
CREATE TABLE outbox (
    id          uuid        PRIMARY KEY,
    seq         bigint      GENERATED ALWAYS AS IDENTITY,
    event_type  text        NOT NULL,
    subject     text        NOT NULL,
    payload     jsonb       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX outbox_seq ON outbox (seq);

-- Events a subscriber has taken in; the row commits with the event's effect.
CREATE TABLE inbox (
    subscriber  text        NOT NULL,
    event_id    uuid        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscriber, event_id)
);
CREATE INDEX inbox_create_time ON inbox (create_time);

-- Claims of Idempotency-Key headers and the answers to replay.
CREATE TABLE idempotency_key (
    scope       text        NOT NULL,
    procedure   text        NOT NULL,
    key         text        NOT NULL,
    params_hash bytea       NOT NULL,
    resource_id uuid        NOT NULL,
    state       text        NOT NULL CONSTRAINT idempotency_key_state CHECK (state IN ('in_progress', 'done')),
    lease_until timestamptz,
    response    bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, procedure, key)
);
CREATE INDEX idempotency_key_create_time ON idempotency_key (create_time);

-- Who did what. Rows are added and never changed.
CREATE TABLE audit_log (
    id          uuid        PRIMARY KEY,
    actor_id    text        NOT NULL DEFAULT '',
    actor       text        NOT NULL,
    action      text        NOT NULL,
    resource    text        NOT NULL DEFAULT '',
    request_id  text        NOT NULL DEFAULT '',
    ip          text        NOT NULL DEFAULT '',
    details     jsonb       NOT NULL DEFAULT '{}',
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_create_time ON audit_log (create_time, id);

-- +goose StatementBegin
CREATE FUNCTION refuse_audit_log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();

-- +goose Down
DROP TABLE audit_log;
DROP FUNCTION refuse_audit_log_change();
DROP TABLE idempotency_key;
DROP TABLE inbox;
DROP TABLE outbox;
