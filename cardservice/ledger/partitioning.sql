-- Made by `cardservice ledger partition`, by the tables' owner: the service owns no table, and its worker makes the
-- months all the same, by the one function that it may call.

-- The first id of a moment: a UUIDv7 begins with milliseconds (RFC 9562, 5.7).
CREATE OR REPLACE FUNCTION ledger_id_from(p_moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM p_moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Nobody empties a partition past its table: triggers for each row go to the partitions by themselves, this not.
CREATE OR REPLACE FUNCTION protect_ledger_partition(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER untruncated BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
        p_table
    );
END $$;

-- Make the months from p_moment on that are not there, p_ahead of them beside its own; their names.
CREATE OR REPLACE FUNCTION make_ledger_months(p_moment timestamptz, p_ahead int) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_day timestamp;
    divided record;
    month_name text;
    made text[] := '{}';
BEGIN
    PERFORM set_config('lock_timeout', '5s', true);
    FOR number IN 0..least(greatest(p_ahead, 0), 24) LOOP
        first_day := date_trunc('month', p_moment AT TIME ZONE 'UTC') + make_interval(months => number);
        FOR divided IN
            SELECT t.oid::regclass AS name, t.relname FROM pg_class t
            WHERE t.relkind = 'p' AND t.relnamespace = 'public'::regnamespace
                AND t.relname IN ('transaction_proof', 'ledger_transaction', 'transfer')
            -- What others name comes before them.
            ORDER BY t.relname = 'transfer', t.relname = 'ledger_transaction'
        LOOP
            month_name := divided.relname || to_char(first_day, '_YYYY_MM');
            CONTINUE WHEN to_regclass(month_name) IS NOT NULL
                OR ledger_id_from(first_day AT TIME ZONE 'UTC') < ledger_divided_from(divided.name);
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', month_name, divided.name,
                ledger_id_from(first_day AT TIME ZONE 'UTC'),
                ledger_id_from((first_day + interval '1 month') AT TIME ZONE 'UTC')
            );
            PERFORM protect_ledger_partition(month_name::regclass);
            made := made || month_name;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Where the partition ends that has all months from before.
CREATE OR REPLACE FUNCTION ledger_divided_from(p_table regclass) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([0-9a-f-]{36})''\)')::uuid
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = p_table AND c.relname = (SELECT relname FROM pg_class WHERE oid = p_table) || '_before'
$$;
REVOKE ALL ON FUNCTION make_ledger_months(timestamptz, int), protect_ledger_partition(regclass) FROM PUBLIC;
