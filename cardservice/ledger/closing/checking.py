"""Whether what follows the commit is right: numbers without gap, roll-ups that are sums, seals that hold."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true, tuple_, union_all

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing import rollups
from cardservice.ledger.closing.leaves import Entry, entries
from cardservice.ledger.closing.merkle import leaf_hash, root_of
from cardservice.ledger.closing.models import account_rollup, ledger_position, ledger_sequence
from cardservice.ledger.closing.seals import Seal, digest_of, read_seals
from cardservice.ledger.closing.sequencing import is_passed_over, read_position, unsequenced
from cardservice.ledger.findings import Finding
from cardservice.ledger.models import account, ledger_transaction, transfer
from pki.errors import PkiError
from pki.statements import LeafTombstone, TreeHead

# Reads a signed head, with its signature verified. Raises PkiError, LookupError and ValueError.
HeadCheck = Callable[[bytes], TreeHead]
# The same of the service's word that it erased a leaf's salt.
TombstoneCheck = Callable[[bytes], LeafTombstone]
Progress = Callable[[str, int, int], None]
_MAX_FINDINGS = 1000


def sequence_faults(connection: Connection, since: Seal | None) -> Iterator[Finding]:
    """Gaps, days that go back, entries of nothing, and transactions that were passed over."""
    entry = ledger_sequence.c
    before = func.coalesce(_before(entry.sequence), 0)
    day_before = _before(entry.settled_on)
    numbered = select(ledger_sequence, before.label("before"), day_before.label("day_before"))
    if since is not None:
        numbered = numbered.where(
            tuple_(entry.epoch, entry.sequence) >= tuple_(since.epoch, max(since.after_sequence, 1))
        )
    rows = numbered.subquery()
    # The first that was looked at has none before it here.
    first = true() if since is None else rows.c.before != 0
    gaps = select(rows).where(
        or_((rows.c.sequence != rows.c.before + 1) & first, rows.c.settled_on < rows.c.day_before)
    )
    for row in connection.execute(gaps.limit(_MAX_FINDINGS)):
        yield _of_entry("sequence_broken", row, f"{row.sequence} follows {row.before}")
    yield from _passed_over(connection)
    for position in connection.execute(select(ledger_position)).all():
        last = select(func.coalesce(func.max(entry.sequence), 0)).where(
            entry.shard == position.shard, entry.epoch == position.epoch
        )
        if connection.scalar(last) != position.sequence:
            yield Finding("sequence_broken", None, None, f"the last number given is not {position.sequence}")


def _before(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same of the entry before."""
    entry = ledger_sequence.c
    return func.lag(value).over(partition_by=(entry.shard, entry.epoch), order_by=entry.sequence)


def _passed_over(connection: Connection) -> Iterator[Finding]:
    stored = ledger_transaction.c
    passed = is_passed_over(connection, read_position(connection))
    for row in connection.execute(select(stored.payer_id, stored.id).where(passed).limit(_MAX_FINDINGS)):
        yield Finding("not_sequenced", PayerId(row.payer_id), TransactionId(row.id), "it has no number")


def rollup_faults(connection: Connection, since: Seal | None) -> Iterator[Finding]:
    """Roll-ups that are not the sums of their transfers."""
    days = true() if since is None else ledger_sequence.c.settled_on >= since.day
    stored = select(account_rollup)
    if since is not None:
        stored = stored.where(account_rollup.c.day >= since.day)
    # One row of each kind for a sum that is right, and the second takes away what the first has.
    shard, account_name, unit, day, debit, credit = rollups.sums_by_day(days).subquery("sums").c
    sums = select(shard, account_name, unit, day, -debit, -credit)
    both = union_all(stored, sums).subquery("both").c
    wrong = or_(func.count() != 2, func.sum(both.debit_minor) != 0, func.sum(both.credit_minor) != 0)
    found = (
        select(both.account, both.unit, both.day)
        .group_by(both.shard, both.account, both.unit, both.day)
        .having(wrong)
        .limit(_MAX_FINDINGS)
    )
    for row in connection.execute(found):
        detail = f"{row.account} of {row.day} in {row.unit} is not the sum of its transfers"
        yield Finding("rollup_wrong", None, None, detail)


def sides_faults(connection: Connection) -> Iterator[Finding]:
    """Debits and credits that differ, over all balances: what payers have is what all others are without.

    Of the stored balances and roll-ups themselves, beside the checks that each is the sum of its transfers.
    """
    entry, moved, stored = account_rollup.c, transfer.c, ledger_transaction.c
    rolled_up = select(entry.unit, entry.credit_minor - entry.debit_minor)
    joined = ledger_transaction.join(
        transfer,
        and_(moved.payer_id == stored.payer_id, moved.transaction_id == stored.id),
    )
    waiting = [
        select(moved.unit, moved.amount_minor * sign)
        .select_from(joined)
        .where(unsequenced(connection, read_position(connection)), side.not_like("payer:%"))
        for side, sign in ((moved.credit, 1), (moved.debit, -1))
    ]
    every = union_all(select(account.c.unit, account.c.balance), rolled_up, *waiting).subquery()
    unit, gain = every.c
    for row in connection.execute(select(unit, func.sum(gain)).group_by(unit).having(func.sum(gain) != 0)):
        detail = f"debits and credits in {row[0]} differ by {int(row[1])}, over all balances"
        yield Finding("sides_differ", None, None, detail)


class SealCheck:
    """Goes along the chain of seals, and through the leaves of each; counts."""

    def __init__(
        self,
        connection: Connection,
        check_head: HeadCheck | None,
        check_tombstone: TombstoneCheck | None,
        progress: Progress,
    ) -> None:
        self._connection, self._progress = connection, progress
        self._check_head, self._check_tombstone = check_head, check_tombstone
        self.seals = self.leaves = self.erased = 0
        self._total = 0
        self._erased_on: Counter[date] = Counter()

    @property
    def erased_on(self) -> Mapping[date, int]:
        """How many leaves were erased, by day."""
        return self._erased_on

    def faults(self, since: Seal | None) -> Iterator[Finding]:
        """Heads that do not hold or are not linked, leaves that are not of their entries."""
        # The one before is looked at for its link alone.
        chain = list(read_seals(self._connection, after=max(0, (since.number if since else 1) - 2)))
        checked = [seal for seal in chain if since is None or seal.number >= since.number]
        self._total = sum(seal.size for seal in checked)
        before = {seal.number: seal for seal in chain}
        for number, seal in enumerate(checked):
            self.seals += 1
            if number and seal.number != checked[number - 1].number + 1:
                yield _of_seal(seal, "the seal before it is missing")
            yield from self._head_faults(seal, before.get(seal.number - 1))
            yield from self._leaf_faults(seal)

    def _head_faults(self, seal: Seal, before: Seal | None) -> Iterator[Finding]:
        if self._check_head is None:
            return
        try:
            head = self._check_head(seal.signed)
        except (PkiError, LookupError, ValueError) as error:
            yield _of_seal(seal, f"its signed head does not hold: {error}")
            return
        stored = (seal.shard, seal.number, seal.epoch, seal.day, seal.after_sequence, seal.size, seal.root)
        signed = (head.shard, head.number, head.epoch, head.day, head.after_sequence, head.size, head.root)
        if stored != signed or head.time != seal.sealed_at:
            yield _of_seal(seal, "it is not what was signed")
        if head.previous != (None if before is None else digest_of(before)):
            yield _of_seal(seal, "it is not linked to the one before it")

    def _leaf_faults(self, seal: Seal) -> Iterator[Finding]:
        found: list[Finding] = []
        root = root_of(self._hashes(seal, found))
        yield from found
        if root != seal.root:
            yield _of_seal(seal, "its leaves lead to another root")

    def _hashes(self, seal: Seal, found: list[Finding]) -> Iterator[bytes]:
        day = entries(self._connection, seal.shard, seal.epoch, seal.after_sequence, seal.last_sequence)
        for entry in day:
            self.leaves += 1
            self._progress("leaves", self.leaves, self._total)
            fault = self._fault_of(entry, seal)
            if fault is not None and len(found) < _MAX_FINDINGS:
                found.append(_of_entry(fault[0], entry, fault[1]))
            if entry.hash is not None:
                yield entry.hash

    def _fault_of(self, entry: Entry, seal: Seal) -> tuple[str, str] | None:
        if entry.sealed is None:
            return "transaction_missing", f"it was sealed on {seal.day}, and is gone"
        if entry.hash is None or entry.settled_on != seal.day:
            return "leaf_missing", f"it is not among what was sealed of {seal.day}"
        if entry.salt is None:
            self.erased += 1
            if entry.erased_at is not None:
                self._erased_on[entry.erased_at.date()] += 1
            return self._fault_of_erasure(entry, seal)
        if leaf_hash(entry.salt + entry.sealed) != entry.hash:
            return "changed_since_sealed", f"it is not what was sealed of {seal.day}"
        # Nothing of them was sealed before revision 0015, and nothing of those without a salt.
        if entry.details_sha256 and entry.details_now_sha256 not in {None, entry.details_sha256}:
            return "details_changed", f"its details or answer are not what was sealed of {seal.day}"
        return None

    def _fault_of_erasure(self, entry: Entry, seal: Seal) -> tuple[str, str] | None:
        """Whether the service itself took the salt away."""
        if self._check_tombstone is None:
            return None
        if entry.tombstone is None:
            return "erased_by_nobody", f"its salt of {seal.day} is gone, and the service did not erase it"
        try:
            told = self._check_tombstone(entry.tombstone)
        except (PkiError, LookupError, ValueError) as error:
            return "erased_by_nobody", f"the service's word that it erased this does not hold: {error}"
        day = None if entry.erased_at is None else entry.erased_at.date()
        stored = (seal.shard, seal.epoch, entry.sequence, entry.hash, day)
        if stored != (told.shard, told.epoch, told.sequence, told.leaf, told.day):
            return "erased_by_nobody", "the service's word that it erased this is about another leaf or day"
        return None


def _of_seal(seal: Seal, detail: str) -> Finding:
    return Finding("seal_invalid", None, None, f"seal {seal.number} of {seal.day}: {detail}")


def _of_entry(code: str, entry: Any, detail: str) -> Finding:
    return Finding(code, PayerId(entry.payer_id), TransactionId(entry.transaction_id), detail)
