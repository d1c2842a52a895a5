"""The trail: whatever is changed behind the authority's back is found, and the entry named."""

# ruff: noqa: S608 - the names in the statements are those of our own columns

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pki.auditing import Audited, audit
from pki.authority import issue_detail
from pki.errors import AuditFailed, CertificateStands, TrailBroken
from pki.scheme import Scheme
from pki.store import IssuedCertificate
from pki.trail import TrailHead, checked, next_entry
from tests.pki.conftest import START, issue

DAY = timedelta(days=1)


@pytest.fixture
def busy(scheme: Scheme) -> Scheme:
    """An authority that has done everything that it can."""
    cards = scheme.authority("cards")
    first, second, third, _ = (
        issue(scheme, "card-authentication").certificate.serial_number for _ in range(4)
    )
    cards.revoke(first, START, "key_compromise")
    cards.suspend(second, START)
    cards.suspend(third, START)
    cards.make_crl(START)
    cards.release(second, START + DAY)
    cards.revoke(third, START + DAY, "superseded")
    cards.make_crl(START + DAY)
    return scheme


def audit_cards(scheme: Scheme, reached: TrailHead | None = None) -> Audited:
    issuers = {issuer: scheme.certificate_of(issuer) for issuer in scheme.issuers("cards")}
    return audit(scheme.records("cards"), "cards", issuers, reached)


@contextmanager
def tampering(scheme: Scheme) -> Iterator[sqlite3.Connection]:
    """What somebody with the file can do."""
    with closing(
        sqlite3.connect(scheme.directory / "certificates.sqlite", isolation_level=None)
    ) as connection:
        for trigger in ("trail_unchanged", "trail_undeleted"):
            connection.execute(f"DROP TRIGGER {trigger}")
        yield connection


def test_what_was_done_is_in_order(busy: Scheme) -> None:
    found = audit_cards(busy)
    # the scheme's first list; four issued; a revocation and two holds; a list; release, revocation, list
    assert (found.entries, found.certificates, found.revoked) == (12, 4, 2)
    assert found.head == busy.records("cards").trail_head("cards")
    for name in ("root", "service", "terminals"):
        issuers = {name: busy.certificates[name]}
        assert audit(busy.records(name), name, issuers).entries == (6 if name == "root" else 1)


def test_the_trail_names_no_card(busy: Scheme) -> None:
    for entry in busy.records("cards").trail("cards"):
        assert "0192f0a1" not in entry.detail
        assert entry.actor == "pki"


@pytest.mark.parametrize("column", ["at_ms", "actor", "operation", "detail", "sha256"])
@pytest.mark.parametrize("sequence", [1, 5, 12])
def test_one_changed_byte_is_found(busy: Scheme, column: str, sequence: int) -> None:
    with tampering(busy) as connection:
        (value,) = connection.execute(
            f"SELECT {column} FROM trail WHERE authority = 'cards' AND sequence = ?", [sequence]
        ).fetchone()
        changed: object
        if isinstance(value, int):
            changed = value ^ 1
        elif isinstance(value, bytes):
            changed = bytes([value[0] ^ 1]) + value[1:]
        else:
            changed = value[:-1] + chr(ord(value[-1]) ^ 1)
        connection.execute(
            f"UPDATE trail SET {column} = ? WHERE authority = 'cards' AND sequence = ?", [changed, sequence]
        )
    with pytest.raises(TrailBroken, match=f"entry {sequence}:") as caught:
        audit_cards(busy)
    assert caught.value.sequence == sequence


@pytest.mark.parametrize("sequence", [1, 5, 11])
def test_a_removed_entry_is_found(busy: Scheme, sequence: int) -> None:
    with tampering(busy) as connection:
        connection.execute("DELETE FROM trail WHERE authority = 'cards' AND sequence = ?", [sequence])
    with pytest.raises(TrailBroken, match=f"entry {sequence}: it is missing"):
        audit_cards(busy)


@pytest.mark.parametrize("sequence", [2, 5])
def test_a_removed_entry_is_found_though_the_others_moved_up(busy: Scheme, sequence: int) -> None:
    with tampering(busy) as connection:
        connection.execute("DELETE FROM trail WHERE authority = 'cards' AND sequence = ?", [sequence])
        for later in range(sequence + 1, 13):
            connection.execute(
                "UPDATE trail SET sequence = ? WHERE authority = 'cards' AND sequence = ?", [later - 1, later]
            )
    with pytest.raises(TrailBroken, match=f"entry {sequence}:"):
        audit_cards(busy)


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_truncated_tail_is_found(busy: Scheme, cut: int) -> None:
    with tampering(busy) as connection:
        connection.execute("DELETE FROM trail WHERE authority = 'cards' AND sequence > ?", [12 - cut])
    with pytest.raises(TrailBroken, match=f"entry {13 - cut}: it is missing"):
        audit_cards(busy)


class TestACarefulThief:
    """One who cuts the tail and makes the head fit."""

    def test_is_found_by_the_records(self, busy: Scheme) -> None:
        with tampering(busy) as connection:
            _cut_to(connection, busy, 10)
        with pytest.raises(AuditFailed):
            audit_cards(busy)

    def test_and_who_cuts_the_records_too_by_a_head_that_was_noted(self, busy: Scheme) -> None:
        later = issue(busy, "card-authentication").certificate
        noted = audit_cards(busy).head
        assert noted is not None
        assert audit_cards(busy, noted).entries == noted.sequence == 13
        with tampering(busy) as connection:
            _cut_to(connection, busy, 12)
            connection.execute("DELETE FROM certificate WHERE serial = ?", [f"{later.serial_number:x}"])
        assert audit_cards(busy).entries == 12
        with pytest.raises(TrailBroken, match="had reached 13"):
            audit_cards(busy, noted)
        issue(busy, "card-authentication")
        with pytest.raises(TrailBroken, match="entry 13: it is not the one that was noted"):
            audit_cards(busy, noted)


class TestRecordsThatSayOtherwise:
    """The trail is whole, and the records were changed."""

    @pytest.mark.parametrize(
        ("statement", "sentence"),
        [
            ("DELETE FROM certificate WHERE reason = 'superseded'", "is missing"),
            (
                "UPDATE certificate SET reason = NULL, revoked_at = NULL WHERE reason = 'superseded'",
                "good in the",
            ),
            ("UPDATE certificate SET reason = 'unspecified' WHERE reason = 'superseded'", "by the trail"),
            ("UPDATE certificate SET der = x'3000' WHERE reason = 'superseded'", "not that of entry"),
            (
                "UPDATE crl SET der = x'3000' WHERE authority = 'cards'",
                "revocation list 1 is not in the trail",
            ),
            ("UPDATE crl SET number = number + 100 WHERE authority = 'cards'", "is not in the trail"),
        ],
    )
    def test_are_found(self, busy: Scheme, statement: str, sentence: str) -> None:
        with tampering(busy) as connection:
            connection.execute(statement)
        with pytest.raises(AuditFailed, match=sentence):
            audit_cards(busy)

    def test_a_certificate_that_nobody_issued_is_found(self, busy: Scheme) -> None:
        store = busy.records("cards")
        store.record([replace(store.issued("cards")[0], serial=77)])
        with pytest.raises(AuditFailed, match="4d is not in the trail"):
            audit_cards(busy)

    def test_a_forger_of_both_has_no_key(self, busy: Scheme) -> None:
        """Whoever writes record and trail alike still cannot sign."""
        store, other = busy.records("cards"), issue(busy, "terminal").certificate
        forged = replace(store.issued("cards")[0], serial=77, der=other.public_bytes(Encoding.DER))
        store.record([forged])
        head = store.trail_head("cards")
        store.append_trail([next_entry(head, "cards", "issue", "pki", START, issue_detail(forged))])
        with pytest.raises(AuditFailed, match="4d is not cards's"):
            audit_cards(busy)


def test_an_entry_of_another_authority_does_not_fit() -> None:
    entry = next_entry(None, "cards", "issue", "pki", START, {"serial": "1"})
    assert checked([entry], "cards") == [entry]
    with pytest.raises(TrailBroken):
        checked([replace(entry, authority="terminals")], "terminals")
    with pytest.raises(TrailBroken):
        checked([entry], "terminals")


def _cut_to(connection: sqlite3.Connection, scheme: Scheme, sequence: int) -> None:
    kept = list(scheme.records("cards").trail("cards"))[sequence - 1]
    connection.execute("DELETE FROM trail WHERE authority = 'cards' AND sequence > ?", [sequence])
    connection.execute(
        "UPDATE trail_head SET sequence = ?, sha256 = ? WHERE authority = 'cards'", [sequence, kept.sha256]
    )


@pytest.fixture
def ended(scheme: Scheme) -> IssuedCertificate:
    """The one certificate of an identity, revoked."""
    cards = scheme.authority("cards")
    serial = issue(scheme, "card-authentication").certificate.serial_number
    cards.revoke(serial, START, "key_compromise")
    cards.make_crl(START)
    [found] = scheme.records("cards").issued("cards")
    return found


def test_what_was_erased_keeps_serial_and_status(scheme: Scheme, ended: IssuedCertificate) -> None:
    """An identity is forgotten; the trail says so, and still adds up."""
    cards, records = scheme.authority("cards"), scheme.records("cards")
    assert cards.erase(ended.identity, "erased:1", START + DAY) == 1
    [left] = records.find_by_identity("cards", "erased:1")
    assert (left.serial, left.reason, left.der) == (ended.serial, "key_compromise", b"")
    assert records.find_by_identity("cards", ended.identity) == []
    assert cards.make_crl(START + DAY).get_revoked_certificate_by_serial_number(ended.serial) is not None
    assert (audit_cards(scheme).certificates, audit_cards(scheme).revoked) == (1, 1)


def test_nothing_is_erased_that_stands(scheme: Scheme, ended: IssuedCertificate) -> None:
    """Of an identity all certificates are revoked for good first; a hold is not for good."""
    cards = scheme.authority("cards")
    serial = issue(scheme, "card-authentication").certificate.serial_number
    for _ in range(2):
        with pytest.raises(CertificateStands):
            cards.erase(ended.identity, "erased:1", START + DAY)
        cards.suspend(serial, START)


@pytest.mark.parametrize("blanked", [True, False])
def test_what_is_blank_was_erased_by_the_trail(
    scheme: Scheme, ended: IssuedCertificate, blanked: bool
) -> None:
    """A certificate that somebody takes out, or puts back, is found."""
    if not blanked:
        scheme.authority("cards").erase(ended.identity, "erased:1", START + DAY)
    with tampering(scheme) as connection:
        der = b"" if blanked else ended.der
        connection.execute("UPDATE certificate SET der = ? WHERE serial = ?", (der, f"{ended.serial:x}"))
    with pytest.raises(AuditFailed, match="erased by the trail"):
        audit_cards(scheme)
