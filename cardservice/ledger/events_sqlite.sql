-- Ratings and the references of payments are as unchanging as what they belong to.
CREATE TRIGGER rating_no_update BEFORE UPDATE ON rating FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'rating is never changed and never deleted');
END
-- next
CREATE TRIGGER rating_no_delete BEFORE DELETE ON rating FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'rating is never changed and never deleted');
END
-- next
CREATE TRIGGER payment_reference_no_update BEFORE UPDATE ON payment_reference FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'payment_reference is never changed and never deleted');
END
-- next
CREATE TRIGGER payment_reference_no_delete BEFORE DELETE ON payment_reference FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'payment_reference is never changed and never deleted');
END
-- next
-- A rating names its day.
CREATE TRIGGER ledger_transaction_rating AFTER INSERT ON ledger_transaction FOR EACH ROW
WHEN NEW.kind = 'rating'
BEGIN
    SELECT RAISE(ABORT, 'a rating names its day')
    WHERE NOT EXISTS (SELECT 1 FROM rating WHERE payer_id = NEW.payer_id AND transaction_id = NEW.id);
END
-- next
-- Only what cannot be refused ends in arrears: an advice, a rating, a chargeback, what staff decided, and a sale
-- whose rules said so (the flag `into_arrears`).
CREATE TRIGGER transfer_into_arrears AFTER INSERT ON transfer FOR EACH ROW
WHEN NEW.debit = 'payer:arrears'
BEGIN
    SELECT RAISE(ABORT, 'this may not end in arrears')
    WHERE NOT EXISTS (
        SELECT 1 FROM ledger_transaction
        WHERE payer_id = NEW.payer_id AND id = NEW.transaction_id AND (
            kind IN ('advice', 'rating', 'chargeback')
            OR kind = 'request' AND (
                origin = 'staff' OR EXISTS (SELECT 1 FROM json_each(flags) WHERE value = 'into_arrears')
            )
        )
    );
END
-- next
-- Tax goes back as it came: at its code and rate, and in all neither more tax nor more net than there was. As the
-- two add up to the amount, a line that is given back whole has given back exactly its tax.
CREATE TRIGGER transfer_reversed_tax AFTER INSERT ON transfer FOR EACH ROW
WHEN NEW.reverses_transaction IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the tax of this is not that of what it reverses')
    FROM transfer AS original
    WHERE original.payer_id = NEW.payer_id AND original.transaction_id = NEW.reverses_transaction
        AND original.line = NEW.reverses_line
        AND (
            NEW.tax_code IS NOT original.tax_code
            OR NEW.tax_rate_bp IS NOT original.tax_rate_bp
            OR (NEW.tax_minor IS NULL) <> (original.tax_minor IS NULL)
            OR NEW.net_minor < 0 OR NEW.tax_minor < 0
            OR EXISTS (
                SELECT 1 FROM transfer
                WHERE payer_id = NEW.payer_id AND reverses_transaction = NEW.reverses_transaction
                    AND reverses_line = NEW.reverses_line
                GROUP BY reverses_line
                HAVING sum(net_minor) > original.net_minor OR sum(tax_minor) > original.tax_minor
            )
        );
END
