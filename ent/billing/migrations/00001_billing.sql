-- +goose Up
-- create "billing_profile" table
CREATE TABLE "billing_profile" ("id" uuid NOT NULL, "customer_id" character varying NULL, "details_sealed" bytea NOT NULL, "default_payment_method" character varying NOT NULL DEFAULT '', "method_id" character varying NOT NULL DEFAULT '', "version" bigint NOT NULL DEFAULT 1, "create_time" timestamptz NOT NULL, "update_time" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "billing_profile_customer_id_key" to table: "billing_profile"
CREATE UNIQUE INDEX "billing_profile_customer_id_key" ON "billing_profile" ("customer_id");
-- create "invoice" table
CREATE TABLE "invoice" ("id" uuid NOT NULL, "number" character varying NOT NULL, "kind" character varying NOT NULL, "order_id" uuid NOT NULL, "order_number" character varying NOT NULL, "refund_id" uuid NULL, "user_id" uuid NULL, "email" character varying NOT NULL DEFAULT '', "recipient_sealed" bytea NULL, "currency_code" character varying NOT NULL, "subtotal" bigint NOT NULL, "discount" bigint NOT NULL, "tax" bigint NOT NULL, "shipping" bigint NOT NULL, "total" bigint NOT NULL, "lines" jsonb NOT NULL, "create_time" timestamptz NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "invoice_kind" CHECK (kind IN ('INVOICE', 'CREDIT_NOTE')), CONSTRAINT "invoice_refund" CHECK ((kind = 'CREDIT_NOTE') = (refund_id IS NOT NULL)), CONSTRAINT "invoice_total" CHECK (total = subtotal - discount + tax + shipping));
-- create index "invoice_create_time_id" to table: "invoice"
CREATE INDEX "invoice_create_time_id" ON "invoice" ("create_time", "id");
-- create index "invoice_number_key" to table: "invoice"
CREATE UNIQUE INDEX "invoice_number_key" ON "invoice" ("number");
-- create index "invoice_one_per_order" to table: "invoice"
CREATE UNIQUE INDEX "invoice_one_per_order" ON "invoice" ("order_id") WHERE kind = 'INVOICE';
-- create index "invoice_one_per_refund" to table: "invoice"
CREATE UNIQUE INDEX "invoice_one_per_refund" ON "invoice" ("refund_id") WHERE refund_id IS NOT NULL;
-- create index "invoice_user_id_create_time_id" to table: "invoice"
CREATE INDEX "invoice_user_id_create_time_id" ON "invoice" ("user_id", "create_time", "id");
-- create "invoice_counter" table
CREATE TABLE "invoice_counter" ("id" character varying NOT NULL, "last" bigint NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "invoice_counter_positive" CHECK (last > 0));
-- create "payment" table
CREATE TABLE "payment" ("id" uuid NOT NULL, "order_id" uuid NOT NULL, "order_number" character varying NOT NULL, "user_id" uuid NULL, "guest_token_hash" character varying NOT NULL DEFAULT '', "email" character varying NOT NULL DEFAULT '', "amount" bigint NOT NULL, "currency_code" character varying NOT NULL, "status" character varying NOT NULL, "payment_method" character varying NOT NULL DEFAULT '', "customer_id" character varying NOT NULL DEFAULT '', "return_url" character varying NOT NULL DEFAULT '', "off_session" boolean NOT NULL DEFAULT false, "intent_id" character varying NULL, "client_secret_sealed" bytea NULL, "redirect_url" character varying NOT NULL DEFAULT '', "refunded" bigint NOT NULL DEFAULT 0, "refund_reserved" bigint NOT NULL DEFAULT 0, "failure_code" character varying NOT NULL DEFAULT '', "failure_message" character varying NOT NULL DEFAULT '', "attempts" bigint NOT NULL DEFAULT 0, "polls" bigint NOT NULL DEFAULT 0, "expire_time" timestamptz NULL, "next_poll_time" timestamptz NULL, "next_attempt_time" timestamptz NULL, "create_time" timestamptz NOT NULL, "update_time" timestamptz NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "payment_amount" CHECK (amount > 0), CONSTRAINT "payment_currency" CHECK (currency_code ~ '^[A-Z]{3}$'), CONSTRAINT "payment_refunds" CHECK (refunded >= 0 AND refunded <= refund_reserved AND refund_reserved <= amount), CONSTRAINT "payment_status" CHECK (status IN ('PENDING', 'AUTHORIZED', 'SUCCEEDED', 'FAILED', 'UNKNOWN', 'REFUNDED', 'PARTIALLY_REFUNDED')));
-- create index "payment_create_time_id" to table: "payment"
CREATE INDEX "payment_create_time_id" ON "payment" ("create_time", "id");
-- create index "payment_intent_id" to table: "payment"
CREATE UNIQUE INDEX "payment_intent_id" ON "payment" ("intent_id") WHERE intent_id IS NOT NULL;
-- create index "payment_next_poll_time" to table: "payment"
CREATE INDEX "payment_next_poll_time" ON "payment" ("next_poll_time") WHERE next_poll_time IS NOT NULL;
-- create index "payment_one_live_per_order" to table: "payment"
CREATE UNIQUE INDEX "payment_one_live_per_order" ON "payment" ("order_id") WHERE status IN ('PENDING', 'AUTHORIZED', 'UNKNOWN', 'SUCCEEDED', 'PARTIALLY_REFUNDED');
-- create index "payment_order_id_create_time" to table: "payment"
CREATE INDEX "payment_order_id_create_time" ON "payment" ("order_id", "create_time");
-- create index "payment_user_id_create_time_id" to table: "payment"
CREATE INDEX "payment_user_id_create_time_id" ON "payment" ("user_id", "create_time", "id");
-- create "refund" table
CREATE TABLE "refund" ("id" uuid NOT NULL, "payment_id" uuid NOT NULL, "order_id" uuid NOT NULL, "amount" bigint NOT NULL, "currency_code" character varying NOT NULL, "reason" character varying NOT NULL, "whole" boolean NOT NULL DEFAULT false, "status" character varying NOT NULL, "provider_refund_id" character varying NULL, "failure_message" character varying NOT NULL DEFAULT '', "polls" bigint NOT NULL DEFAULT 0, "next_poll_time" timestamptz NULL, "create_time" timestamptz NOT NULL, "update_time" timestamptz NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "refund_amount" CHECK (amount > 0), CONSTRAINT "refund_status" CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED')));
-- create index "refund_next_poll_time" to table: "refund"
CREATE INDEX "refund_next_poll_time" ON "refund" ("next_poll_time") WHERE next_poll_time IS NOT NULL;
-- create index "refund_order_id" to table: "refund"
CREATE INDEX "refund_order_id" ON "refund" ("order_id");
-- create index "refund_payment_id_create_time" to table: "refund"
CREATE INDEX "refund_payment_id_create_time" ON "refund" ("payment_id", "create_time");
-- create index "refund_provider_refund_id_key" to table: "refund"
CREATE UNIQUE INDEX "refund_provider_refund_id_key" ON "refund" ("provider_refund_id");
-- create "refund_order" table
CREATE TABLE "refund_order" ("id" uuid NOT NULL, "reason" character varying NOT NULL, "next_poll_time" timestamptz NULL, "create_time" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "refundorder_next_poll_time" to table: "refund_order"
CREATE INDEX "refundorder_next_poll_time" ON "refund_order" ("next_poll_time") WHERE next_poll_time IS NOT NULL;
-- create "webhook_event" table
CREATE TABLE "webhook_event" ("id" character varying NOT NULL, "type" character varying NOT NULL, "intent_id" character varying NOT NULL, "attempts" bigint NOT NULL DEFAULT 0, "last_error" character varying NOT NULL DEFAULT '', "next_poll_time" timestamptz NULL, "create_time" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "webhookevent_next_poll_time" to table: "webhook_event"
CREATE INDEX "webhookevent_next_poll_time" ON "webhook_event" ("next_poll_time") WHERE next_poll_time IS NOT NULL;

-- +goose Down
DROP INDEX "webhookevent_next_poll_time";
DROP TABLE "webhook_event";
DROP INDEX "refundorder_next_poll_time";
DROP TABLE "refund_order";
DROP INDEX "refund_provider_refund_id_key";
DROP INDEX "refund_payment_id_create_time";
DROP INDEX "refund_order_id";
DROP INDEX "refund_next_poll_time";
DROP TABLE "refund";
DROP INDEX "payment_user_id_create_time_id";
DROP INDEX "payment_order_id_create_time";
DROP INDEX "payment_one_live_per_order";
DROP INDEX "payment_next_poll_time";
DROP INDEX "payment_intent_id";
DROP INDEX "payment_create_time_id";
DROP TABLE "payment";
DROP TABLE "invoice_counter";
DROP INDEX "invoice_user_id_create_time_id";
DROP INDEX "invoice_one_per_refund";
DROP INDEX "invoice_one_per_order";
DROP INDEX "invoice_number_key";
DROP INDEX "invoice_create_time_id";
DROP TABLE "invoice";
DROP INDEX "billing_profile_customer_id_key";
DROP TABLE "billing_profile";
