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
    n CONSTANT integer := cardinality(p_payer);
    v_tombstone CONSTANT uuid[] := array_remove(p_tombstone, NULL);
    v_all integer[];
    -- every payer that a row locks: its own, then the others
    v_row integer[];
    v_payer uuid[];
    v_expected bigint[];
    -- what was locked
    v_locked uuid[] := '{}';
    v_version bigint[] := '{}';
    -- rows by what became of them
    v_busy integer[] := '{}';
    v_known integer[] := '{}';
    v_known_under uuid[] := '{}';
    v_changed integer[] := '{}';
    v_below integer[] := '{}';
    v_out integer[];
    v_open integer[];
    -- what the rows' own accounts gain, one entry an account, with what was found there; NULL: no such account
    v_gain_row integer[];
    v_gain_unit text[];
    v_gain bigint[];
    v_gain_kind text[];
    v_gain_card text[];
    v_gain_application text[];
    v_unit text[];
    v_balance bigint[];
    v_floor bigint[];
BEGIN
    -- check: isolation
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'posting needs READ COMMITTED' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- end

    -- check: lengths
    IF ARRAY[
        cardinality(p_version), cardinality(p_id), cardinality(p_origin), cardinality(p_kind),
        cardinality(p_terminal), cardinality(p_sequence), cardinality(p_provider), cardinality(p_service),
        cardinality(p_action), cardinality(p_decision), cardinality(p_reason), cardinality(p_amount),
        cardinality(p_unit), cardinality(p_tariff), cardinality(p_offline), cardinality(p_flags),
        cardinality(p_replaces), cardinality(p_duplicate_of), cardinality(p_annuls), cardinality(p_body),
        cardinality(p_occurred), cardinality(p_posted), cardinality(p_tombstone),
        cardinality(p_proof_key), cardinality(p_proof_nonce), cardinality(p_proof_ciphertext),
        cardinality(p_details_class), cardinality(p_details), cardinality(p_details_salt),
        cardinality(p_details_answer)
    ] IS DISTINCT FROM array_fill(n, ARRAY[30])
    OR ARRAY[cardinality(p_also_payer), cardinality(p_also_version)]
        IS DISTINCT FROM array_fill(cardinality(p_also_row), ARRAY[2])
    OR ARRAY[
        cardinality(p_transfer_line), cardinality(p_debit), cardinality(p_credit),
        cardinality(p_transfer_amount), cardinality(p_transfer_unit), cardinality(p_tax_code),
        cardinality(p_tax_rate), cardinality(p_net), cardinality(p_tax), cardinality(p_supplier),
        cardinality(p_reverses), cardinality(p_reverses_line)
    ] IS DISTINCT FROM array_fill(cardinality(p_transfer_row), ARRAY[12])
    OR ARRAY[
        cardinality(p_counter_cardholder), cardinality(p_counter_rule), cardinality(p_counter_period),
        cardinality(p_counter_change)
    ] IS DISTINCT FROM array_fill(cardinality(p_counter_row), ARRAY[4])
    OR 1 > ANY (p_also_row || p_transfer_row || p_counter_row)
    OR n < ANY (p_also_row || p_transfer_row || p_counter_row)
    THEN
        RAISE EXCEPTION 'the arrays do not belong together' USING ERRCODE = 'array_subscript_error';
    END IF;
    -- end

    v_all := ARRAY(SELECT generate_series(1, n));
    v_row := v_all || p_also_row;
    v_payer := p_payer || p_also_payer;
    v_expected := p_version || p_also_version;

    -- check: distinct
    -- UPDATE … FROM applies one of two rows with the same key: two sales would be debited once.
    IF cardinality(v_payer) + cardinality(v_tombstone) > 1 AND (
        (SELECT count(*) > count(DISTINCT payer) FROM unnest(v_payer) AS payer)
        OR (SELECT count(*) > count(DISTINCT id) FROM unnest(p_id || v_tombstone) AS id)
    ) THEN
        RAISE EXCEPTION 'a payer or an id occurs twice' USING ERRCODE = 'cardinality_violation';
    END IF;
    -- end

    -- check: lock
    IF p_wait THEN
        PERFORM set_config('lock_timeout', p_lock_timeout_ms || 'ms', true);
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
        SELECT coalesce(array_agg(DISTINCT l.row), '{}') INTO v_busy
        FROM unnest(v_row, v_payer) AS l (row, payer)
        WHERE l.payer <> ALL (coalesce(v_locked, '{}'));
    END IF;
    IF p_wait AND v_busy <> '{}' THEN
        RAISE EXCEPTION 'a payer has no state' USING ERRCODE = 'foreign_key_violation';
    END IF;

    -- check: known
    SELECT coalesce(array_agg(k.row), '{}'), coalesce(array_agg(k.payer_id), '{}')
    INTO v_known, v_known_under FROM (
        SELECT DISTINCT ON (l.row) l.row, t.payer_id
        FROM unnest(v_row, v_payer) AS l (row, payer)
        JOIN unnest(p_id) WITH ORDINALITY AS i (id, row) ON i.row = l.row
        JOIN ledger_transaction AS t ON t.payer_id = l.payer AND t.id = i.id
        -- cluster: AND t.payer_id = ANY (v_payer)
        ORDER BY l.row
    ) AS k;
    -- end

    -- check: version
    -- Where all are as expected and the caller gives them in key order, two arrays are equal.
    IF v_locked IS DISTINCT FROM v_payer OR v_version IS DISTINCT FROM v_expected THEN
        SELECT coalesce(array_agg(DISTINCT l.row), '{}') INTO v_changed
        FROM unnest(v_row, v_payer, v_expected) AS l (row, payer, expected)
        WHERE v_version[array_position(v_locked, l.payer)] <> l.expected;
    END IF;
    -- end

    v_out := v_busy || v_known || v_changed;
    SELECT
        array_agg(g.row), array_agg(a.kind), array_agg(a.card_id), array_agg(a.application), array_agg(g.unit),
        array_agg(g.gain), array_agg(a.unit), array_agg(a.balance), array_agg(a.floor)
    INTO
        v_gain_row, v_gain_kind, v_gain_card, v_gain_application, v_gain_unit, v_gain, v_unit, v_balance, v_floor
    FROM (
        SELECT t.row, side.account, t.unit, sum(side.gain)::bigint AS gain
        FROM unnest(p_transfer_row, p_debit, p_credit, p_transfer_unit, p_transfer_amount)
            AS t (row, debit, credit, unit, amount)
        CROSS JOIN LATERAL (VALUES (t.debit, -t.amount), (t.credit, t.amount)) AS side (account, gain)
        WHERE starts_with(side.account, 'payer:') AND t.row <> ALL (v_out)
        GROUP BY t.row, side.account, t.unit
    ) AS g
    LEFT JOIN account AS a ON a.payer_id = p_payer[g.row]
        AND a.kind = split_part(substr(g.account, 7), '/', 1)
        AND a.card_id = split_part(g.account, '/', 2)
        AND a.application = split_part(g.account, '/', 3)
        -- cluster: AND a.payer_id = ANY (p_payer)
    ;

    -- check: account
    IF v_unit IS DISTINCT FROM v_gain_unit THEN
        RAISE EXCEPTION 'a transfer names no account of its payer, or another unit than the account''s'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    -- end

    -- check: floor
    SELECT coalesce(array_agg(DISTINCT g.row), '{}') INTO v_below
    FROM unnest(v_gain_row, v_gain, v_balance, v_floor) AS g (row, gain, balance, floor)
    WHERE g.balance + g.gain < g.floor;
    v_out := v_out || v_below;
    -- end

    IF v_out = '{}' THEN
        v_open := v_all;
    ELSE
        v_open := ARRAY(SELECT row FROM unnest(v_all) AS row WHERE row <> ALL (v_out));
    END IF;

    -- Rows are inserted as they come: whoever else would insert under one of these payers waits for its lock.
    INSERT INTO transaction_proof (payer_id, transaction_id, key_id, nonce, ciphertext)
    SELECT t.payer, t.id, t.key, t.nonce, t.ciphertext
    FROM unnest(p_payer, p_id, p_proof_key, p_proof_nonce, p_proof_ciphertext)
        WITH ORDINALITY AS t (payer, id, key, nonce, ciphertext, row)
    WHERE t.row = ANY (v_open) AND t.key IS NOT NULL;

    INSERT INTO ledger_transaction (
        payer_id, id, origin, kind, terminal_id, sequence, provider_id, service, action, decision, reason,
        amount_minor, unit, tariff_version, offline, flags, replaces, duplicate_of, annuls, body, occurred_at,
        posted_at, proof_of
    )
    SELECT
        t.payer, t.id, t.origin, t.kind, t.terminal, t.sequence, t.provider, t.service, t.action, t.decision,
        t.reason, t.amount, t.unit, t.tariff, t.offline, t.flags, t.replaces, t.duplicate_of, t.annuls, t.body,
        t.occurred, t.posted, CASE WHEN t.key IS NOT NULL THEN t.id END
    FROM unnest(
        p_payer, p_id, p_origin, p_kind, p_terminal, p_sequence, p_provider, p_service, p_action, p_decision,
        p_reason, p_amount, p_unit, p_tariff, p_offline, p_flags, p_replaces, p_duplicate_of, p_annuls, p_body,
        p_occurred, p_posted, p_proof_key
    ) WITH ORDINALITY AS t (
        payer, id, origin, kind, terminal, sequence, provider, service, action, decision, reason, amount, unit,
        tariff, offline, flags, replaces, duplicate_of, annuls, body, occurred, posted, key, row
    )
    WHERE t.row = ANY (v_open);

    -- An id annulled before its request was seen: the request, when it comes, finds it taken.
    IF v_tombstone <> '{}' THEN
        INSERT INTO ledger_transaction (
            payer_id, id, origin, kind, terminal_id, provider_id, service, action, decision, reason, unit,
            offline, flags, occurred_at, posted_at
        )
        SELECT
            t.payer, t.tombstone, 'system', 'tombstone', t.terminal, t.provider, t.service, t.action,
            'annulled', 'annulled', t.unit, false, '[]', t.occurred, t.posted
        FROM unnest(
            p_payer, p_tombstone, p_terminal, p_provider, p_service, p_action, p_unit, p_occurred, p_posted
        ) WITH ORDINALITY AS t (
            payer, tombstone, terminal, provider, service, action, unit, occurred, posted, row
        )
        WHERE t.row = ANY (v_open) AND t.tombstone IS NOT NULL;
    END IF;


    INSERT INTO transfer (
        payer_id, transaction_id, line, debit, credit, amount_minor, unit, tax_code, tax_rate_bp, net_minor,
        tax_minor, supplier, reverses_transaction, reverses_line
    )
    SELECT
        p_payer[t.row], p_id[t.row], t.line, t.debit, t.credit, t.amount, t.unit, t.tax_code, t.tax_rate, t.net,
        t.tax, t.supplier, t.reverses, t.reverses_line
    FROM unnest(
        p_transfer_row, p_transfer_line, p_debit, p_credit, p_transfer_amount, p_transfer_unit, p_tax_code,
        p_tax_rate, p_net, p_tax, p_supplier, p_reverses, p_reverses_line
    ) AS t (
        row, line, debit, credit, amount, unit, tax_code, tax_rate, net, tax, supplier, reverses, reverses_line
    )
    WHERE t.row = ANY (v_open);

    INSERT INTO transaction_details (payer_id, transaction_id, retention_class, details, salt, answer)
    SELECT t.payer, t.id, t.class, t.details, t.salt, t.answer
    FROM unnest(p_payer, p_id, p_details_class, p_details, p_details_salt, p_details_answer)
        WITH ORDINALITY AS t (payer, id, class, details, salt, answer, row)
    WHERE t.row = ANY (v_open) AND t.class IS NOT NULL;

    IF v_gain_row IS NOT NULL THEN
        UPDATE account AS a SET balance = a.balance + g.gain
        FROM unnest(v_gain_row, v_gain_kind, v_gain_card, v_gain_application, v_gain)
            AS g (row, kind, card, application, gain)
        WHERE g.row = ANY (v_open) AND a.payer_id = p_payer[g.row] AND a.kind = g.kind AND a.card_id = g.card
            AND a.application = g.application
            -- cluster: AND a.payer_id = ANY (p_payer)
        ;
    END IF;

    IF p_counter_row <> '{}' THEN
        WITH change AS (
            SELECT p_payer[c.row] AS payer, c.cardholder, c.rule, c.period, sum(c.change)::bigint AS change
            FROM unnest(p_counter_row, p_counter_cardholder, p_counter_rule, p_counter_period, p_counter_change)
                AS c (row, cardholder, rule, period, change)
            WHERE c.row = ANY (v_open)
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
    FROM unnest(p_payer) WITH ORDINALITY AS t (payer, row)
    WHERE t.row = ANY (v_open) AND s.payer_id = t.payer
        -- cluster: AND s.payer_id = ANY (p_payer)
    ;

    IF v_out = '{}' THEN
        RETURN QUERY
        -- Read under the lock, and counted up under it.
        SELECT t.row::integer, 'posted', v_version[array_position(v_locked, t.payer)] + 1, NULL::uuid
        FROM unnest(p_payer) WITH ORDINALITY AS t (payer, row);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT
        t.row::integer,
        CASE
            WHEN t.row = ANY (v_busy) THEN 'busy'
            WHEN t.row = ANY (v_known) THEN 'known'
            WHEN t.row = ANY (v_changed) THEN 'version_changed'
            WHEN t.row = ANY (v_below) THEN 'below_floor'
            ELSE 'posted'
        END,
        CASE WHEN t.row = ANY (v_open) THEN v_version[array_position(v_locked, t.payer)] + 1 END,
        v_known_under[array_position(v_known, t.row::integer)]
    FROM unnest(p_payer) WITH ORDINALITY AS t (payer, row);
END $$;
