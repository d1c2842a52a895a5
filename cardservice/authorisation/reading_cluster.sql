-- All that messages are decided on, where payers lie on other nodes than the rest (`distributing`).
--
-- Three statements, each of a later moment than the one before: who pays, at the coordinator; the payers' own
-- rows, one command for each shard that they lie in; all the rest, at the coordinator. A payer's version is so
-- never newer than what it stands for, and posting notices whatever changed after it was read: therefore
-- VOLATILE, and never the rest before the version.

-- One payer's own rows, and which of these ids they have: run by their node, one command. Each statement names one
-- table and the payer by `=`, since of those alone a node keeps its own plan. The version is read first.
CREATE OR REPLACE FUNCTION read_payer(p_payer uuid, p_id uuid[]) RETURNS TABLE (out_view json, out_known uuid[])
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_version bigint;
    v_accounts json;
    v_counters json;
    v_limits json;
BEGIN
    SELECT s.version INTO v_version FROM payer_state AS s WHERE s.payer_id = p_payer;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT json_agg(
        json_build_array(a.kind, a.card_id, a.application, a.unit, a.balance, a.floor)
        ORDER BY a.kind, a.card_id, a.application
    ) INTO v_accounts FROM account AS a WHERE a.payer_id = p_payer;
    SELECT json_agg(json_build_array(u.cardholder_id, u.rule, u.period, u.used))
    INTO v_counters FROM counter AS u WHERE u.payer_id = p_payer;
    SELECT json_agg(
        json_build_array(
            l.cardholder_id, l.rule, l.amount_minor,
            (extract(epoch FROM l.valid_from) * 1000)::bigint,
            (extract(epoch FROM l.recorded_at) * 1000)::bigint
        )
        ORDER BY l.id
    ) INTO v_limits FROM payer_limit AS l WHERE l.payer_id = p_payer;
    SELECT coalesce(array_agg(t.id), '{}') INTO out_known
    FROM ledger_transaction AS t WHERE t.payer_id = p_payer AND t.id = ANY (p_id);
    out_view := json_build_array(p_payer, v_version, v_accounts, v_counters, v_limits);
    RETURN NEXT;
END $$;

-- The same of many payers, a command for each shard that they lie in. Planned for each call: with values that are
-- known the nodes that are asked are those that have them, and no transaction is begun there.
CREATE OR REPLACE FUNCTION read_payers(p_payer uuid[], p_id uuid[])
RETURNS TABLE (out_payer uuid, out_view json, out_known uuid[])
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_custom_plan
SET jit = off
SET citus.function_opens_transaction_block = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        s.payer_id,
        json_build_array(
            s.payer_id,
            s.version,
            (
                SELECT json_agg(
                    json_build_array(a.kind, a.card_id, a.application, a.unit, a.balance, a.floor)
                    ORDER BY a.kind, a.card_id, a.application
                )
                FROM account AS a WHERE a.payer_id = s.payer_id AND a.payer_id = ANY (p_payer)
            ),
            (
                SELECT json_agg(json_build_array(u.cardholder_id, u.rule, u.period, u.used))
                FROM counter AS u WHERE u.payer_id = s.payer_id AND u.payer_id = ANY (p_payer)
            ),
            (
                SELECT json_agg(
                    json_build_array(
                        l.cardholder_id, l.rule, l.amount_minor,
                        (extract(epoch FROM l.valid_from) * 1000)::bigint,
                        (extract(epoch FROM l.recorded_at) * 1000)::bigint
                    )
                    ORDER BY l.id
                )
                FROM payer_limit AS l WHERE l.payer_id = s.payer_id AND l.payer_id = ANY (p_payer)
            )
        ),
        ARRAY(
            SELECT t.id FROM ledger_transaction AS t
            WHERE t.payer_id = s.payer_id AND t.payer_id = ANY (p_payer) AND t.id = ANY (p_id)
        )
    FROM payer_state AS s WHERE s.payer_id = ANY (p_payer);
END $$;

-- Every payer that the holders of these cards have, have had or will have.
CREATE OR REPLACE FUNCTION payers_of_cards(p_card uuid[]) RETURNS uuid[]
LANGUAGE sql VOLATILE
AS $$
    SELECT array_agg(DISTINCT h.payer_id ORDER BY h.payer_id)
    FROM card JOIN cardholder_payer AS h ON h.cardholder_id = card.cardholder_id
    WHERE card.id = ANY (p_card);
$$;

-- In the place of the function for one node, with its arguments and its result, whatever they are (`distributing`).
CREATE OR REPLACE FUNCTION read_for_messages(:arguments)
RETURNS :result
LANGUAGE plpgsql VOLATILE
SET citus.function_opens_transaction_block = off
AS $$
DECLARE
    v_payers CONSTANT uuid[] := payers_of_cards(p_card);
    v_ids CONSTANT uuid[] := p_id || p_other;
    v_payer uuid[] := '{}';
    v_view json[] := '{}';
    v_known json[] := '{}';
    v_one uuid;
    v_ones_view json;
    v_ones_known json;
BEGIN
    IF cardinality(v_payers) <= :few THEN
        FOREACH v_one IN ARRAY v_payers LOOP
            SELECT r.out_view, to_json(r.out_known) INTO v_ones_view, v_ones_known FROM read_payer(v_one, v_ids) AS r;
            IF FOUND THEN
                v_payer := v_payer || v_one;
                v_view := v_view || v_ones_view;
                v_known := v_known || v_ones_known;
            END IF;
        END LOOP;
    ELSIF v_payers IS NOT NULL THEN
        SELECT array_agg(r.out_payer), array_agg(r.out_view), array_agg(to_json(r.out_known))
        INTO v_payer, v_view, v_known
        FROM read_payers(v_payers, v_ids) AS r;
    END IF;
    RETURN QUERY SELECT * FROM read_beside(
        :passed, p_payer => v_payer, p_view => v_view, p_known => v_known
    ) AS r ORDER BY r.out_row;
    -- They only ever become more. A terminal that is told to repeat is answered by who pays then.
    IF payers_of_cards(p_card) IS DISTINCT FROM v_payers THEN
        RAISE EXCEPTION 'who pays has changed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
END $$;
