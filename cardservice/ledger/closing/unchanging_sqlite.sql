-- What has been closed stays: numbers and seals as they are, of a leaf its salt alone is taken away, once.
CREATE TRIGGER ledger_epoch_no_update BEFORE UPDATE ON ledger_epoch FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'ledger_epoch is never changed and never deleted');
END
-- next
CREATE TRIGGER ledger_epoch_no_delete BEFORE DELETE ON ledger_epoch FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'ledger_epoch is never changed and never deleted');
END
-- next
CREATE TRIGGER ledger_sequence_no_update BEFORE UPDATE ON ledger_sequence FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'ledger_sequence is never changed and never deleted');
END
-- next
CREATE TRIGGER ledger_sequence_no_delete BEFORE DELETE ON ledger_sequence FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'ledger_sequence is never changed and never deleted');
END
-- next
CREATE TRIGGER day_seal_no_update BEFORE UPDATE ON day_seal FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'day_seal is never changed and never deleted');
END
-- next
CREATE TRIGGER day_seal_no_delete BEFORE DELETE ON day_seal FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'day_seal is never changed and never deleted');
END
-- next
CREATE TRIGGER sealed_leaf_no_delete BEFORE DELETE ON sealed_leaf FOR EACH ROW BEGIN
    SELECT RAISE(ABORT, 'sealed_leaf is never changed and never deleted');
END
-- next
CREATE TRIGGER sealed_leaf_only_erased BEFORE UPDATE ON sealed_leaf FOR EACH ROW
WHEN NEW.salt IS NOT NULL OR OLD.salt IS NULL OR NEW.shard <> OLD.shard OR NEW.epoch <> OLD.epoch
    OR NEW.sequence <> OLD.sequence OR NEW.hash <> OLD.hash
BEGIN
    SELECT RAISE(ABORT, 'sealed_leaf is never changed and never deleted');
END
