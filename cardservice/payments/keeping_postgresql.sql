-- What was captured stays captured; who pays how much, and the provider's name for it, never change (refuse_change:
-- revision 2).
CREATE FUNCTION keep_payment_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'success' AND NEW.state <> 'success'
        OR (NEW.id, NEW.payer_id, NEW.provider, NEW.amount_minor, NEW.unit)
            IS DISTINCT FROM (OLD.id, OLD.payer_id, OLD.provider, OLD.amount_minor, OLD.unit)
        OR OLD.provider_payment IS NOT NULL AND NEW.provider_payment IS DISTINCT FROM OLD.provider_payment
    THEN
        RAISE EXCEPTION 'a payment attempt keeps payer, amount, name and capture'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_attempt_kept';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payment_attempt_kept BEFORE UPDATE ON payment_attempt
FOR EACH ROW EXECUTE FUNCTION keep_payment_attempt();
CREATE TRIGGER payment_attempt_undeleted BEFORE DELETE ON payment_attempt
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_refund_undeleted BEFORE DELETE ON payment_refund
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER settlement_line_undeleted BEFORE DELETE ON settlement_line
FOR EACH ROW EXECUTE FUNCTION refuse_change();
