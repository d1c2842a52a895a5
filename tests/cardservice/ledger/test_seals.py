"""Seals by day: linked, signed, and such that an administrator who changes one byte is found."""

import sqlite3
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, text

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing import sequencing
from cardservice.ledger.closing.leaves import NOT_SEALED, entries
from cardservice.ledger.closing.rollups import turnover
from cardservice.ledger.closing.seals import Seal, forget_leaves, read_seals, seal_days
from cardservice.ledger.closing.sequencing import begin_epoch, sequence
from cardservice.ledger.errors import DayNotOver
from cardservice.ledger.posting import post, post_on
from cardservice.ledger.privacy import erase_details
from cardservice.ledger.values import NewDetails, Outcome
from cardservice.ledger.verify import Report, verify
from pki.statements import LeafTombstone, TreeHead, decode_deterministic, open_tombstone, open_tree_head
from tests.cardservice.conftest import MadeScheme
from tests.cardservice.ledger.conftest import MakePayer, Without
from tests.cardservice.ledger.postings import MOMENT, PAYABLE, sale
from tests.cardservice.ledger.test_sequencing import TODAY, calendar
from tests.cardservice.ledger.test_two_sessions import race
from tests.cardservice.ledger.test_verify import unguarded
from tests.support.databases import DatabaseUrls

TOMORROW = MOMENT + timedelta(days=1)
# One thing of each kind, as somebody with every right would do it.
CHANGES = {
    "amount": "UPDATE transfer SET amount_minor = amount_minor + 1 WHERE transaction_id = :id",
    "account": "UPDATE transfer SET credit = 'provider:trams:payable' WHERE transaction_id = :id",
    "time": "UPDATE ledger_transaction SET occurred_at = posted_at, reason = 'approvee' WHERE id = :id",
    "provider": "UPDATE ledger_transaction SET provider_id = 'trams' WHERE id = :id",
    "proof": "UPDATE transaction_proof SET ciphertext = nonce WHERE transaction_id = :id",
    "day": "UPDATE ledger_sequence SET settled_on = '2026-11-23' WHERE transaction_id = :id",
    "gone": "DELETE FROM ledger_transaction WHERE id = :id",
}


@pytest.fixture
def sold(database: Database, payer: PayerId) -> TransactionId:
    """A sale of today, between two others."""
    postings = [sale(payer, version, 100) for version in (1, 2, 3)]
    for posting in postings:
        [result] = post(database, [posting])
        assert result.outcome is Outcome.POSTED
    return postings[1].transaction.id


def seal(database: Database, made: MadeScheme, days: int = 1) -> list[Seal]:
    """Seal what is over, so many days from now."""
    return seal_days(database, calendar(MOMENT + timedelta(days=days)), "ashcombe", made.keys)


def checked(database: Database, made: MadeScheme, *, whole: bool = False) -> Report:
    """Verified with signatures of heads; no proofs."""

    def check_head(raw: bytes) -> TreeHead:
        return open_tree_head(raw, made.keys.answer_key.public_key(), "ashcombe")

    def check_tombstone(raw: bytes) -> LeafTombstone:
        return open_tombstone(raw, made.keys.answer_key.public_key(), "ashcombe")

    return verify(database, whole=whole, check_head=check_head, check_tombstone=check_tombstone)


def test_each_day_has_its_seal_linked_to_the_one_before(
    database: Database, made_scheme: MadeScheme, payer: PayerId, sold: TransactionId
) -> None:
    [first] = seal(database, made_scheme)
    assert (first.number, first.day, first.size) == (1, TODAY, 4)
    assert seal(database, made_scheme) == []
    later = MOMENT + timedelta(days=3)
    post(database, [sale(payer, 4, 50, occurred_at=later, posted_at=later)])
    # Days on which nothing happened have theirs, too.
    assert [(made.number, made.size) for made in seal(database, made_scheme, 4)] == [(2, 0), (3, 0), (4, 1)]
    for whole in (True, False):
        assert checked(database, made_scheme, whole=whole).findings == ()
    assert checked(database, made_scheme, whole=True).seals_checked == 4
    since = checked(database, made_scheme)
    assert (since.seals_checked, since.leaves_checked, since.transactions) == (1, 1, 1)


def test_today_is_not_over(database: Database, made_scheme: MadeScheme) -> None:
    with pytest.raises(DayNotOver, match="2026-11-23"):
        seal_days(database, calendar(), "ashcombe", made_scheme.keys, through=TODAY)


@pytest.mark.parametrize("change", CHANGES)
def test_what_an_administrator_changes_in_a_sealed_day_is_named(
    database: Database,
    database_urls: DatabaseUrls,
    made_scheme: MadeScheme,
    sold: TransactionId,
    change: str,
) -> None:
    seal(database, made_scheme)
    name = sold.hex if database_urls.kind == "sqlite" else str(sold)
    with unguarded(database_urls) as connection:
        assert connection.execute(text(CHANGES[change]), {"id": name}).rowcount == 1
    found = checked(database, made_scheme).findings
    assert sold in {finding.transaction_id for finding in found}
    assert {"changed_since_sealed", "transaction_missing", "leaf_missing"} & {f.code for f in found}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sealed_leaf SET hash = salt WHERE sequence = 2",
        "UPDATE day_seal SET root = signed",
        "UPDATE day_seal SET size = size - 1",
        "UPDATE day_seal SET day = '2026-11-23'",
        "DELETE FROM sealed_leaf WHERE sequence = 4",
    ],
)
@pytest.mark.usefixtures("sold")
def test_a_seal_that_was_changed_does_not_hold(
    database: Database, database_urls: DatabaseUrls, made_scheme: MadeScheme, change: str
) -> None:
    seal(database, made_scheme)
    with unguarded(database_urls) as connection:
        connection.execute(text(change))
    assert "seal_invalid" in {finding.code for finding in checked(database, made_scheme).findings}


@pytest.mark.usefixtures("sold")
def test_a_seal_that_was_taken_out_is_missed(
    database: Database, database_urls: DatabaseUrls, made_scheme: MadeScheme
) -> None:
    seal(database, made_scheme, 3)
    with unguarded(database_urls) as connection:
        connection.execute(text("DELETE FROM day_seal WHERE number = 2"))
    details = [finding.detail for finding in checked(database, made_scheme, whole=True).findings]
    assert any("missing" in detail for detail in details)
    assert any("not linked" in detail for detail in details)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("rollup_wrong", "UPDATE account_rollup SET credit_minor = credit_minor + 1 WHERE credit_minor > 0"),
        ("rollup_wrong", "DELETE FROM account_rollup WHERE account LIKE 'provider:%'"),
        ("sides_differ", "UPDATE account SET balance = balance + 1 WHERE kind = 'prepaid'"),
        ("sides_differ", "UPDATE account_rollup SET debit_minor = debit_minor + 1 WHERE debit_minor > 0"),
        ("sequence_broken", "UPDATE ledger_sequence SET sequence = 9 WHERE sequence = 4"),
        ("not_sequenced", "DELETE FROM ledger_sequence WHERE sequence = 3"),
    ],
)
@pytest.mark.usefixtures("sold")
def test_numbers_and_sums_are_verified(
    database: Database, database_urls: DatabaseUrls, code: str, change: str
) -> None:
    sequence(database, calendar())
    assert verify(database).findings == ()
    with unguarded(database_urls) as connection:
        assert connection.execute(text(change)).rowcount > 0
    assert code in {finding.code for finding in verify(database).findings}


def test_what_is_forgotten_is_erased_and_no_fault(
    database: Database, made_scheme: MadeScheme, payer: PayerId, sold: TransactionId
) -> None:
    seal(database, made_scheme)
    with database.begin() as connection:
        for moment, erased in ((TOMORROW, 1), (TOMORROW + timedelta(days=1), 0)):
            done = forget_leaves(connection, payer, [sold], moment, "ashcombe", made_scheme.keys)
            assert done == erased
    report = checked(database, made_scheme)
    assert report.findings == ()
    assert (report.leaves_erased, report.leaves_erased_on) == (1, {TOMORROW.date(): 1})


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sealed_leaf SET salt = NULL, erased_at = :at WHERE sequence = 2",
        # What the service said of another leaf.
        (
            "UPDATE sealed_leaf SET salt = NULL, erased_at = :at, tombstone ="
            " (SELECT o.tombstone FROM sealed_leaf AS o WHERE o.tombstone IS NOT NULL) WHERE sequence = 2"
        ),
        "UPDATE sealed_leaf SET tombstone = hash WHERE salt IS NULL",
    ],
)
def test_a_salt_that_the_service_did_not_erase_is_missed(
    database: Database,
    database_urls: DatabaseUrls,
    made_scheme: MadeScheme,
    payer: PayerId,
    sold: TransactionId,
    change: str,
) -> None:
    seal(database, made_scheme)
    with database.begin() as connection:
        forget_leaves(connection, payer, [sold], TOMORROW, "ashcombe", made_scheme.keys)
    assert checked(database, made_scheme).findings == ()
    at = TOMORROW if database_urls.kind == "postgresql" else round(TOMORROW.timestamp() * 1000)
    with unguarded(database_urls) as connection:
        assert connection.execute(text(change), {"at": at} if ":at" in change else {}).rowcount == 1
    assert {finding.code for finding in checked(database, made_scheme).findings} == {"erased_by_nobody"}


@pytest.mark.parametrize("column", ["details", "answer", "salt", "retention_class"])
def test_details_and_answers_are_sealed(
    database: Database, database_urls: DatabaseUrls, made_scheme: MadeScheme, payer: PayerId, column: str
) -> None:
    """What of them is changed is found; once they are erased the leaf is as it was, and tells nothing."""
    posting = replace(
        sale(payer, 1, 50), details=NewDetails("journey", {"to": "b"}, bytes(16), {"given": {"n": 1.5}})
    )
    [result] = post(database, [posting])
    assert result.outcome is Outcome.POSTED
    seal(database, made_scheme)
    assert checked(database, made_scheme).findings == ()
    changed = {"salt": b"x" * 16, "retention_class": "loan"}.get(column, '{"to": "c"}')
    is_json = column in {"details", "answer"} and database.dialect == "postgresql"
    cast = "CAST(:to AS json)" if is_json else ":to"
    with unguarded(database_urls) as connection:
        update = text(f"UPDATE transaction_details SET {column} = {cast}")  # noqa: S608 - our own column
        assert connection.execute(update, {"to": changed}).rowcount == 1
    [finding] = checked(database, made_scheme).findings
    assert (finding.code, finding.transaction_id) == ("details_changed", posting.transaction.id)
    with database.begin() as connection:
        erase_details(connection, payer, [posting.transaction.id])
    assert checked(database, made_scheme).findings == ()


@pytest.mark.parametrize("checked_sql", [True, False])
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_is_held_open_across_a_seal_is_in_the_next_one(
    database: Database,
    made_scheme: MadeScheme,
    make_payer: MakePayer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    checked_sql: bool,
) -> None:
    """The day that is sealed stays as it is. Without the horizon it would be in no seal at all."""
    if not checked_sql:
        monkeypatch.setattr(sequencing, "horizon", _of_what_is_seen)
    held, other = make_payer(500), make_payer(500)
    with database.begin() as connection:
        [result] = post_on(connection, [sale(held, 1, 200)])
        assert result.outcome is Outcome.POSTED
        post(database, [sale(other, 1, 100)])
        [first] = seal(database, made_scheme)
    seal(database, made_scheme, 2)
    with database.reading() as connection:
        sealed = sum(made.size for made in read_seals(connection))
        assert next(read_seals(connection)).root == first.root
    assert sealed == (4 if checked_sql else 3)
    if checked_sql:
        assert checked(database, made_scheme, whole=True).findings == ()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("removed", "sealed_at_once"), [((), 4), (("lock",), 3)])
def test_on_sqlite_a_seal_waits_for_what_is_held_open(
    opened: Without,
    made_scheme: MadeScheme,
    make_payer: MakePayer,
    removed: tuple[str, ...],
    sealed_at_once: int,
) -> None:
    """What is posted before the seal is in it. Where the worker looks first and locks later, it is not."""
    database = opened(*removed)
    held, other = make_payer(500), make_payer(500)
    post(database, [sale(other, 1, 100)])
    sequence(database, calendar())
    posting = sale(held, 1, 200)

    def hold(connection: Connection) -> None:
        [result] = post_on(connection, [posting])
        assert result.outcome is Outcome.POSTED

    made = race(database, hold, lambda: seal(database, made_scheme))
    assert isinstance(made, list)
    assert [one.size for one in made] == [sealed_at_once]
    seal(database, made_scheme, 2)
    with database.reading() as connection:
        assert sum(one.size for one in read_seals(connection)) == 4
        assert turnover(connection, PAYABLE)["GBP"].balance_minor == 300
    assert checked(database, made_scheme, whole=True).findings == ()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("checked_sql", [True, False])
def test_on_sqlite_nothing_comes_below_what_a_seal_has_seen(
    database: Database,
    made_scheme: MadeScheme,
    payer: PayerId,
    monkeypatch: pytest.MonkeyPatch,
    *,
    checked_sql: bool,
) -> None:
    """The worker's horizon is the last row that it sees. A higher one passes by what is posted next."""
    if not checked_sql:
        monkeypatch.setattr(sequencing, "horizon", lambda connection: sequencing.next_place(connection) + 1)
    sequence(database, calendar())
    post(database, [sale(payer, 1, 200)])
    monkeypatch.undo()
    seal(database, made_scheme)
    seal(database, made_scheme, 2)
    found = {finding.code for finding in checked(database, made_scheme, whole=True).findings}
    assert found == (set() if checked_sql else {"not_sequenced", "sides_differ"})


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_on_sqlite_nothing_can_be_open_while_a_seal_is_made(database: Database, payer: PayerId) -> None:
    """One writes at a time: what began before the worker's transaction has ended when that begins."""
    with database.begin() as connection:
        post_on(connection, [sale(payer, 1, 200)])
        worker = sqlite3.connect(str(database.engine.url.database), timeout=0, isolation_level=None)
        try:
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                worker.execute("BEGIN IMMEDIATE")
        finally:
            worker.close()


def test_an_epoch_goes_on_with_the_chain(
    database: Database, made_scheme: MadeScheme, payer: PayerId, sold: TransactionId
) -> None:
    seal(database, made_scheme)
    with database.begin() as connection:
        begin_epoch(connection, calendar(TOMORROW), reason="restored", actor="test")
    post(database, [sale(payer, 4, 50)])
    seal(database, made_scheme, 2)
    with database.reading() as connection:
        chain = [(made.number, made.epoch, made.size) for made in read_seals(connection)]
    assert chain == [(1, 0, 4), (2, 1, 1)]
    assert checked(database, made_scheme, whole=True).findings == ()


def test_every_column_is_sealed_or_said_not_to_be(database: Database, sold: TransactionId) -> None:
    """A column that is NULL is left out, and is in it when it is not."""
    sequence(database, calendar())
    with database.reading() as connection:
        [entry] = [entry for entry in entries(connection, 0, 0, 0, 9) if entry.transaction_id == sold]
        stored = connection.execute(text("SELECT * FROM ledger_transaction LIMIT 1")).keys()
    assert entry.sealed is not None
    sealed = decode_deterministic(entry.sealed)
    assert isinstance(sealed, dict)
    never_set = {"tariff_version", "replaces", "duplicate_of", "annuls"}
    assert set(stored) - set(sealed["transaction"]) == NOT_SEALED | never_set
    assert sealed["transfers"][0]["amount_minor"] == 100
    assert date.fromisoformat(sealed["settled_on"]) == TODAY


def _of_what_is_seen(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")).scalar_one())
