CREATE TABLE stripesim.customer (
    id  text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    doc jsonb NOT NULL
);

CREATE TABLE stripesim.payment_method (
    id  text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    doc jsonb NOT NULL
);
CREATE INDEX ON stripesim.payment_method ((doc ->> 'customer'));

CREATE TABLE stripesim.payment_intent (
    id        text PRIMARY KEY,
    seq       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    settle_at timestamptz,
    doc       jsonb NOT NULL,
    CHECK (doc ->> 'status' IN ('requires_payment_method', 'requires_confirmation', 'requires_action',
                                'processing', 'requires_capture', 'succeeded', 'canceled')),
    CHECK ((doc ->> 'amount_received')::bigint BETWEEN 0 AND (doc ->> 'amount')::bigint)
);
CREATE INDEX ON stripesim.payment_intent ((doc ->> 'customer'));
CREATE INDEX ON stripesim.payment_intent (settle_at) WHERE settle_at IS NOT NULL;

CREATE TABLE stripesim.charge (
    id  text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    doc jsonb NOT NULL,
    CHECK ((doc ->> 'amount_captured')::bigint BETWEEN 0 AND (doc ->> 'amount')::bigint),
    CHECK ((doc ->> 'amount_refunded')::bigint BETWEEN 0 AND (doc ->> 'amount')::bigint)
);
CREATE INDEX ON stripesim.charge ((doc ->> 'payment_intent'));
CREATE INDEX ON stripesim.charge ((doc ->> 'balance_transaction'));
-- One intent takes money once, whatever the callers do.
CREATE UNIQUE INDEX charge_paid_once ON stripesim.charge ((doc ->> 'payment_intent'))
    WHERE doc ->> 'status' IN ('succeeded', 'pending');

CREATE TABLE stripesim.refund (
    id        text PRIMARY KEY,
    seq       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    settle_at timestamptz,
    doc       jsonb NOT NULL,
    CHECK ((doc ->> 'amount')::bigint > 0)
);
CREATE INDEX ON stripesim.refund ((doc ->> 'charge'));
CREATE INDEX ON stripesim.refund ((doc ->> 'payment_intent'));
CREATE INDEX ON stripesim.refund ((doc ->> 'balance_transaction'));
CREATE INDEX ON stripesim.refund (settle_at) WHERE settle_at IS NOT NULL;

-- The bytes of an event never change: its signature is over them.
CREATE TABLE stripesim.event (
    id   text PRIMARY KEY,
    seq  bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    doc  jsonb NOT NULL,
    body bytea NOT NULL
);

CREATE TABLE stripesim.delivery (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id      text NOT NULL REFERENCES stripesim.event (id),
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'abandoned')),
    attempts      int NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at       timestamptz NOT NULL,
    last_response text NOT NULL DEFAULT ''
);
CREATE INDEX ON stripesim.delivery (next_at) WHERE state = 'pending';

CREATE TABLE stripesim.idempotency_key (
    key         text PRIMARY KEY,
    path        text NOT NULL,
    params_hash bytea NOT NULL,
    request_id  text NOT NULL,
    status      int NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
