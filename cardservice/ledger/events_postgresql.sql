-- Ratings and the references of payments are as unchanging as what they belong to (refuse_change: revision 2).
CREATE TRIGGER rating_unchanging BEFORE UPDATE OR DELETE ON rating
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rating_untruncated BEFORE TRUNCATE ON rating
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_reference_unchanging BEFORE UPDATE OR DELETE ON payment_reference
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_reference_untruncated BEFORE TRUNCATE ON payment_reference
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A rating names its day.
CREATE FUNCTION check_rating() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM rating WHERE payer_id = NEW.payer_id AND transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'a rating names its day' USING ERRCODE = 'check_violation', CONSTRAINT = 'rating_names_day';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_transaction_rating AFTER INSERT ON ledger_transaction
FOR EACH ROW WHEN (NEW.kind = 'rating') EXECUTE FUNCTION check_rating();

-- Only what cannot be refused ends in arrears: an advice, a rating, a chargeback, what staff decided, and a sale
-- whose rules said so (the flag `into_arrears`).
CREATE FUNCTION check_arrears() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM ledger_transaction
        WHERE payer_id = NEW.payer_id AND id = NEW.transaction_id AND (
            kind IN ('advice', 'rating', 'chargeback')
            OR kind = 'request' AND (origin = 'staff' OR flags @> '["into_arrears"]')
        )
    ) THEN
        RAISE EXCEPTION 'this may not end in arrears'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_into_arrears';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER transfer_into_arrears AFTER INSERT ON transfer
FOR EACH ROW WHEN (NEW.debit = 'payer:arrears') EXECUTE FUNCTION check_arrears();

-- Tax goes back as it came: at its code and rate, and in all neither more tax nor more net than there was. As the
-- two add up to the amount, a line that is given back whole has given back exactly its tax.
CREATE FUNCTION check_reversed_tax() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    original transfer;
    back record;
BEGIN
    SELECT * INTO original FROM transfer
    WHERE payer_id = NEW.payer_id AND transaction_id = NEW.reverses_transaction AND line = NEW.reverses_line;
    SELECT sum(net_minor) AS net, sum(tax_minor) AS tax INTO back FROM transfer
    WHERE payer_id = NEW.payer_id AND reverses_transaction = NEW.reverses_transaction
        AND reverses_line = NEW.reverses_line;
    IF NEW.tax_code IS DISTINCT FROM original.tax_code
        OR NEW.tax_rate_bp IS DISTINCT FROM original.tax_rate_bp
        OR (NEW.tax_minor IS NULL) <> (original.tax_minor IS NULL)
        OR back.net > original.net_minor OR back.tax > original.tax_minor
        OR NEW.net_minor < 0 OR NEW.tax_minor < 0
    THEN
        RAISE EXCEPTION 'the tax of this is not that of what it reverses'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_reversed_tax';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER transfer_reversed_tax AFTER INSERT ON transfer
FOR EACH ROW WHEN (NEW.reverses_transaction IS NOT NULL) EXECUTE FUNCTION check_reversed_tax();
