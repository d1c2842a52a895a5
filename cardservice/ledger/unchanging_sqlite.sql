-- What is posted is never changed and never deleted, by anybody.
CREATE TRIGGER ledger_transaction_no_update BEFORE UPDATE ON ledger_transaction FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'ledger_transaction is never changed and never deleted');
END
-- next
CREATE TRIGGER ledger_transaction_no_delete BEFORE DELETE ON ledger_transaction FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'ledger_transaction is never changed and never deleted');
END
-- next
CREATE TRIGGER transfer_no_update BEFORE UPDATE ON transfer FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'transfer is never changed and never deleted');
END
-- next
CREATE TRIGGER transfer_no_delete BEFORE DELETE ON transfer FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'transfer is never changed and never deleted');
END
-- next
CREATE TRIGGER transaction_proof_no_update BEFORE UPDATE ON transaction_proof FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'transaction_proof is never changed and never deleted');
END
-- next
CREATE TRIGGER transaction_proof_no_delete BEFORE DELETE ON transaction_proof FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'transaction_proof is never changed and never deleted');
END
-- next
-- A reversal goes back the way the money came, and never more than came. Prepaid and arrears stand for each
-- other: what was paid from arrears that have been settled since goes back to prepaid.
CREATE TRIGGER transfer_reversal AFTER INSERT ON transfer FOR EACH ROW
WHEN NEW.reverses_transaction IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'this does not reverse what it names')
    FROM transfer AS original
    WHERE original.payer_id = NEW.payer_id AND original.transaction_id = NEW.reverses_transaction
        AND original.line = NEW.reverses_line
        AND (
            original.reverses_transaction IS NOT NULL
            OR original.unit <> NEW.unit
            OR original.amount_minor < (
                SELECT sum(amount_minor) FROM transfer
                WHERE payer_id = NEW.payer_id AND reverses_transaction = NEW.reverses_transaction
                    AND reverses_line = NEW.reverses_line
            )
            OR (CASE WHEN NEW.debit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE NEW.debit END)
                <> (CASE WHEN original.credit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE original.credit END)
            OR (CASE WHEN NEW.credit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE NEW.credit END)
                <> (CASE WHEN original.debit IN ('payer:prepaid', 'payer:arrears') THEN 'payer:' ELSE original.debit END)
        );
END
