CREATE TRIGGER payment_attempt_kept BEFORE UPDATE ON payment_attempt
WHEN OLD.state = 'success' AND NEW.state <> 'success'
    OR NEW.id <> OLD.id OR NEW.payer_id <> OLD.payer_id OR NEW.provider <> OLD.provider
    OR NEW.amount_minor <> OLD.amount_minor OR NEW.unit <> OLD.unit
    OR OLD.provider_payment IS NOT NULL AND NEW.provider_payment IS NOT OLD.provider_payment
BEGIN
    SELECT RAISE(ABORT, 'a payment attempt keeps payer, amount, name and capture');
END
-- next
CREATE TRIGGER payment_attempt_undeleted BEFORE DELETE ON payment_attempt
BEGIN
    SELECT RAISE(ABORT, 'a payment attempt is never deleted');
END
-- next
CREATE TRIGGER payment_refund_undeleted BEFORE DELETE ON payment_refund
BEGIN
    SELECT RAISE(ABORT, 'a refund is never deleted');
END
-- next
CREATE TRIGGER settlement_line_undeleted BEFORE DELETE ON settlement_line
BEGIN
    SELECT RAISE(ABORT, 'a settled line is never deleted');
END
