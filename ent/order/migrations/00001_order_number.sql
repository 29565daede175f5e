-- Ent has no sequences. Numbers ascend and are never given twice; a placement that fails leaves a gap.
-- +goose Up
CREATE SEQUENCE order_number_seq AS bigint START WITH 100001;

-- +goose Down
DROP SEQUENCE order_number_seq;
