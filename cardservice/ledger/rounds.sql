-- What has surely committed, over a cluster: each server has transaction numbers of its own, which say nothing of
-- another's, and a shard that is moved takes its rows along. So on a cluster `posted_xid` holds the number of a
-- round (`closing/rounds.py`): a row has the round that its node was in when it was inserted.
--
-- A node is in a round from when the worker has told it. That round's transactions are over, all of them, once
-- everything has ended that had a transaction number by then: the number is taken before the round is read.

CREATE OR REPLACE FUNCTION stamp_round() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_current_xact_id();
    NEW.posted_xid := (SELECT last_value FROM ledger_round)::text::xid8;
    RETURN NEW;
END $$;

-- Ask each node: told of a round for the first time it begins it; the second time it notes its own transaction's
-- number, than which all that had theirs by then are lower; from then on it answers whether all of those are over.
-- (A snapshot's end would not do: it is after the last that has *ended*, and who still runs may be beyond.) What
-- is noted is no part of a transaction, and stays whatever becomes of the caller's.
CREATE OR REPLACE FUNCTION round_has_begun(p_round bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
SET citus.enable_ddl_propagation = off
AS $$
BEGIN
    IF to_regclass('ledger_round') IS NULL THEN
        CREATE SEQUENCE ledger_round MINVALUE 0;
        CREATE SEQUENCE ledger_round_since MINVALUE 0;
        GRANT SELECT ON ledger_round TO PUBLIC;
        PERFORM setval('ledger_round', 0);
    END IF;
    IF (SELECT last_value FROM ledger_round) < p_round THEN
        PERFORM setval('ledger_round_since', 0);
        PERFORM setval('ledger_round', p_round);
        RETURN false;
    ELSIF (SELECT last_value FROM ledger_round_since) = 0 THEN
        PERFORM setval('ledger_round_since', pg_current_xact_id()::text::bigint);
        RETURN false;
    END IF;
    RETURN pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= (SELECT last_value FROM ledger_round_since);
END $$;
