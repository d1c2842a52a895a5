-- All that messages are decided on: one call for a batch, one row of each array for a message.
--
-- STABLE: every part of it is read as of the one moment at which the call began, so that a payer's version is
-- exactly as old as what it stands for. What changes afterwards changes the version, too, and posting notices.
-- Nothing is looked at here under a lock: that is posting's part, which is VOLATILE.
--
-- What is marked is another on a cluster (`distributing`).
--
-- Each part is looked up by key for each message: the plan is made once a session and cannot become another. What
-- it costs are those lookups, so each row is looked up once. Nothing is sorted here: what has an order comes in
-- that of its index, or with what it is sorted by.
DROP FUNCTION IF EXISTS read_for_messages(text[], uuid[], bytea[], timestamptz[], uuid[], uuid[], text[], text[]);
CREATE OR REPLACE FUNCTION read_for_messages(
    p_terminal text[], p_card uuid[], p_certificate bytea[], p_time timestamptz[], p_id uuid[], p_other uuid[],
    p_service text[], p_tariff text[]
)
RETURNS TABLE (
    out_row integer, out_terminal json, out_card json, out_certificate json, out_key json, out_tariff json,
    out_payers json, out_crl json
)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_terminal json[];
BEGIN
    -- Apart: where the terminal is known already none is asked for, and to have this ready takes as long as
    -- reading three rows.
    IF array_remove(p_terminal, NULL) <> '{}' THEN
        SELECT array_agg(
            CASE WHEN m.terminal IS NOT NULL THEN (
                SELECT json_build_array(
                    t.provider_id, t.role, t.offline_limit_minor, encode(c.der, 'hex'),
                    -- In use no longer, whichever comes first: a provider's closing stands with its terminals.
                    (date_part('epoch', least(t.closed_from, (
                        SELECT s.valid_from FROM terminal_state AS s
                        WHERE s.terminal_id = t.id AND s.state = 'revoked' ORDER BY s.valid_from, s.id LIMIT 1
                    ))) * 1000)::bigint,
                    (
                        SELECT json_agg(
                            json_build_array(
                                s.service, s.provider_id,
                                (date_part('epoch', s.valid_from) * 1000)::bigint,
                                (date_part('epoch', s.valid_until) * 1000)::bigint
                            )
                            ORDER BY s.provider_id, s.valid_from
                        )
                        FROM service_seller AS s WHERE s.service = m.service
                    )
                )
                FROM terminal AS t
                JOIN certificate AS c ON c.authority = 'terminals' AND c.identity = t.id
                WHERE t.id = m.terminal ORDER BY c.issued_at DESC LIMIT 1
            ) END
        ) INTO v_terminal
        FROM unnest(p_terminal, p_service) AS m (terminal, service);
    END IF;
    RETURN QUERY
    SELECT
        m.row::integer,
        v_terminal[m.row],
        CASE WHEN card.id IS NOT NULL THEN json_build_array(
            card.cardholder_id, card.kind, card.expires_on,
            holder.category,
            (
                SELECT json_agg(json_build_array(
                    s.state, (date_part('epoch', s.valid_from) * 1000)::bigint, s.reason, s.id
                ))
                FROM card_state AS s WHERE s.card_id = card.id
            ),
            (
                SELECT encode(f.sealed, 'hex') FROM record_field AS f
                WHERE f.cardholder_id = card.cardholder_id AND f.field = 'allergens'
            ),
            (
                SELECT json_agg(json_build_array(
                    e.service, e.programme, e.year, e.first_day, e.review_on,
                    (date_part('epoch', e.recorded_at) * 1000)::bigint, e.id
                ))
                FROM entitlement AS e WHERE e.cardholder_id = card.cardholder_id
            )
        ) END,
        CASE WHEN proof.sha256 IS NOT NULL THEN json_build_array(
            encode(proof.sha256, 'hex'), proof.issuer, proof.identity,
            (date_part('epoch', proof.not_before) * 1000)::bigint,
            (date_part('epoch', proof.not_after) * 1000)::bigint,
            (date_part('epoch', proof.revoked_at) * 1000)::bigint
        ) END,
        CASE WHEN key.id IS NOT NULL THEN
            json_build_array(key.id, key.kek_version, encode(key.wrapped, 'hex'))
        END,
        -- The tariff that the message names, else the one in force at its time.
        coalesce(
            (
                SELECT json_build_array(f.version, (date_part('epoch', f.valid_from) * 1000)::bigint)
                FROM tariff AS f WHERE f.service = m.service AND f.version = m.tariff
            ),
            (
                SELECT json_build_array(f.version, (date_part('epoch', f.valid_from) * 1000)::bigint)
                FROM tariff AS f WHERE f.service = m.service AND f.valid_from <= m.time
                ORDER BY f.valid_from DESC, f.recorded_at DESC LIMIT 1
            )
        ),
        -- Everyone who pays, has paid or will pay for the card's holder, and since when: the first first. Each
        -- with those of the ids that are taken under them.
        (
            SELECT json_agg(json_build_array((date_part('epoch', p.valid_from) * 1000)::bigint, p.view, p.known))
            FROM (
                SELECT
                    h.valid_from,
                    -- payers: on a cluster as the nodes gave them
                    (
                        SELECT json_build_array(
                            state.payer_id,
                            state.version,
                            (
                                SELECT json_agg(json_build_array(
                                    a.kind, a.card_id, a.application, a.unit, a.balance, a.floor
                                ))
                                FROM (
                                    SELECT * FROM account WHERE account.payer_id = state.payer_id
                                    ORDER BY account.kind, account.card_id, account.application
                                ) AS a
                            ),
                            (
                                SELECT json_agg(json_build_array(u.cardholder_id, u.rule, u.period, u.used))
                                FROM counter AS u WHERE u.payer_id = state.payer_id
                            ),
                            (
                                SELECT json_agg(json_build_array(
                                    l.cardholder_id, l.rule, l.amount_minor,
                                    (date_part('epoch', l.valid_from) * 1000)::bigint,
                                    (date_part('epoch', l.recorded_at) * 1000)::bigint
                                ))
                                FROM (
                                    SELECT * FROM payer_limit WHERE payer_limit.payer_id = state.payer_id
                                    ORDER BY payer_limit.id
                                ) AS l
                            )
                        )
                        FROM payer_state AS state WHERE state.payer_id = h.payer_id
                    ) AS view,
                    -- Each id by itself: asked for both, the planner may read all that the payer has.
                    array_remove(ARRAY[
                        (
                            SELECT t.id FROM ledger_transaction AS t
                            WHERE t.payer_id = h.payer_id AND t.id = m.id
                        ),
                        CASE WHEN m.other IS NOT NULL THEN (
                            SELECT t.id FROM ledger_transaction AS t
                            WHERE t.payer_id = h.payer_id AND t.id = m.other
                        ) END
                    ], NULL) AS known
                    -- end
                FROM cardholder_payer AS h WHERE h.cardholder_id = card.cardholder_id
                ORDER BY h.valid_from
            ) AS p
        ),
        (
            SELECT json_build_array(encode(r.sha256, 'hex'), (date_part('epoch', r.this_update) * 1000)::bigint)
            FROM crl AS r
            WHERE r.authority = 'cards' AND r.issuer = proof.issuer
                AND r.shard IS NULL AND r.base_number IS NULL
            ORDER BY r.number DESC LIMIT 1
        )
    FROM unnest(p_terminal, p_card, p_certificate, p_time, p_id, p_other, p_service, p_tariff)
        WITH ORDINALITY AS m (terminal, card, certificate, "time", id, other, service, tariff, row)
    LEFT JOIN card ON card.id = m.card
    LEFT JOIN cardholder AS holder ON holder.id = card.cardholder_id
    LEFT JOIN cardholder_key AS key ON key.cardholder_id = card.cardholder_id
    -- The certificate that the statement names, else the newest of the card's own key. Not its bytes, which
    -- took a third of the answer: they are read the first time that its key is wanted (proofs.py).
    LEFT JOIN LATERAL (
        SELECT c.sha256, c.issuer, c.identity, c.not_before, c.not_after, c.revoked_at
        FROM certificate AS c WHERE c.sha256 = m.certificate AND c.authority = 'cards'
        UNION ALL
        (
            SELECT c.sha256, c.issuer, c.identity, c.not_before, c.not_after, c.revoked_at FROM certificate AS c
            WHERE m.certificate IS NULL AND c.authority = 'cards' AND c.identity = m.card::text
                AND c.profile = 'card-authentication'
            ORDER BY c.issued_at DESC LIMIT 1
        )
    ) AS proof ON true
    ORDER BY m.row;
END $$;
