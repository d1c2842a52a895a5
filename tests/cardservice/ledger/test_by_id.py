"""A transaction by its id alone: with its number or without, and by indexes."""

from sqlalchemy import text

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId, new_id
from cardservice.ledger.by_id import payers_with
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.posting import post
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import sale
from tests.cardservice.ledger.test_sequencing import calendar


def test_found_before_it_is_numbered_and_after(
    database: Database, payer: PayerId, make_payer: MakePayer
) -> None:
    make_payer(500)
    posting = sale(payer, 1, 100)
    post(database, [posting])
    for _ in range(2):
        with database.reading() as connection:
            assert payers_with(connection, posting.transaction.id) == (payer,)
            assert payers_with(connection, TransactionId(new_id())) == ()
        sequence(database, calendar())


def test_what_has_its_number_is_found_by_an_index(database: Database, payer: PayerId) -> None:
    posting = sale(payer, 1, 100)
    post(database, [posting])
    sequence(database, calendar())
    wanted = f"SELECT payer_id FROM ledger_sequence WHERE transaction_id = '{posting.transaction.id}'"  # noqa: S608 - ours
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    with database.begin() as connection:
        if database.dialect == "postgresql":
            # Of three rows it would read the page.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(str(row) for row in connection.execute(text(explain + wanted)))
    assert "ix_ledger_sequence_transaction_id" in plan
