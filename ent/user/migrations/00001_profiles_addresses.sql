-- +goose Up
-- create "erased_user" table
CREATE TABLE "erased_user" ("id" uuid NOT NULL, "erase_time" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- create "profile" table
CREATE TABLE "profile" ("id" uuid NOT NULL, "display_name" character varying NOT NULL DEFAULT '', "phone_sealed" bytea NULL, "locale" character varying NOT NULL DEFAULT '', "version" bigint NOT NULL DEFAULT 1, "create_time" timestamptz NOT NULL, "update_time" timestamptz NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "profile_version_min" CHECK (version >= 1));
-- create "address" table
CREATE TABLE "address" ("id" uuid NOT NULL, "sealed" bytea NOT NULL, "is_default" boolean NOT NULL DEFAULT false, "create_time" timestamptz NOT NULL, "update_time" timestamptz NOT NULL, "user_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "address_profile_addresses" FOREIGN KEY ("user_id") REFERENCES "profile" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- create index "address_one_default" to table: "address"
CREATE UNIQUE INDEX "address_one_default" ON "address" ("user_id") WHERE is_default;
-- create index "address_user_id_create_time_id" to table: "address"
CREATE INDEX "address_user_id_create_time_id" ON "address" ("user_id", "create_time", "id");

-- +goose Down
DROP INDEX "address_user_id_create_time_id";
DROP INDEX "address_one_default";
DROP TABLE "address";
DROP TABLE "profile";
DROP TABLE "erased_user";
