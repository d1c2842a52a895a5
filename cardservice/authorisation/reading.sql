-- All that messages are decided on: one call for a batch, one row of each array for a message.
--
-- STABLE: every part of it is read as of the one moment at which the call began, so that a payer's version is
-- exactly as old as what it stands for. What changes afterwards changes the version, too, and posting notices.
-- Nothing is looked at here under a lock: that is posting's part, which is VOLATILE.
--
-- What is marked is another on a cluster (`distributing`).
--
-- Each part is looked up by key for each message: the plan is made once a session and cannot become another.
CREATE OR REPLACE FUNCTION read_for_messages(
    p_terminal text[], p_card uuid[], p_certificate bytea[], p_time timestamptz[], p_id uuid[], p_other uuid[],
    p_service text[], p_tariff text[]
)
RETURNS TABLE (
    out_row integer, out_terminal json, out_card json, out_certificate json, out_key json, out_tariff json,
    out_payer uuid, out_payers json, out_known uuid[], out_crl json
)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        m.row::integer,
        (
            SELECT json_build_array(
                t.provider_id, t.role, t.offline_limit_minor, encode(c.der, 'hex'),
                (
                    SELECT (extract(epoch FROM s.valid_from) * 1000)::bigint FROM terminal_state AS s
                    WHERE s.terminal_id = t.id AND s.state = 'revoked' ORDER BY s.valid_from, s.id LIMIT 1
                ),
                (
                    SELECT json_agg(
                        json_build_array(
                            s.service, s.provider_id,
                            (extract(epoch FROM s.valid_from) * 1000)::bigint,
                            (extract(epoch FROM s.valid_until) * 1000)::bigint
                        )
                        ORDER BY s.provider_id, s.valid_from
                    )
                    FROM service_seller AS s WHERE s.service = m.service
                )
            )
            FROM terminal AS t
            JOIN certificate AS c ON c.authority = 'terminals' AND c.identity = t.id
            WHERE t.id = m.terminal ORDER BY c.issued_at DESC LIMIT 1
        ),
        CASE WHEN card.id IS NOT NULL THEN json_build_array(
            card.cardholder_id, card.kind, card.expires_on,
            (SELECT h.category FROM cardholder AS h WHERE h.id = card.cardholder_id),
            (
                SELECT json_agg(
                    json_build_array(s.state, (extract(epoch FROM s.valid_from) * 1000)::bigint, s.reason)
                    ORDER BY s.valid_from, s.id
                )
                FROM card_state AS s WHERE s.card_id = card.id
            ),
            (
                SELECT encode(f.sealed, 'hex') FROM record_field AS f
                WHERE f.cardholder_id = card.cardholder_id AND f.field = 'allergens'
            ),
            (
                SELECT json_agg(
                    json_build_array(
                        e.service, e.programme, e.year, e.first_day, e.review_on,
                        (extract(epoch FROM e.recorded_at) * 1000)::bigint
                    )
                    ORDER BY e.recorded_at, e.id
                )
                FROM entitlement AS e WHERE e.cardholder_id = card.cardholder_id
            )
        ) END,
        CASE WHEN proof.sha256 IS NOT NULL THEN json_build_array(
            encode(proof.sha256, 'hex'), proof.issuer, proof.identity,
            (extract(epoch FROM proof.not_before) * 1000)::bigint,
            (extract(epoch FROM proof.not_after) * 1000)::bigint,
            (extract(epoch FROM proof.revoked_at) * 1000)::bigint
        ) END,
        (
            SELECT json_build_array(k.id, k.kek_version, encode(k.wrapped, 'hex'))
            FROM cardholder_key AS k WHERE k.cardholder_id = card.cardholder_id
        ),
        -- The tariff that the message names, else the one in force at its time.
        coalesce(
            (
                SELECT json_build_array(f.version, (extract(epoch FROM f.valid_from) * 1000)::bigint)
                FROM tariff AS f WHERE f.service = m.service AND f.version = m.tariff
            ),
            (
                SELECT json_build_array(f.version, (extract(epoch FROM f.valid_from) * 1000)::bigint)
                FROM tariff AS f WHERE f.service = m.service AND f.valid_from <= m.time
                ORDER BY f.valid_from DESC, f.recorded_at DESC LIMIT 1
            )
        ),
        -- Who pays at the message's time; a time before the first payer's counts as the first's.
        coalesce(
            (
                SELECT p.payer_id FROM cardholder_payer AS p
                WHERE p.cardholder_id = card.cardholder_id AND p.valid_from <= m.time
                ORDER BY p.valid_from DESC LIMIT 1
            ),
            (
                SELECT p.payer_id FROM cardholder_payer AS p
                WHERE p.cardholder_id = card.cardholder_id ORDER BY p.valid_from LIMIT 1
            )
        ),
        -- payers: on a cluster as the nodes gave them
        (
            SELECT json_agg(json_build_array(
                p.payer_id,
                (SELECT s.version FROM payer_state AS s WHERE s.payer_id = p.payer_id),
                (
                    SELECT json_agg(
                        json_build_array(a.kind, a.card_id, a.application, a.unit, a.balance, a.floor)
                        ORDER BY a.kind, a.card_id, a.application
                    )
                    FROM account AS a WHERE a.payer_id = p.payer_id
                ),
                (
                    SELECT json_agg(json_build_array(u.cardholder_id, u.rule, u.period, u.used))
                    FROM counter AS u WHERE u.payer_id = p.payer_id
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
                    FROM payer_limit AS l WHERE l.payer_id = p.payer_id
                )
            ) ORDER BY p.since)
            FROM (
                SELECT h.payer_id, min(h.valid_from) AS since FROM cardholder_payer AS h
                WHERE h.cardholder_id = card.cardholder_id GROUP BY h.payer_id
            ) AS p
        ),
        -- end
        -- known: under any payer that the card's holder has, has had or will have
        ARRAY(
            SELECT t.id FROM cardholder_payer AS h
            JOIN ledger_transaction AS t ON t.payer_id = h.payer_id AND t.id = ANY (ARRAY[m.id, m.other])
            WHERE h.cardholder_id = card.cardholder_id
        ),
        -- end
        (
            SELECT json_build_array(encode(r.sha256, 'hex'), (extract(epoch FROM r.this_update) * 1000)::bigint)
            FROM crl AS r
            WHERE r.authority = 'cards' AND r.issuer = proof.issuer
                AND r.shard IS NULL AND r.base_number IS NULL
            ORDER BY r.number DESC LIMIT 1
        )
    FROM unnest(p_terminal, p_card, p_certificate, p_time, p_id, p_other, p_service, p_tariff)
        WITH ORDINALITY AS m (terminal, card, certificate, "time", id, other, service, tariff, row)
    LEFT JOIN card ON card.id = m.card
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
