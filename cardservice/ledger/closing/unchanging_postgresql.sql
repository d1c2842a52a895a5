-- What has been closed stays: numbers and seals as they are, of a leaf its salt alone is taken away, once.
CREATE TRIGGER ledger_epoch_unchanging BEFORE UPDATE OR DELETE ON ledger_epoch
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_epoch_untruncated BEFORE TRUNCATE ON ledger_epoch
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER ledger_sequence_unchanging BEFORE UPDATE OR DELETE ON ledger_sequence
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_sequence_untruncated BEFORE TRUNCATE ON ledger_sequence
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER day_seal_unchanging BEFORE UPDATE OR DELETE ON day_seal
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER day_seal_untruncated BEFORE TRUNCATE ON day_seal
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER sealed_leaf_undeleted BEFORE DELETE ON sealed_leaf
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed_leaf_untruncated BEFORE TRUNCATE ON sealed_leaf
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed_leaf_only_erased BEFORE UPDATE ON sealed_leaf
FOR EACH ROW WHEN (
    NEW.salt IS NOT NULL OR OLD.salt IS NULL
    OR (NEW.shard, NEW.epoch, NEW.sequence, NEW.hash) IS DISTINCT FROM (OLD.shard, OLD.epoch, OLD.sequence, OLD.hash)
) EXECUTE FUNCTION refuse_change();
