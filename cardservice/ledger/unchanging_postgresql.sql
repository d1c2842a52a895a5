-- What is posted is never changed and never deleted, by anybody.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed and never deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_transaction_unchanging BEFORE UPDATE OR DELETE ON ledger_transaction
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_transaction_untruncated BEFORE TRUNCATE ON ledger_transaction
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER transfer_unchanging BEFORE UPDATE OR DELETE ON transfer
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfer_untruncated BEFORE TRUNCATE ON transfer
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER transaction_proof_unchanging BEFORE UPDATE OR DELETE ON transaction_proof
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transaction_proof_untruncated BEFORE TRUNCATE ON transaction_proof
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A reversal goes back the way the money came, and never more than came. Prepaid and arrears stand for each
-- other: what was paid from arrears that have been settled since goes back to prepaid.
CREATE FUNCTION check_reversal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    original transfer;
    reversed_minor bigint;
BEGIN
    SELECT * INTO original FROM transfer
    WHERE payer_id = NEW.payer_id AND transaction_id = NEW.reverses_transaction AND line = NEW.reverses_line;
    SELECT sum(amount_minor) INTO reversed_minor FROM transfer
    WHERE payer_id = NEW.payer_id AND reverses_transaction = NEW.reverses_transaction
        AND reverses_line = NEW.reverses_line;
    IF original.reverses_transaction IS NOT NULL
        OR original.unit <> NEW.unit
        OR reversed_minor > original.amount_minor
        OR (CASE WHEN NEW.debit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE NEW.debit END)
            <> (CASE WHEN original.credit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE original.credit END)
        OR (CASE WHEN NEW.credit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE NEW.credit END)
            <> (CASE WHEN original.debit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE original.debit END)
    THEN
        RAISE EXCEPTION 'this does not reverse what it names'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_reversal';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER transfer_reversal AFTER INSERT ON transfer
FOR EACH ROW WHEN (NEW.reverses_transaction IS NOT NULL) EXECUTE FUNCTION check_reversal();
