-- +goose Up
-- create "key_request" table
CREATE TABLE "key_request" ("id" character varying NOT NULL, "create_time" timestamptz NOT NULL, PRIMARY KEY ("id"));

-- +goose Down
DROP TABLE "key_request";
