-- +goose Up
-- create "captured_mail" table
CREATE TABLE "captured_mail" ("id" uuid NOT NULL, "recipient" character varying NOT NULL, "subject" character varying NOT NULL, "text" character varying NOT NULL, "html" character varying NOT NULL, "create_time" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "capturedmail_create_time" to table: "captured_mail"
CREATE INDEX "capturedmail_create_time" ON "captured_mail" ("create_time");
-- create index "capturedmail_recipient_create_time" to table: "captured_mail"
CREATE INDEX "capturedmail_recipient_create_time" ON "captured_mail" ("recipient", "create_time");
-- create "mail" table
CREATE TABLE "mail" ("id" uuid NOT NULL, "idempotency_key" character varying NOT NULL, "recipient_hash" character varying NOT NULL, "recipient_sealed" bytea NOT NULL, "template" character varying NOT NULL, "template_version" bigint NOT NULL, "params_sealed" bytea NOT NULL, "locale" character varying NOT NULL DEFAULT '', "status" character varying NOT NULL DEFAULT 'QUEUED', "attempts" bigint NOT NULL DEFAULT 0, "next_attempt_time" timestamptz NOT NULL, "lease_until" timestamptz NULL, "last_error" character varying NOT NULL DEFAULT '', "provider_reference" character varying NOT NULL DEFAULT '', "order_id" character varying NOT NULL DEFAULT '', "user_id" character varying NOT NULL DEFAULT '', "create_time" timestamptz NOT NULL, "send_time" timestamptz NULL, PRIMARY KEY ("id"), CONSTRAINT "mail_attempts" CHECK ((attempts >= 0) AND (attempts <= 3)), CONSTRAINT "mail_sent_time" CHECK (((status)::text = 'SENT'::text) = (send_time IS NOT NULL)), CONSTRAINT "mail_status" CHECK ((status)::text = ANY ((ARRAY['QUEUED'::character varying, 'SENT'::character varying, 'DEAD'::character varying])::text[])));
-- create index "mail_create_time_id" to table: "mail"
CREATE INDEX "mail_create_time_id" ON "mail" ("create_time", "id");
-- create index "mail_idempotency_key_key" to table: "mail"
CREATE UNIQUE INDEX "mail_idempotency_key_key" ON "mail" ("idempotency_key");
-- create index "mail_next_attempt_time" to table: "mail"
CREATE INDEX "mail_next_attempt_time" ON "mail" ("next_attempt_time") WHERE ((status)::text = 'QUEUED'::text);
-- create index "mail_recipient_hash_create_time" to table: "mail"
CREATE INDEX "mail_recipient_hash_create_time" ON "mail" ("recipient_hash", "create_time");
-- create index "mail_user_id" to table: "mail"
CREATE INDEX "mail_user_id" ON "mail" ("user_id") WHERE ((user_id)::text <> ''::text);

-- +goose Down
DROP INDEX "mail_user_id";
DROP INDEX "mail_recipient_hash_create_time";
DROP INDEX "mail_next_attempt_time";
DROP INDEX "mail_idempotency_key_key";
DROP INDEX "mail_create_time_id";
DROP TABLE "mail";
DROP INDEX "capturedmail_recipient_create_time";
DROP INDEX "capturedmail_create_time";
DROP TABLE "captured_mail";
