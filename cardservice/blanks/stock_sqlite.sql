-- Counts are what the movements add up to, and nothing else changes them.
CREATE TRIGGER blank_movement_counts AFTER INSERT ON blank_movement FOR EACH ROW
BEGIN
    UPDATE blank_stock SET count = count - NEW.count WHERE place_id = NEW.source AND product = NEW.product;
    UPDATE blank_stock SET count = count + NEW.count WHERE place_id = NEW.target AND product = NEW.product;
END
-- next
CREATE TRIGGER blank_stock_first BEFORE INSERT ON blank_stock FOR EACH ROW WHEN NEW.count <> 0
BEGIN
    SELECT RAISE(ABORT, 'blank_stock_sum: a count is what the movements add up to');
END
-- next
CREATE TRIGGER blank_stock_sum BEFORE UPDATE OF count ON blank_stock FOR EACH ROW
WHEN NEW.count <> (
    SELECT coalesce(sum(CASE WHEN target = NEW.place_id THEN count ELSE 0 END), 0)
           - coalesce(sum(CASE WHEN source = NEW.place_id THEN count ELSE 0 END), 0)
    FROM blank_movement WHERE product = NEW.product AND NEW.place_id IN (source, target)
)
BEGIN
    SELECT RAISE(ABORT, 'blank_stock_sum: a count is what the movements add up to');
END
-- next
CREATE TRIGGER blank_movement_no_update BEFORE UPDATE ON blank_movement FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'blank_movement is never changed');
END
-- next
CREATE TRIGGER blank_movement_no_delete BEFORE DELETE ON blank_movement FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'blank_movement is never changed');
END
