-- Posts transactions: one call for a batch, one row of each array for a transaction.
--
-- Every row gets an outcome: posted, known, version_changed, below_floor or busy; what a row of the batch comes
-- to costs no other row anything. What no state of the database could make right raises, and nothing is posted.
--
-- VOLATILE, called in autocommit at READ COMMITTED: each statement of the function then has a snapshot of its
-- own. The payers' states are locked by a statement of their own, in key order, and only then is anything
-- looked at. In one statement with the lock, or in a STABLE helper, what waited for the lock would see the new
-- payer_state and yet the old everything else: the same id would be charged twice.
--
-- A line that begins with "cluster:" is a condition where the ledger is divided over a cluster (distributing.py):
-- it says nothing new, but the planner sees by it that one shard has all that is wanted. On one node it would
-- cost more than it is worth.
--
-- Each check is a block between marks, so that a test can show what goes wrong without it.
--
-- Its plans are made once a session and stay as they are: whatever the tables held when they were made, each row
-- is looked up by its key. Planned anew for each call, as arrays of one make PostgreSQL do, they took longer than
-- the posting; made on a table that was still empty, they read the whole of it later. (Settings of the function,
-- not of a connection: whoever calls it gets the same plans.)
CREATE OR REPLACE FUNCTION post_transactions(
    -- the transactions
    p_payer uuid[], p_version bigint[], p_id uuid[], p_origin text[], p_kind text[], p_terminal text[],
    p_sequence bigint[], p_provider text[], p_service text[], p_action text[], p_decision text[],
    p_reason text[], p_amount bigint[], p_unit text[], p_tariff text[], p_offline boolean[], p_flags jsonb[],
    p_replaces uuid[], p_duplicate_of uuid[], p_annuls uuid[], p_body bytea[], p_occurred timestamptz[],
    p_posted timestamptz[], p_tombstone uuid[],
    -- their proofs and details, NULL where there is none
    p_proof_key uuid[], p_proof_nonce bytea[], p_proof_ciphertext bytea[],
    p_details_class text[], p_details jsonb[], p_details_salt bytea[], p_details_answer jsonb[],
    -- what belongs to them, each with the number of its row, from 1: further payers to lock and to search,
    p_also_row integer[], p_also_payer uuid[], p_also_version bigint[],
    -- transfers,
    p_transfer_row integer[], p_transfer_line integer[], p_debit text[], p_credit text[],
    p_transfer_amount bigint[], p_transfer_unit text[], p_tax_code text[], p_tax_rate integer[],
    p_net bigint[], p_tax bigint[], p_supplier text[], p_reverses uuid[], p_reverses_line integer[],
    -- and counters
    p_counter_row integer[], p_counter_cardholder uuid[], p_counter_rule text[], p_counter_period text[],
    p_counter_change bigint[],
    -- false: a row whose payer is locked is answered "busy" at once; true: wait this long
    p_wait boolean, p_lock_timeout_ms integer
)
RETURNS TABLE (
    out_row integer, out_outcome text, out_version bigint, out_known_under uuid
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
DECLARE
    n CONSTANT integer := cardinality(p_payer);
    v_lines CONSTANT integer := cardinality(p_transfer_row);
    v_tombstone CONSTANT uuid[] := array_remove(p_tombstone, NULL);
    -- every payer that a row locks: its own, then the others, in the order of `p_also_row`
    v_payer CONSTANT uuid[] := p_payer || p_also_payer;
    v_expected CONSTANT bigint[] := p_version || p_also_version;
    v_timeout text;
    -- what was locked
    v_locked uuid[];
    v_version bigint[];
    -- rows by what became of them
    v_busy integer[] := '{}';
    v_known integer[] := '{}';
    v_known_under uuid[] := '{}';
    v_changed integer[] := '{}';
    v_below integer[] := '{}';
    v_out integer[];
    -- what the rows' own accounts gain: one entry for each account in a unit
    v_gain_row integer[] := '{}';
    v_gain_account text[] := '{}';
    v_gain_unit text[] := '{}';
    v_gain bigint[] := '{}';
    -- those of the entries that an account was found for, with enough in it
    v_taken integer[] := '{}';
    v_row integer;
    v_account text;
    v_more bigint;
    v_at integer;
BEGIN
    -- check: isolation
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'posting needs READ COMMITTED' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- end

    -- check: lengths
    IF (
        cardinality(p_version) = n AND cardinality(p_id) = n AND cardinality(p_origin) = n AND
        cardinality(p_kind) = n AND cardinality(p_terminal) = n AND cardinality(p_sequence) = n AND
        cardinality(p_provider) = n AND cardinality(p_service) = n AND cardinality(p_action) = n AND
        cardinality(p_decision) = n AND cardinality(p_reason) = n AND cardinality(p_amount) = n AND
        cardinality(p_unit) = n AND cardinality(p_tariff) = n AND cardinality(p_offline) = n AND
        cardinality(p_flags) = n AND cardinality(p_replaces) = n AND cardinality(p_duplicate_of) = n AND
        cardinality(p_annuls) = n AND cardinality(p_body) = n AND cardinality(p_occurred) = n AND
        cardinality(p_posted) = n AND cardinality(p_tombstone) = n AND cardinality(p_proof_key) = n AND
        cardinality(p_proof_nonce) = n AND cardinality(p_proof_ciphertext) = n AND
        cardinality(p_details_class) = n AND cardinality(p_details) = n AND cardinality(p_details_salt) = n AND
        cardinality(p_details_answer) = n AND
        cardinality(p_also_payer) = cardinality(p_also_row) AND
        cardinality(p_also_version) = cardinality(p_also_row) AND
        cardinality(p_transfer_line) = cardinality(p_transfer_row) AND
        cardinality(p_debit) = cardinality(p_transfer_row) AND
        cardinality(p_credit) = cardinality(p_transfer_row) AND
        cardinality(p_transfer_amount) = cardinality(p_transfer_row) AND
        cardinality(p_transfer_unit) = cardinality(p_transfer_row) AND
        cardinality(p_tax_code) = cardinality(p_transfer_row) AND
        cardinality(p_tax_rate) = cardinality(p_transfer_row) AND
        cardinality(p_net) = cardinality(p_transfer_row) AND
        cardinality(p_tax) = cardinality(p_transfer_row) AND
        cardinality(p_supplier) = cardinality(p_transfer_row) AND
        cardinality(p_reverses) = cardinality(p_transfer_row) AND
        cardinality(p_reverses_line) = cardinality(p_transfer_row) AND
        cardinality(p_counter_cardholder) = cardinality(p_counter_row) AND
        cardinality(p_counter_rule) = cardinality(p_counter_row) AND
        cardinality(p_counter_period) = cardinality(p_counter_row) AND
        cardinality(p_counter_change) = cardinality(p_counter_row)
    ) IS NOT TRUE
    OR 1 > ANY (p_transfer_row) OR n < ANY (p_transfer_row)
    OR 1 > ANY (p_also_row || p_counter_row) OR n < ANY (p_also_row || p_counter_row)
    THEN
        RAISE EXCEPTION 'the arrays do not belong together' USING ERRCODE = 'array_subscript_error';
    END IF;
    -- end
    IF n = 0 THEN
        RETURN;
    END IF;

    -- check: distinct
    -- UPDATE … FROM applies one of two rows with the same key: two sales would be debited once.
    IF cardinality(v_payer) + cardinality(v_tombstone) > 1 THEN
        IF (SELECT count(*) > count(DISTINCT payer) FROM unnest(v_payer) AS payer)
            OR (SELECT count(*) > count(DISTINCT id) FROM unnest(p_id || v_tombstone) AS id)
        THEN
            RAISE EXCEPTION 'a payer or an id occurs twice' USING ERRCODE = 'cardinality_violation';
        END IF;
    END IF;
    -- end

    -- check: lock
    IF p_wait THEN
        v_timeout := set_config('lock_timeout', p_lock_timeout_ms || 'ms', true);
    END IF;
    IF cardinality(v_payer) = 1 AND p_wait THEN
        SELECT ARRAY[payer_id], ARRAY[version] INTO v_locked, v_version FROM payer_state
        WHERE payer_id = v_payer[1] FOR NO KEY UPDATE;
    ELSIF p_wait THEN
        SELECT array_agg(s.payer_id), array_agg(s.version) INTO v_locked, v_version FROM (
            SELECT payer_id, version FROM payer_state WHERE payer_id = ANY (v_payer)
            ORDER BY payer_id FOR NO KEY UPDATE
        ) AS s;
    ELSE
        SELECT array_agg(s.payer_id), array_agg(s.version) INTO v_locked, v_version FROM (
            SELECT payer_id, version FROM payer_state WHERE payer_id = ANY (v_payer)
            ORDER BY payer_id FOR NO KEY UPDATE SKIP LOCKED
        ) AS s;
    END IF;
    -- end

    -- Nearly always all of them were locked, which their number tells: they are distinct.
    IF cardinality(v_locked) IS DISTINCT FROM cardinality(v_payer) THEN
        IF p_wait THEN
            RAISE EXCEPTION 'a payer has no state' USING ERRCODE = 'foreign_key_violation';
        END IF;
        SELECT coalesce(array_agg(DISTINCT CASE WHEN l.at <= n THEN l.at ELSE p_also_row[l.at - n] END), '{}')
        INTO v_busy
        FROM unnest(v_payer) WITH ORDINALITY AS l (payer, at)
        WHERE l.payer <> ALL (coalesce(v_locked, '{}'));
    END IF;

    -- check: known
    SELECT coalesce(array_agg(o.row), '{}'), coalesce(array_agg(t.payer_id), '{}') INTO v_known, v_known_under
    FROM generate_series(1, n) AS o (row)
    JOIN ledger_transaction AS t ON t.payer_id = p_payer[o.row] AND t.id = p_id[o.row]
        -- cluster: AND t.payer_id = ANY (v_payer)
    ;
    IF p_also_row <> '{}' THEN
        SELECT
            v_known || coalesce(array_agg(k.row), '{}'), v_known_under || coalesce(array_agg(k.payer_id), '{}')
        INTO v_known, v_known_under FROM (
            SELECT DISTINCT ON (o.row) o.row, t.payer_id
            FROM unnest(p_also_row, p_also_payer) AS o (row, payer)
            JOIN ledger_transaction AS t ON t.payer_id = o.payer AND t.id = p_id[o.row]
                -- cluster: AND t.payer_id = ANY (v_payer)
            WHERE o.row <> ALL (v_known)
            ORDER BY o.row
        ) AS k;
    END IF;
    -- end

    -- check: version
    -- Where all are as expected and the caller gives them in key order, two arrays are equal.
    IF v_locked IS DISTINCT FROM v_payer OR v_version IS DISTINCT FROM v_expected THEN
        SELECT coalesce(array_agg(DISTINCT CASE WHEN l.at <= n THEN l.at ELSE p_also_row[l.at - n] END), '{}')
        INTO v_changed
        FROM unnest(v_payer, v_expected) WITH ORDINALITY AS l (payer, expected, at)
        WHERE v_version[array_position(v_locked, l.payer)] <> l.expected;
    END IF;
    -- end

    v_out := v_busy || v_known || v_changed;

    -- A loop, and not a statement: whatever a statement does, to begin it takes as long as ten rounds of this.
    FOR v_line IN 1 .. v_lines LOOP
        v_row := p_transfer_row[v_line];
        CONTINUE WHEN v_row = ANY (v_out);
        FOR v_side IN 1 .. 2 LOOP
            v_account := CASE v_side WHEN 1 THEN p_debit[v_line] ELSE p_credit[v_line] END;
            CONTINUE WHEN NOT starts_with(v_account, 'payer:');
            v_more := CASE v_side WHEN 1 THEN -p_transfer_amount[v_line] ELSE p_transfer_amount[v_line] END;
            v_at := array_position(v_gain_row, v_row);
            WHILE v_gain_account[v_at] <> v_account OR v_gain_unit[v_at] <> p_transfer_unit[v_line] LOOP
                v_at := array_position(v_gain_row, v_row, v_at + 1);
            END LOOP;
            IF v_at IS NULL THEN
                v_gain_row := v_gain_row || v_row;
                v_gain_account := v_gain_account || v_account;
                v_gain_unit := v_gain_unit || p_transfer_unit[v_line];
                v_gain := v_gain || v_more;
            ELSE
                v_gain[v_at] := v_gain[v_at] + v_more;
            END IF;
        END LOOP;
    END LOOP;

    IF v_gain <> '{}' THEN
        FOR v_at IN
            UPDATE account AS a SET balance = a.balance + v_gain[g.at]
            FROM generate_series(1, cardinality(v_gain)) AS g (at)
            WHERE a.payer_id = p_payer[v_gain_row[g.at]]
                AND a.kind = split_part(substr(v_gain_account[g.at], 7), '/', 1)
                AND a.card_id = split_part(v_gain_account[g.at], '/', 2)
                AND a.application = split_part(v_gain_account[g.at], '/', 3)
                AND a.unit = v_gain_unit[g.at]
                -- cluster: AND a.payer_id = ANY (p_payer)
                -- check: floor
                AND (a.floor IS NULL OR a.balance + v_gain[g.at] >= a.floor)
                -- end
            RETURNING g.at
        LOOP
            v_taken := v_taken || v_at;
        END LOOP;
        IF cardinality(v_taken) < cardinality(v_gain) THEN
            SELECT array_agg(DISTINCT v_gain_row[g.at]) INTO v_below
            FROM generate_series(1, cardinality(v_gain)) AS g (at) WHERE g.at <> ALL (v_taken);
            -- check: account
            IF EXISTS (
                SELECT FROM generate_series(1, cardinality(v_gain)) AS g (at)
                LEFT JOIN account AS a ON a.payer_id = p_payer[v_gain_row[g.at]]
                AND a.kind = split_part(substr(v_gain_account[g.at], 7), '/', 1)
                AND a.card_id = split_part(v_gain_account[g.at], '/', 2)
                AND a.application = split_part(v_gain_account[g.at], '/', 3)
                AND a.unit = v_gain_unit[g.at]
                -- cluster: AND a.payer_id = ANY (p_payer)
                WHERE g.at <> ALL (v_taken) AND a.payer_id IS NULL
            ) THEN
                RAISE EXCEPTION 'a transfer names no account of its payer, or another unit than the account''s'
                    USING ERRCODE = 'foreign_key_violation';
            END IF;
            -- end
            -- What other accounts of such a row have got they give back.
            UPDATE account AS a SET balance = a.balance - v_gain[g.at]
            FROM unnest(v_taken) AS g (at)
            WHERE v_gain_row[g.at] = ANY (v_below)
                AND a.payer_id = p_payer[v_gain_row[g.at]]
                AND a.kind = split_part(substr(v_gain_account[g.at], 7), '/', 1)
                AND a.card_id = split_part(v_gain_account[g.at], '/', 2)
                AND a.application = split_part(v_gain_account[g.at], '/', 3)
                AND a.unit = v_gain_unit[g.at]
                -- cluster: AND a.payer_id = ANY (p_payer)
            ;
            v_out := v_out || v_below;
        END IF;
    END IF;

    -- Rows are inserted as they come: whoever else would insert under one of these payers waits for its lock.
    INSERT INTO transaction_proof (payer_id, transaction_id, key_id, nonce, ciphertext)
    SELECT p_payer[o.row], p_id[o.row], p_proof_key[o.row], p_proof_nonce[o.row], p_proof_ciphertext[o.row]
    FROM generate_series(1, n) AS o (row)
    WHERE o.row <> ALL (v_out) AND p_proof_key[o.row] IS NOT NULL;

    INSERT INTO ledger_transaction (
        payer_id, id, origin, kind, terminal_id, sequence, provider_id, service, action, decision, reason,
        amount_minor, unit, tariff_version, offline, flags, replaces, duplicate_of, annuls, body, occurred_at,
        posted_at, proof_of
    )
    SELECT
        p_payer[o.row], p_id[o.row], p_origin[o.row], p_kind[o.row], p_terminal[o.row], p_sequence[o.row],
        p_provider[o.row], p_service[o.row], p_action[o.row], p_decision[o.row], p_reason[o.row],
        p_amount[o.row], p_unit[o.row], p_tariff[o.row], p_offline[o.row], p_flags[o.row], p_replaces[o.row],
        p_duplicate_of[o.row], p_annuls[o.row], p_body[o.row], p_occurred[o.row], p_posted[o.row],
        CASE WHEN p_proof_key[o.row] IS NOT NULL THEN p_id[o.row] END
    FROM generate_series(1, n) AS o (row)
    WHERE o.row <> ALL (v_out);

    -- An id annulled before its request was seen: the request, when it comes, finds it taken.
    IF v_tombstone <> '{}' THEN
        INSERT INTO ledger_transaction (
            payer_id, id, origin, kind, terminal_id, provider_id, service, action, decision, reason, unit,
            offline, flags, occurred_at, posted_at
        )
        SELECT
            p_payer[o.row], p_tombstone[o.row], 'system', 'tombstone', p_terminal[o.row], p_provider[o.row],
            p_service[o.row], p_action[o.row], 'annulled', 'annulled', p_unit[o.row], false, '[]',
            p_occurred[o.row], p_posted[o.row]
        FROM generate_series(1, n) AS o (row)
        WHERE o.row <> ALL (v_out) AND p_tombstone[o.row] IS NOT NULL;
    END IF;

    IF v_lines > 0 THEN
        INSERT INTO transfer (
            payer_id, transaction_id, line, debit, credit, amount_minor, unit, tax_code, tax_rate_bp, net_minor,
            tax_minor, supplier, reverses_transaction, reverses_line
        )
        SELECT
            p_payer[p_transfer_row[t.at]], p_id[p_transfer_row[t.at]], p_transfer_line[t.at], p_debit[t.at],
            p_credit[t.at], p_transfer_amount[t.at], p_transfer_unit[t.at], p_tax_code[t.at], p_tax_rate[t.at],
            p_net[t.at], p_tax[t.at], p_supplier[t.at], p_reverses[t.at], p_reverses_line[t.at]
        FROM generate_series(1, v_lines) AS t (at)
        WHERE p_transfer_row[t.at] <> ALL (v_out);
    END IF;

    INSERT INTO transaction_details (payer_id, transaction_id, retention_class, details, salt, answer)
    SELECT
        p_payer[o.row], p_id[o.row], p_details_class[o.row], p_details[o.row], p_details_salt[o.row],
        p_details_answer[o.row]
    FROM generate_series(1, n) AS o (row)
    WHERE o.row <> ALL (v_out) AND p_details_class[o.row] IS NOT NULL;

    IF p_counter_row <> '{}' THEN
        WITH change AS (
            SELECT p_payer[c.row] AS payer, c.cardholder, c.rule, c.period, sum(c.change)::bigint AS change
            FROM unnest(p_counter_row, p_counter_cardholder, p_counter_rule, p_counter_period, p_counter_change)
                AS c (row, cardholder, rule, period, change)
            WHERE c.row <> ALL (v_out)
            GROUP BY 1, 2, 3, 4
        ), changed AS (
            UPDATE counter AS c SET used = c.used + change.change FROM change
            WHERE c.payer_id = change.payer AND c.cardholder_id = change.cardholder AND c.rule = change.rule
                AND c.period = change.period
                -- cluster: AND c.payer_id = ANY (p_payer)
            RETURNING c.payer_id, c.cardholder_id, c.rule, c.period
        )
        INSERT INTO counter (payer_id, cardholder_id, rule, period, used)
        SELECT change.* FROM change
        WHERE NOT EXISTS (
            SELECT FROM changed AS c
            WHERE c.payer_id = change.payer AND c.cardholder_id = change.cardholder AND c.rule = change.rule
                AND c.period = change.period
        )
        ORDER BY 1, 2, 3, 4;
    END IF;

    UPDATE payer_state AS s SET version = s.version + 1
    FROM generate_series(1, n) AS o (row)
    WHERE o.row <> ALL (v_out) AND s.payer_id = p_payer[o.row]
        -- cluster: AND s.payer_id = ANY (p_payer)
    ;

    FOR v_row IN 1 .. n LOOP
        out_row := v_row;
        out_outcome := CASE
            WHEN v_row <> ALL (v_out) THEN 'posted'
            WHEN v_row = ANY (v_busy) THEN 'busy'
            WHEN v_row = ANY (v_known) THEN 'known'
            WHEN v_row = ANY (v_changed) THEN 'version_changed'
            ELSE 'below_floor'
        END;
        -- Read under the lock, and counted up under it.
        out_version := CASE
            WHEN v_row <> ALL (v_out) THEN v_version[array_position(v_locked, p_payer[v_row])] + 1
        END;
        out_known_under := v_known_under[array_position(v_known, v_row)];
        RETURN NEXT;
    END LOOP;
END $$;
