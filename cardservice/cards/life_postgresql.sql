-- A card's row says the latest of its states, and only what that leads to comes after it. The row is locked, so
-- that of two who change a card at once the second sees what the first has made of it.
CREATE FUNCTION follow_card_state() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    present text;
BEGIN
    SELECT state INTO present FROM card WHERE id = NEW.card_id FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM card_transition AS t WHERE t.state = present AND t.next = NEW.state) THEN
        RAISE EXCEPTION 'a card that is % is not % next', present, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'card_transition';
    END IF;
    IF EXISTS (SELECT FROM card_state WHERE card_id = NEW.card_id AND valid_from > NEW.valid_from) THEN
        RAISE EXCEPTION 'a card''s states are dated in their order'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'card_state_order';
    END IF;
    UPDATE card SET state = NEW.state WHERE id = NEW.card_id;
    RETURN NULL;
END $$
-- next
CREATE TRIGGER card_state_follow AFTER INSERT ON card_state
FOR EACH ROW EXECUTE FUNCTION follow_card_state()
-- next
CREATE FUNCTION check_card_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IS DISTINCT FROM coalesce(
        (SELECT state FROM card_state WHERE card_id = NEW.id ORDER BY valid_from DESC, id DESC LIMIT 1), 'stock'
    ) THEN
        RAISE EXCEPTION 'a card''s state is the latest of its history'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'card_state_latest';
    END IF;
    RETURN NEW;
END $$
-- next
CREATE TRIGGER card_state_latest BEFORE INSERT OR UPDATE OF state ON card
FOR EACH ROW EXECUTE FUNCTION check_card_state()
-- next
CREATE TRIGGER card_state_unchanging BEFORE UPDATE ON card_state
FOR EACH ROW EXECUTE FUNCTION refuse_change()
