-- A component logs in as commerce_<component> or as a member of that role, so that its password can be changed while
-- processes with the old one still run.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION permit(p_names text[]) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(p_names) n WHERE session_user <> 'commerce_' || split_part(n, '.', 1) AND NOT EXISTS (
            SELECT FROM pg_roles r WHERE r.rolname = 'commerce_' || split_part(n, '.', 1) AND pg_has_role(session_user, r.oid, 'MEMBER'))
    ) AND NOT pg_has_role(session_user, 'bus_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'role % may not act for subscriptions %', session_user, p_names
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION permit(p_names text[]) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, bus, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(p_names) n WHERE session_user <> 'commerce_' || split_part(n, '.', 1))
        AND NOT pg_has_role(session_user, 'bus_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'role % may not act for subscriptions %', session_user, p_names
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
-- +goose StatementEnd
