"""`verify` finds what no posting leaves behind: planted by the owner, with what prevents it switched off."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.errors import ProofErased
from cardservice.ledger.posting import post
from cardservice.ledger.rating_days import rate
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.postings import MOMENT, advice, sale
from tests.cardservice.ledger.test_ratings import day
from tests.cardservice.ledger.test_reversals import back, reversal
from tests.support.databases import ADMINISTRATOR, DatabaseUrls

PLANTED = {
    "balance_wrong": "UPDATE account SET balance = balance + 1 WHERE kind = 'prepaid'",
    "account_missing": "UPDATE transfer SET debit = 'payer:points' WHERE debit = 'payer:arrears'",
    "below_floor": "UPDATE account SET balance = -1 WHERE kind = 'prepaid'",
    "money_moved_without_approval": (
        "UPDATE ledger_transaction SET decision = 'declined' WHERE kind = 'advice'"
    ),
    "amount_wrong": "UPDATE transfer SET amount_minor = -amount_minor WHERE debit = 'payer:arrears'",
    "reversed_too_much": "UPDATE transfer SET amount_minor = 201 WHERE reverses_line IS NOT NULL",
    "proof_missing": "DELETE FROM transaction_proof",
    "arrears_undue": "UPDATE ledger_transaction SET kind = 'refund' WHERE kind = 'advice'",
    "points_as_money": "UPDATE transfer SET unit = 'points' WHERE debit = 'payer:arrears'",
    "tax_reversed_wrong": "UPDATE transfer SET tax_rate_bp = 500 WHERE reverses_line IS NOT NULL",
    "rating_wrong": "UPDATE rating SET should_be_minor = should_be_minor + 1",
    "orphan": "DELETE FROM ledger_transaction WHERE kind = 'advice'",
    "named_transaction_missing": (
        "UPDATE ledger_transaction SET kind = 'annul', annuls = payer_id WHERE reason = 'refund'"
    ),
}


@pytest.fixture
def ledger(database: Database, payer: PayerId) -> Database:
    """A ledger with a payment, a sale, part of it given back, an advice into arrears, a rated day."""
    sold = sale(payer, 1, 200)
    for posting in (sold, reversal(sold, 2, back(sold, 50)), advice(payer, 3, 350, 25)):
        [result] = post(database, [posting])
        assert result.outcome == "posted"
    for amount_minor in (30, 20):
        assert rate(database, day(payer, amount_minor), MOMENT)
    return database


def test_a_ledger_that_was_posted_is_clean(ledger: Database) -> None:
    report = verify(ledger, lambda *_: None)
    assert report.findings == ()
    assert (report.transactions, report.transfers, report.proofs_checked) == (6, 7, 2)


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_fault_is_found(ledger: Database, database_urls: DatabaseUrls, code: str) -> None:
    with unguarded(database_urls) as connection:
        assert connection.execute(text(PLANTED[code])).rowcount > 0
    found = verify(ledger).findings
    assert code in {finding.code for finding in found}
    # That the sides differ is true of the whole ledger, and of nobody in it.
    assert all(finding.payer_id for finding in found if finding.code != "sides_differ")


def test_a_proof_that_does_not_hold_is_found_and_an_erased_one_is_not(ledger: Database) -> None:
    seen: list[TransactionId] = []

    def check(_: Connection, __: PayerId, transaction_id: TransactionId) -> str | None:
        seen.append(transaction_id)
        if len(seen) == 1:
            raise ProofErased("erased")
        return "the signature does not verify"

    report = verify(ledger, check)
    assert [(finding.code, finding.transaction_id) for finding in report.findings] == [
        ("proof_invalid", seen[1])
    ]
    assert (report.proofs_checked, report.proofs_erased) == (2, 1)


@contextmanager
def unguarded(urls: DatabaseUrls) -> Iterator[Connection]:
    """The database without triggers, foreign keys and constraints."""
    url = make_url(urls.owner)
    # An engine without our set-up: SQLite then looks at no foreign keys.
    administrator = create_engine(
        url if urls.kind == "sqlite" else url.set(drivername="postgresql+psycopg", username=ADMINISTRATOR)
    )
    with administrator.begin() as connection:
        if urls.kind == "sqlite":
            _drop_sqlite_guards(connection)
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            drop = (
                "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)"
                " FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
            )
            for statement in connection.execute(text(drop)).scalars().all():
                connection.execute(text(statement))
        yield connection
    administrator.dispose()


def _drop_sqlite_guards(connection: Connection) -> None:
    triggers = (
        connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    )
    for trigger in triggers:
        connection.execute(text(f"DROP TRIGGER {trigger}"))
    connection.execute(text("PRAGMA ignore_check_constraints = ON"))
