-- A card's row says the latest of its states, and only what that leads to comes after it.
CREATE TRIGGER card_state_leads BEFORE INSERT ON card_state FOR EACH ROW
WHEN NOT EXISTS (
    SELECT 1 FROM card JOIN card_transition AS t ON t.state = card.state
    WHERE card.id = NEW.card_id AND t.next = NEW.state
)
BEGIN
    SELECT RAISE(ABORT, 'card_transition: the card''s state does not lead to this one');
END
-- next
CREATE TRIGGER card_state_order BEFORE INSERT ON card_state FOR EACH ROW
WHEN EXISTS (SELECT 1 FROM card_state WHERE card_id = NEW.card_id AND valid_from > NEW.valid_from)
BEGIN
    SELECT RAISE(ABORT, 'card_state_order: a card''s states are dated in their order');
END
-- next
CREATE TRIGGER card_state_follow AFTER INSERT ON card_state FOR EACH ROW
BEGIN
    UPDATE card SET state = NEW.state WHERE id = NEW.card_id;
END
-- next
CREATE TRIGGER card_state_latest BEFORE UPDATE OF state ON card FOR EACH ROW
WHEN NEW.state IS NOT coalesce(
    (SELECT state FROM card_state WHERE card_id = NEW.id ORDER BY valid_from DESC, id DESC LIMIT 1), 'stock'
)
BEGIN
    SELECT RAISE(ABORT, 'card_state_latest: a card''s state is the latest of its history');
END
-- next
CREATE TRIGGER card_state_first BEFORE INSERT ON card FOR EACH ROW WHEN NEW.state <> 'stock'
BEGIN
    SELECT RAISE(ABORT, 'card_state_latest: a card''s state is the latest of its history');
END
-- next
CREATE TRIGGER card_state_no_update BEFORE UPDATE ON card_state FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'card_state is never changed');
END
