"""Whether the ledger is right: what no single posting can see, found by adding everything up.

Reads in one transaction, so that a busy ledger is checked as of one moment. On a cluster there is none: while
what is numbered is compared with what stands at the nodes, nothing is numbered; what is one payer's is looked
at in one statement. Whole, or what the last seal covers and what came after it, with all that the payers
concerned have.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select, tuple_, union

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.checks import CHECKS
from cardservice.ledger.closing import checking, rounds
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.closing.seals import Seal, last_seal
from cardservice.ledger.closing.sequencing import read_position, unsequenced
from cardservice.ledger.errors import ProofErased
from cardservice.ledger.findings import Finding
from cardservice.ledger.models import ledger_transaction, transfer

# Says what is wrong with a transaction's proof, None if nothing is; raises ProofErased where it was erased.
ProofCheck = Callable[[Connection, PayerId, TransactionId], str | None]
# Told now and then: what is being looked at, how many of how many have been.
Progress = Callable[[str, int, int], None]
_ROWS_AT_ONCE = 1000
_PAYERS_AT_ONCE = 200
# Of each kind; whoever has more than that has one fault, not many.
MAX_FINDINGS = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what was found; `since` is the seal from which on, None: the whole ledger."""

    transactions: int
    transfers: int
    proofs_checked: int
    proofs_erased: int
    findings: tuple[Finding, ...]
    since: Seal | None = None
    seals_checked: int = 0
    leaves_checked: int = 0
    leaves_erased: int = 0
    # How many proofs, and how many leaves, were erased on which day, where it is known.
    erased_on: Mapping[date, int] = field(default_factory=dict)
    leaves_erased_on: Mapping[date, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found. What was erased is no fault."""
        return not self.findings


def verify(
    database: Database,
    check_proof: ProofCheck | None = None,
    *,
    whole: bool = True,
    check_head: checking.HeadCheck | None = None,
    check_tombstone: checking.TombstoneCheck | None = None,
    progress: Progress = lambda *_: None,
) -> Report:
    """Look at the ledger; `check_proof` is asked for each transaction that a card made.

    `check_head` reads a seal's signed head, `check_tombstone` the word that a leaf was erased; each raises
    where its signature does not hold.
    """
    with ExitStack() as stack, ExitStack() as numbering:
        numbering.enter_context(rounds.pause(database))
        connection = stack.enter_context(database.reading())
        since = None if whole else last_seal(connection)
        concerned = _everything() if since is None else _since(connection, since)
        findings: list[Finding] = []
        sums = (
            partial(checking.sequence_faults, connection, since),
            partial(checking.rollup_faults, connection, since),
            partial(checking.sides_faults, connection),
        )
        for number, faults in enumerate(sums):
            progress("sums", number, len(sums))
            findings += faults()
        numbering.close()
        findings += _broken(connection, since, concerned, progress)
        seals = checking.SealCheck(connection, check_head, check_tombstone, progress)
        findings += seals.faults(since)
        proofs = _Proofs(connection, check_proof, progress)
        findings += proofs.faults(concerned)
        transactions = _count(connection, concerned)
        moved = connection.execute(_transfers(concerned)).scalar_one()
    return Report(
        transactions,
        moved,
        proofs.checked,
        proofs.erased,
        tuple(findings),
        since,
        seals.seals,
        seals.leaves,
        seals.erased,
        proofs.erased_on,
        seals.erased_on,
    )


def _everything() -> Select[Any]:
    return select(ledger_transaction.c.payer_id, ledger_transaction.c.id)


def _since(connection: Connection, seal: Seal) -> Select[Any]:
    """What the seal covers, and what came after it, numbered or not."""
    entry = ledger_sequence.c
    numbered = select(entry.payer_id, entry.transaction_id.label("id")).where(
        tuple_(entry.epoch, entry.sequence) > tuple_(seal.epoch, seal.after_sequence)
    )
    stored = ledger_transaction.c
    waiting = select(stored.payer_id, stored.id).where(unsequenced(connection, read_position(connection)))
    found = union(numbered, waiting).subquery("concerned")
    return select(found.c.payer_id, found.c.id)


def _count(connection: Connection, concerned: Select[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(concerned.subquery())).scalar_one())


def _transfers(concerned: Select[Any]) -> Select[Any]:
    found = concerned.subquery()
    same = and_(transfer.c.payer_id == found.c.payer_id, transfer.c.transaction_id == found.c.id)
    return select(func.count()).select_from(transfer.join(found, same))


def _broken(
    connection: Connection, since: Seal | None, concerned: Select[Any], progress: Progress
) -> Iterator[Finding]:
    """What is wrong with balances and rows: of everybody, or of the payers concerned, some at a time."""
    if since is None:
        for number, (code, query) in enumerate(CHECKS.items()):
            progress("checks", number, len(CHECKS))
            yield from _found(connection, code, query().limit(MAX_FINDINGS))
        return
    payers = select(concerned.subquery().c.payer_id).distinct()
    total = int(connection.execute(select(func.count()).select_from(payers.subquery())).scalar_one())
    # Read as they are wanted: however many there are, no more than a handful is in memory.
    portions = connection.execution_options(yield_per=_PAYERS_AT_ONCE).scalars(payers).partitions()
    for number, some in enumerate(portions):
        progress("payers", number * _PAYERS_AT_ONCE, total)
        for code, query in CHECKS.items():
            rows = query().subquery()
            yield from _found(
                connection, code, select(rows).where(rows.c.payer_id.in_(some)).limit(MAX_FINDINGS)
            )


def _found(connection: Connection, code: str, query: Select[Any]) -> Iterator[Finding]:
    for row in connection.execute(query):
        yield Finding(code, PayerId(row.payer_id), row.transaction_id, str(row.detail))


class _Proofs:
    """Asks for every proof, and counts."""

    def __init__(self, connection: Connection, check: ProofCheck | None, progress: Progress) -> None:
        self._connection, self._check, self._progress = connection, check, progress
        self.checked = self.erased = 0
        self.erased_on: Counter[date] = Counter()

    def faults(self, concerned: Select[Any]) -> Iterator[Finding]:
        """Proofs that do not hold."""
        if self._check is None:
            return
        total = _count(self._connection, _proved(concerned))
        for payer_id, transaction_id in _with_proof(self._connection, concerned):
            self.checked += 1
            self._progress("proofs", self.checked, total)
            try:
                fault = self._check(self._connection, payer_id, transaction_id)
            except ProofErased as error:
                self.erased += 1
                if error.erased_on is not None:
                    self.erased_on[error.erased_on] += 1
                continue
            if fault is not None:
                yield Finding("proof_invalid", payer_id, transaction_id, fault)


def _proved(concerned: Select[Any]) -> Select[Any]:
    """Those of them that a card made."""
    found, stored = concerned.subquery(), ledger_transaction.c
    same = and_(stored.payer_id == found.c.payer_id, stored.id == found.c.id)
    joined = ledger_transaction.join(found, same)
    return select(stored.payer_id, stored.id).select_from(joined).where(stored.proof_of.is_not(None))


def _with_proof(connection: Connection, concerned: Select[Any]) -> Iterator[tuple[PayerId, TransactionId]]:
    """Every transaction that a card made, in the order of the key, some at a time."""
    stored = ledger_transaction.c
    last: Any = ()
    while True:
        query = _proved(concerned)
        if last:
            after = last[-1]
            query = query.where(
                or_(
                    stored.payer_id > after.payer_id,
                    and_(stored.payer_id == after.payer_id, stored.id > after.id),
                )
            )
        last = connection.execute(query.order_by(stored.payer_id, stored.id).limit(_ROWS_AT_ONCE)).all()
        yield from ((PayerId(row.payer_id), TransactionId(row.id)) for row in last)
        if len(last) < _ROWS_AT_ONCE:
            return
