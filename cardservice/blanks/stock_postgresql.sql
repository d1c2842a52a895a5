-- Counts are what the movements add up to. The service may insert movements, and has no right to change a count:
-- the trigger has its owner's. Rows are locked in the order of their places, so that two who move at once do not
-- wait for each other.
CREATE FUNCTION count_blanks() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM blank_stock WHERE product = NEW.product AND place_id IN (NEW.source, NEW.target)
        ORDER BY place_id FOR NO KEY UPDATE;
    UPDATE blank_stock SET count = count - NEW.count WHERE place_id = NEW.source AND product = NEW.product;
    UPDATE blank_stock SET count = count + NEW.count WHERE place_id = NEW.target AND product = NEW.product;
    RETURN NULL;
END $$
-- next
CREATE TRIGGER blank_movement_counts AFTER INSERT ON blank_movement
FOR EACH ROW EXECUTE FUNCTION count_blanks()
-- next
CREATE FUNCTION check_blank_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- An INSERT that finds the row there fires this, too.
    IF TG_OP = 'INSERT' AND NEW.count = 0 THEN
        RETURN NEW;
    END IF;
    IF NEW.count <> (
        SELECT coalesce(sum(m.count) FILTER (WHERE m.target = NEW.place_id), 0)
               - coalesce(sum(m.count) FILTER (WHERE m.source = NEW.place_id), 0)
        FROM blank_movement AS m WHERE m.product = NEW.product AND NEW.place_id IN (m.source, m.target)
    ) THEN
        RAISE EXCEPTION 'a count is what the movements add up to'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'blank_stock_sum';
    END IF;
    RETURN NEW;
END $$
-- next
CREATE TRIGGER blank_stock_sum BEFORE INSERT OR UPDATE OF count ON blank_stock
FOR EACH ROW EXECUTE FUNCTION check_blank_count()
-- next
CREATE TRIGGER blank_movement_unchanging BEFORE UPDATE OR DELETE ON blank_movement
FOR EACH ROW EXECUTE FUNCTION refuse_change()
