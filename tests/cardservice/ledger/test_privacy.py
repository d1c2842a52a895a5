"""Proofs are read under their cardholder's key alone, and by nobody once it is destroyed."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import Connection, LargeBinary, Uuid, column, insert, select, table

from cardservice.database import Database, UtcDateTime, connect, migrate
from cardservice.ids import CardholderId, PayerId, TransactionId, new_id
from cardservice.ledger.errors import ProofErased, ProofMissing, ProofUnreadable
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.models import cardholder_key, payer_state
from cardservice.ledger.models import payer as payer_table
from cardservice.ledger.posting import post
from cardservice.ledger.privacy import destroy_key, erase_details, key_of, open_proof, seal_proof
from cardservice.ledger.values import Outcome, Posting
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.postings import MOMENT, known_of, make_holder, new_transaction_id, sale
from tests.support.databases import DatabaseUrls

KEK = KeyRing.of(bytes(range(32)))
EVIDENCE = b"statement, card and chain"


@pytest.fixture
def proven(database: Database, payer: PayerId, holder: CardholderId) -> Posting:
    """A posted sale with a sealed proof."""
    with database.begin() as connection:
        key = key_of(connection, KEK, holder, MOMENT)
    posting = sale(payer, 2, 200)
    posting = replace(posting, proof=seal_proof(key, posting.transaction.id, EVIDENCE))
    [result] = post(database, [posting])
    assert result.outcome is Outcome.POSTED
    return posting


def test_a_key_is_made_once_and_kept_wrapped(database: Database, holder: CardholderId) -> None:
    with database.begin() as connection:
        first, second = (key_of(connection, KEK, holder, MOMENT) for _ in range(2))
        wrapped = connection.execute(select(cardholder_key.c.wrapped)).scalar_one()
    assert first == second
    assert len(first.key) == 32
    assert wrapped is not None
    assert first.key not in wrapped
    assert first.id != holder


def test_each_cardholder_has_a_key_of_their_own(
    database: Database, payer: PayerId, holder: CardholderId
) -> None:
    other = make_holder(database, payer)
    with database.begin() as connection:
        assert key_of(connection, KEK, holder, MOMENT).key != key_of(connection, KEK, other, MOMENT).key


def test_a_proof_is_read_back(database: Database, proven: Posting) -> None:
    assert proven.proof is not None
    assert EVIDENCE not in proven.proof.ciphertext
    with database.reading() as connection:
        assert open_proof(connection, KEK, proven.payer_id, proven.transaction.id) == EVIDENCE


def test_another_kek_or_an_altered_proof_is_unreadable(
    database: Database, holder: CardholderId, proven: Posting
) -> None:
    with pytest.raises(ProofUnreadable), database.reading() as connection:
        open_proof(connection, KeyRing.of(bytes(32)), proven.payer_id, proven.transaction.id)
    assert proven.proof is not None
    changed = bytes([proven.proof.ciphertext[0] ^ 1]) + proven.proof.ciphertext[1:]
    for version, proof in (
        (3, replace(proven.proof, ciphertext=changed)),
        # Right in itself, but sealed for another transaction.
        (4, proven.proof),
    ):
        other = replace(sale(proven.payer_id, version, 1), proof=proof)
        post(database, [other])
        with pytest.raises(ProofUnreadable), database.reading() as connection:
            open_proof(connection, KEK, other.payer_id, other.transaction.id)


def test_what_has_no_proof_says_so(database: Database, payer: PayerId) -> None:
    with pytest.raises(ProofMissing), database.reading() as connection:
        open_proof(connection, KEK, payer, new_transaction_id())


def test_destroying_the_key_erases_the_proof_and_the_ledger_stays_whole(
    database: Database, holder: CardholderId, proven: Posting
) -> None:
    with database.begin() as connection:
        destroy_key(connection, holder, MOMENT)
    with pytest.raises(ProofErased), database.reading() as connection:
        open_proof(connection, KEK, proven.payer_id, proven.transaction.id)
    with pytest.raises(ProofErased), database.begin() as connection:
        key_of(connection, KEK, holder, MOMENT)
    report = verify(database, _opened)
    assert report.is_clean
    assert (report.proofs_checked, report.proofs_erased) == (1, 1)


def test_a_cardholder_erased_before_the_first_proof_gets_no_key(
    database: Database, holder: CardholderId
) -> None:
    with database.begin() as connection:
        destroy_key(connection, holder, MOMENT)
    with pytest.raises(ProofErased), database.begin() as connection:
        key_of(connection, KEK, holder, MOMENT)


def test_erasing_details_keeps_the_id_taken(database: Database, proven: Posting) -> None:
    with database.begin() as connection:
        assert erase_details(connection, proven.payer_id, [proven.transaction.id]) == 1
    known = known_of(database, proven.transaction.id, proven.payer_id)
    assert known is not None
    assert known.answer is None
    [result] = post(database, [proven])
    assert result.outcome is Outcome.KNOWN


def _opened(connection: Connection, payer_id: PayerId, transaction_id: TransactionId) -> str | None:
    return None if open_proof(connection, KEK, payer_id, transaction_id) == EVIDENCE else "altered"


def test_proofs_of_before_keys_had_names_are_still_read(empty_database_urls: DatabaseUrls) -> None:
    """The migration keeps what a key was wrapped with: its cardholder's identifier becomes its own."""
    migrate(empty_database_urls.owner, "0005")
    database = connect(empty_database_urls.owner)
    holder, payer_id, transaction_id = CardholderId(new_id()), PayerId(new_id()), new_transaction_id()
    key, nonce = bytes(range(32, 64)), bytes(12)
    wrapped = nonce + AESGCMSIV(KEK.key(1)).encrypt(
        nonce, key, b"citizen-card cardholder key\x00" + holder.bytes
    )
    sealed = AESGCMSIV(key).encrypt(nonce, EVIDENCE, b"citizen-card proof\x00" + transaction_id.bytes)
    with database.begin() as connection:
        named = table(
            *("cardholder", column("id", Uuid), column("name"), column("category")),
            column("created_at", UtcDateTime),
        )
        connection.execute(insert(named).values(id=holder, name="A", category="adult", created_at=MOMENT))
        connection.execute(insert(payer_table).values(id=payer_id, kind="person", created_at=MOMENT))
        connection.execute(insert(payer_state).values(payer_id=payer_id))
        before = (
            ("cardholder_key", {"cardholder_id": holder, "wrapped": wrapped, "created_at": MOMENT}),
            (
                "transaction_proof",
                {
                    "payer_id": payer_id,
                    "transaction_id": transaction_id,
                    "cardholder_id": holder,
                    "nonce": nonce,
                    "ciphertext": sealed,
                },
            ),
        )
        types = {"wrapped": LargeBinary, "nonce": LargeBinary, "ciphertext": LargeBinary}
        for name, values in before:
            columns = [column(each, types.get(each, Uuid)) for each in values if each != "created_at"]
            made = table(name, *columns, column("created_at", UtcDateTime))
            connection.execute(insert(made).values(**values))
    migrate(empty_database_urls.owner, kek=KEK)
    with database.begin() as connection:
        assert open_proof(connection, KEK, payer_id, transaction_id) == EVIDENCE
        assert key_of(connection, KEK, holder, MOMENT).key == key
    migrate(empty_database_urls.owner, "0005", KEK)
    migrate(empty_database_urls.owner, kek=KEK)
    other = make_holder(database, payer_id)
    with database.begin() as connection:
        assert open_proof(connection, KEK, payer_id, transaction_id) == EVIDENCE
        key_of(connection, KEK, other, MOMENT)
    # A key with a name of its own would be lost by going back.
    with pytest.raises(RuntimeError, match="would be lost"):
        migrate(empty_database_urls.owner, "0005", KEK)
    database.dispose()
