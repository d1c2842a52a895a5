-- Posts transactions as `post_transactions` does, one after the other: for a node of a cluster (`distributing`).
--
-- Citus keeps a node's plan of a statement that names one table, and the payer in it by `=`, and of no other: it
-- makes that anew each time, which takes longer than to run it. So nothing is joined here, and each row is its own
-- statement. For many rows of one shard it is the other way round: those are `post_transactions`'.
--
-- Which plans are kept is left to the server, after some calls: triggers run by the same settings, and a plan of
-- theirs for any values, which looks into another statement's table, Citus cannot make.
--
-- The version is counted up first, and that is the lock. A row that is only locked keeps no shard from being moved
-- to another node; what is written does, until the end. What is not posted has its version put back.
--
-- Checks without a text are those of `post_transactions`, which know `n` and `v_lines`.
CREATE OR REPLACE FUNCTION post_one_by_one(p_route uuid, :arguments)
RETURNS :result
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = auto
SET jit = off
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    n CONSTANT integer := cardinality(p_payer);
    v_lines CONSTANT integer := cardinality(p_transfer_row);
    v_tombstone CONSTANT uuid[] := array_remove(p_tombstone, NULL);
    -- every payer that a row locks: its own, then the others; and the version that each was found at
    v_row CONSTANT integer[] := ARRAY(SELECT generate_series(1, n)) || p_also_row;
    v_payer CONSTANT uuid[] := p_payer || p_also_payer;
    v_expected CONSTANT bigint[] := p_version || p_also_version;
    v_version bigint[] := '{}';
    v_found bigint;
    v_at integer;
    v_step integer;
    -- the row that is posted, and what its accounts gain
    v_own uuid;
    v_id uuid;
    v_gain_kind text[];
    v_gain_card text[];
    v_gain_application text[];
    v_gain_unit text[];
    v_gain bigint[];
    v_kind text;
    v_card text;
    v_application text;
    v_add bigint;
    v_unit text;
    v_left bigint;
    v_part record;
BEGIN
    -- check: isolation
    -- check: lengths

    IF cardinality(v_payer) + cardinality(v_tombstone) > 1 AND (
        (SELECT count(*) > count(DISTINCT payer) FROM unnest(v_payer) AS payer)
        OR (SELECT count(*) > count(DISTINCT id) FROM unnest(p_id || v_tombstone) AS id)
    ) THEN
        RAISE EXCEPTION 'a payer or an id occurs twice' USING ERRCODE = 'cardinality_violation';
    END IF;

    IF p_wait THEN
        PERFORM set_config('lock_timeout', p_lock_timeout_ms || 'ms', true);
    END IF;
    FOR v_at, v_own IN
        SELECT l.at, l.payer FROM unnest(v_payer) WITH ORDINALITY AS l (payer, at) ORDER BY l.payer
    LOOP
        IF NOT p_wait THEN
            PERFORM s.version FROM payer_state AS s WHERE s.payer_id = v_own FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
        END IF;
        v_step := (v_at <= n)::integer;
        UPDATE payer_state AS s SET version = s.version + v_step WHERE s.payer_id = v_own
        RETURNING s.version - v_step INTO v_found;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a payer has no state' USING ERRCODE = 'foreign_key_violation';
        END IF;
        v_version[v_at] := v_found;
    END LOOP;

    FOR v_number IN 1 .. n LOOP
        out_row := v_number;
        v_id := p_id[out_row];
        out_outcome := 'posted';
        out_version := NULL;
        out_known_under := NULL;
        FOR v_at IN SELECT l.at FROM unnest(v_row) WITH ORDINALITY AS l (row, at) WHERE l.row = out_row LOOP
            IF v_version[v_at] IS NULL THEN
                out_outcome := 'busy';
                EXIT;
            END IF;
            v_own := v_payer[v_at];
            PERFORM t.id FROM ledger_transaction AS t WHERE t.payer_id = v_own AND t.id = v_id;
            IF FOUND THEN
                out_outcome := 'known';
                out_known_under := coalesce(out_known_under, v_own);
            ELSIF out_outcome = 'posted' AND v_version[v_at] <> v_expected[v_at] THEN
                out_outcome := 'version_changed';
            END IF;
        END LOOP;

        v_own := p_payer[out_row];
        IF out_outcome = 'posted' THEN
            SELECT
                array_agg(split_part(substr(g.account, 7), '/', 1)), array_agg(split_part(g.account, '/', 2)),
                array_agg(split_part(g.account, '/', 3)), array_agg(g.unit), array_agg(g.gain)
            INTO v_gain_kind, v_gain_card, v_gain_application, v_gain_unit, v_gain
            FROM (
                SELECT side.account, t.unit, sum(side.gain)::bigint AS gain
                FROM unnest(p_transfer_row, p_debit, p_credit, p_transfer_unit, p_transfer_amount)
                    AS t (row, debit, credit, unit, amount)
                CROSS JOIN LATERAL (VALUES (t.debit, -t.amount), (t.credit, t.amount)) AS side (account, gain)
                WHERE starts_with(side.account, 'payer:') AND t.row = out_row
                GROUP BY side.account, t.unit
            ) AS g;
            FOR v_at IN 1 .. coalesce(cardinality(v_gain), 0) LOOP
                v_kind := v_gain_kind[v_at];
                v_card := v_gain_card[v_at];
                v_application := v_gain_application[v_at];
                SELECT a.unit, a.balance - a.floor INTO v_unit, v_left FROM account AS a
                WHERE a.payer_id = v_own AND a.kind = v_kind AND a.card_id = v_card
                    AND a.application = v_application;
                IF v_unit IS DISTINCT FROM v_gain_unit[v_at] THEN
                    RAISE EXCEPTION 'a transfer names no account of its payer, or another unit than the account''s'
                        USING ERRCODE = 'foreign_key_violation';
                END IF;
                IF v_left + v_gain[v_at] < 0 THEN
                    out_outcome := 'below_floor';
                END IF;
            END LOOP;
        END IF;

        IF out_outcome <> 'posted' THEN
            IF v_version[out_row] IS NOT NULL THEN
                UPDATE payer_state AS s SET version = s.version - 1 WHERE s.payer_id = v_own;
            END IF;
            RETURN NEXT;
            CONTINUE;
        END IF;

        IF p_proof_key[out_row] IS NOT NULL THEN
            INSERT INTO transaction_proof (payer_id, transaction_id, key_id, nonce, ciphertext)
            VALUES (v_own, v_id, p_proof_key[out_row], p_proof_nonce[out_row], p_proof_ciphertext[out_row]);
        END IF;

        INSERT INTO ledger_transaction (
            payer_id, id, origin, kind, terminal_id, sequence, provider_id, service, action, decision, reason,
            amount_minor, unit, tariff_version, offline, flags, replaces, duplicate_of, annuls, body, occurred_at,
            posted_at, proof_of
        )
        VALUES (
            v_own, v_id, p_origin[out_row], p_kind[out_row], p_terminal[out_row], p_sequence[out_row],
            p_provider[out_row], p_service[out_row], p_action[out_row], p_decision[out_row], p_reason[out_row],
            p_amount[out_row], p_unit[out_row], p_tariff[out_row], p_offline[out_row], p_flags[out_row],
            p_replaces[out_row], p_duplicate_of[out_row], p_annuls[out_row], p_body[out_row], p_occurred[out_row],
            p_posted[out_row], CASE WHEN p_proof_key[out_row] IS NOT NULL THEN v_id END
        );

        IF p_tombstone[out_row] IS NOT NULL THEN
            INSERT INTO ledger_transaction (
                payer_id, id, origin, kind, terminal_id, provider_id, service, action, decision, reason, unit,
                offline, flags, occurred_at, posted_at
            )
            VALUES (
                v_own, p_tombstone[out_row], 'system', 'tombstone', p_terminal[out_row], p_provider[out_row],
                p_service[out_row], p_action[out_row], 'annulled', 'annulled', p_unit[out_row], false, '[]',
                p_occurred[out_row], p_posted[out_row]
            );
        END IF;

        FOR v_at IN SELECT t.at FROM unnest(p_transfer_row) WITH ORDINALITY AS t (row, at) WHERE t.row = out_row LOOP
            INSERT INTO transfer (
                payer_id, transaction_id, line, debit, credit, amount_minor, unit, tax_code, tax_rate_bp, net_minor,
                tax_minor, supplier, reverses_transaction, reverses_line
            )
            VALUES (
                v_own, v_id, p_transfer_line[v_at], p_debit[v_at], p_credit[v_at], p_transfer_amount[v_at],
                p_transfer_unit[v_at], p_tax_code[v_at], p_tax_rate[v_at], p_net[v_at], p_tax[v_at],
                p_supplier[v_at], p_reverses[v_at], p_reverses_line[v_at]
            );
        END LOOP;

        IF p_details_class[out_row] IS NOT NULL THEN
            INSERT INTO transaction_details (payer_id, transaction_id, retention_class, details, salt, answer)
            VALUES (
                v_own, v_id, p_details_class[out_row], p_details[out_row], p_details_salt[out_row],
                p_details_answer[out_row]
            );
        END IF;

        FOR v_at IN 1 .. coalesce(cardinality(v_gain), 0) LOOP
            v_kind := v_gain_kind[v_at];
            v_card := v_gain_card[v_at];
            v_application := v_gain_application[v_at];
            v_add := v_gain[v_at];
            UPDATE account AS a SET balance = a.balance + v_add
            WHERE a.payer_id = v_own AND a.kind = v_kind AND a.card_id = v_card
                AND a.application = v_application;
        END LOOP;

        FOR v_part IN
            SELECT c.cardholder, c.rule, c.period, sum(c.change)::bigint AS change
            FROM unnest(p_counter_row, p_counter_cardholder, p_counter_rule, p_counter_period, p_counter_change)
                AS c (row, cardholder, rule, period, change)
            WHERE c.row = out_row
            GROUP BY c.cardholder, c.rule, c.period
        LOOP
            UPDATE counter AS c SET used = c.used + v_part.change
            WHERE c.payer_id = v_own AND c.cardholder_id = v_part.cardholder AND c.rule = v_part.rule
                AND c.period = v_part.period;
            IF NOT FOUND THEN
                INSERT INTO counter (payer_id, cardholder_id, rule, period, used)
                VALUES (v_own, v_part.cardholder, v_part.rule, v_part.period, v_part.change);
            END IF;
        END LOOP;

        out_version := v_version[out_row] + 1;
        RETURN NEXT;
    END LOOP;
END $$;
