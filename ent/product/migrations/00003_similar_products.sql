-- +goose Up
-- +goose StatementBegin
-- Products whose names hold something spelled like the text, for when no product has the words themselves. The
-- threshold is lower than pg_trgm's, which misses one wrong letter in a short word.
CREATE FUNCTION similar_products(p_text text, p_limit integer) RETURNS TABLE (id uuid, score float8)
LANGUAGE sql STABLE ROWS 50 SET pg_trgm.word_similarity_threshold = 0.4 AS $$
    SELECT p.id, word_similarity(p_text, lower(p.name))::float8 AS score
    FROM product p
    WHERE p.delete_time IS NULL AND lower(p.name) %> p_text
    ORDER BY score DESC, p.id DESC
    LIMIT p_limit
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Tells the planner about many new rows at once; a component's role may not, since it owns no table.
CREATE FUNCTION refresh_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    ANALYZE product, category, product_category, product_image, stock_level, stock_entry;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION refresh_statistics();
DROP FUNCTION similar_products(text, integer);
