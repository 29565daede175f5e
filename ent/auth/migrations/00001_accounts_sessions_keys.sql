-- +goose Up
-- create "account" table
CREATE TABLE "account" ("id" uuid NOT NULL, "email" character varying NOT NULL, "display_name" character varying NOT NULL DEFAULT '', "password_hash" character varying NOT NULL, "email_verified_time" timestamptz NULL, "roles" jsonb NOT NULL, "disabled" boolean NOT NULL DEFAULT false, "version" bigint NOT NULL DEFAULT 1, "create_time" timestamptz NOT NULL, "update_time" timestamptz NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "account_email_lower" CHECK ((email)::text = lower((email)::text)), CONSTRAINT "account_roles_filled" CHECK (jsonb_array_length(roles) >= 1), CONSTRAINT "account_version_min" CHECK (version >= 1));
-- create index "account_admins" to table: "account"
CREATE INDEX "account_admins" ON "account" ("disabled") WHERE (roles @> '["admin"]'::jsonb);
-- create index "account_create_time_id" to table: "account"
CREATE INDEX "account_create_time_id" ON "account" ("create_time", "id");
-- create index "account_email" to table: "account"
CREATE UNIQUE INDEX "account_email" ON "account" ("email");
-- create index "account_email_search" to table: "account"
CREATE INDEX "account_email_search" ON "account" USING gin ("email" extensions.gin_trgm_ops);
-- create "revoked_session" table
CREATE TABLE "revoked_session" ("id" uuid NOT NULL, "expire_time" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create index "revokedsession_expire_time" to table: "revoked_session"
CREATE INDEX "revokedsession_expire_time" ON "revoked_session" ("expire_time");
-- create "signing_key" table
CREATE TABLE "signing_key" ("id" character varying NOT NULL, "state" character varying NOT NULL, "public_key" bytea NOT NULL, "private_sealed" bytea NULL, "create_time" timestamptz NOT NULL, "state_time" timestamptz NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "signing_key_private" CHECK ((private_sealed IS NULL) = ((state)::text = ANY ((ARRAY['retiring'::character varying, 'removed'::character varying])::text[]))), CONSTRAINT "signing_key_public_length" CHECK (octet_length(public_key) = 32), CONSTRAINT "signing_key_state" CHECK ((state)::text = ANY ((ARRAY['pending'::character varying, 'published'::character varying, 'active'::character varying, 'retiring'::character varying, 'removed'::character varying])::text[])));
-- create index "signing_key_one_each" to table: "signing_key"
CREATE UNIQUE INDEX "signing_key_one_each" ON "signing_key" ("state") WHERE ((state)::text = ANY ((ARRAY['pending'::character varying, 'published'::character varying, 'active'::character varying])::text[]));
-- create "one_time_token" table
CREATE TABLE "one_time_token" ("id" uuid NOT NULL, "hash" bytea NOT NULL, "purpose" character varying NOT NULL, "password_hash" character varying NOT NULL DEFAULT '', "create_time" timestamptz NOT NULL, "expire_time" timestamptz NOT NULL, "used_time" timestamptz NULL, "account_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "one_time_token_account_one_time_tokens" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "one_time_token_hash_length" CHECK (octet_length(hash) = 32), CONSTRAINT "one_time_token_purpose" CHECK ((purpose)::text = ANY ((ARRAY['verify'::character varying, 'reset'::character varying])::text[])));
-- create index "one_time_token_one_reset" to table: "one_time_token"
CREATE UNIQUE INDEX "one_time_token_one_reset" ON "one_time_token" ("account_id") WHERE (((purpose)::text = 'reset'::text) AND (used_time IS NULL));
-- create index "onetimetoken_account_id_purpose" to table: "one_time_token"
CREATE INDEX "onetimetoken_account_id_purpose" ON "one_time_token" ("account_id", "purpose");
-- create index "onetimetoken_expire_time" to table: "one_time_token"
CREATE INDEX "onetimetoken_expire_time" ON "one_time_token" ("expire_time");
-- create index "onetimetoken_hash" to table: "one_time_token"
CREATE UNIQUE INDEX "onetimetoken_hash" ON "one_time_token" ("hash");
-- create "session" table
CREATE TABLE "session" ("id" uuid NOT NULL, "user_agent" character varying NOT NULL DEFAULT '', "ip_address" character varying NOT NULL DEFAULT '', "create_time" timestamptz NOT NULL, "last_use_time" timestamptz NOT NULL, "expire_time" timestamptz NOT NULL, "revoke_time" timestamptz NULL, "account_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "session_account_sessions" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "session_account_id_last_use_time" to table: "session"
CREATE INDEX "session_account_id_last_use_time" ON "session" ("account_id", "last_use_time") WHERE (revoke_time IS NULL);
-- create index "session_expire_time" to table: "session"
CREATE INDEX "session_expire_time" ON "session" ("expire_time");
-- create "refresh_token" table
CREATE TABLE "refresh_token" ("id" uuid NOT NULL, "hash" bytea NOT NULL, "create_time" timestamptz NOT NULL, "expire_time" timestamptz NOT NULL, "used_time" timestamptz NULL, "successor_sealed" bytea NULL, "session_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "refresh_token_session_refresh_tokens" FOREIGN KEY ("session_id") REFERENCES "session" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "refresh_token_hash_length" CHECK (octet_length(hash) = 32), CONSTRAINT "refresh_token_successor_used" CHECK ((successor_sealed IS NULL) OR (used_time IS NOT NULL)));
-- create index "refresh_token_one_live" to table: "refresh_token"
CREATE UNIQUE INDEX "refresh_token_one_live" ON "refresh_token" ("session_id") WHERE (used_time IS NULL);
-- create index "refresh_token_sealed" to table: "refresh_token"
CREATE INDEX "refresh_token_sealed" ON "refresh_token" ("used_time") WHERE (successor_sealed IS NOT NULL);
-- create index "refreshtoken_expire_time" to table: "refresh_token"
CREATE INDEX "refreshtoken_expire_time" ON "refresh_token" ("expire_time");
-- create index "refreshtoken_hash" to table: "refresh_token"
CREATE UNIQUE INDEX "refreshtoken_hash" ON "refresh_token" ("hash");
-- create index "refreshtoken_session_id_create_time" to table: "refresh_token"
CREATE INDEX "refreshtoken_session_id_create_time" ON "refresh_token" ("session_id", "create_time");

-- +goose Down
DROP INDEX "refreshtoken_session_id_create_time";
DROP INDEX "refreshtoken_hash";
DROP INDEX "refreshtoken_expire_time";
DROP INDEX "refresh_token_sealed";
DROP INDEX "refresh_token_one_live";
DROP TABLE "refresh_token";
DROP INDEX "session_expire_time";
DROP INDEX "session_account_id_last_use_time";
DROP TABLE "session";
DROP INDEX "onetimetoken_hash";
DROP INDEX "onetimetoken_expire_time";
DROP INDEX "onetimetoken_account_id_purpose";
DROP INDEX "one_time_token_one_reset";
DROP TABLE "one_time_token";
DROP INDEX "signing_key_one_each";
DROP TABLE "signing_key";
DROP INDEX "revokedsession_expire_time";
DROP TABLE "revoked_session";
DROP INDEX "account_email_search";
DROP INDEX "account_email";
DROP INDEX "account_create_time_id";
DROP INDEX "account_admins";
DROP TABLE "account";
