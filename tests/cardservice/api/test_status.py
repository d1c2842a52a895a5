"""Status over the service's own tables, on both databases: shards, deltas, OCSP and the status list."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cardservice.context import Context
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.auditing import audit
from pki.crl import RevokedEntry
from pki.signers import STATUS_LIST_SIGNER
from pki.status_list import CardStatus, open_token
from pki.status_list.allocation import LIST_SIZE, place
from pki.status_list.token import signer_sha256
from tests.support.council import ORIGIN, Card, Council

CARDS = "cards"


def certificate(card: Card) -> x509.Certificate:
    return x509.load_der_x509_certificate(card.certificate)


def shard_of(card: Card) -> str:
    (point,) = certificate(card).extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    return str(point.full_name[0].value).removeprefix(ORIGIN)


def reasons(council: Council, path: str) -> dict[int, x509.ReasonFlags]:
    crl = x509.load_der_x509_crl(council.client.get(path).data)
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in crl
    }


def asked(council: Council, card: Card) -> ocsp.OCSPResponse:
    issuer = council.context.certificates[CARDS]
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate(card), issuer, hashes.SHA256()).build()
    answer = council.client.post(
        "/pki/ocsp", data=request.public_bytes(Encoding.DER), content_type="application/ocsp-request"
    )
    assert answer.status_code == 200
    return ocsp.load_der_ocsp_response(answer.data)


def listed(council: Council, card: Card) -> CardStatus:
    with council.context.database.reading() as connection:
        store = DatabaseCertificateStore(connection)
        (recorded,) = store.find_by_identity(CARDS, str(card.id))
        (signer,) = store.find_by_identity("service", STATUS_LIST_SIGNER)
    assert recorded.status_index is not None
    number, index = place(recorded.status_index)
    answer = council.client.get(f"/pki/status/{number}")
    signed_by = x509.load_der_x509_certificate(signer.der)
    assert signer_sha256(answer.data) == signed_by.fingerprint(hashes.SHA256())
    key = signed_by.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    token = open_token(answer.data, key, f"{ORIGIN}/pki/status/{number}", council.clock())
    return token.statuses.status(index)


def suspend(council: Council, card: Card) -> None:
    with council.context.database.begin() as connection:
        authority = council.context.authority(CARDS, connection)
        authority.suspend(certificate(card).serial_number, council.clock())


def release(council: Council, card: Card) -> None:
    with council.context.database.begin() as connection:
        council.context.authority(CARDS, connection).release(certificate(card).serial_number, council.clock())


def test_suspended_released_revoked(council: Council) -> None:
    """Everybody who may be asked says the same, at once."""
    card, other = council.card(), council.card()
    council.client.get("/pki/status/0")  # certifies who signs it
    serial = certificate(card).serial_number
    shard = shard_of(card)
    hold, lost = x509.ReasonFlags.certificate_hold, x509.ReasonFlags.key_compromise

    assert (reasons(council, shard), reasons(council, "/pki/cards/delta.crl")) == ({}, {})
    assert asked(council, card).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert listed(council, card) is CardStatus.VALID

    council.clock.advance(hours=1)
    suspend(council, card)
    assert (reasons(council, shard), reasons(council, "/pki/cards/delta.crl")) == (
        {serial: hold},
        {serial: hold},
    )
    assert asked(council, card).revocation_reason is hold
    assert listed(council, card) is CardStatus.SUSPENDED

    council.clock.advance(hours=1)
    release(council, card)
    removed = {serial: x509.ReasonFlags.remove_from_crl}
    assert (reasons(council, shard), reasons(council, "/pki/cards/delta.crl")) == ({}, removed)
    assert asked(council, card).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert listed(council, card) is CardStatus.VALID

    council.clock.advance(hours=1)
    council.revoke(card, "stolen")
    assert reasons(council, shard) == reasons(council, "/pki/cards.crl") == {serial: lost}
    assert asked(council, card).revocation_reason is lost
    assert listed(council, card) is CardStatus.INVALID
    assert listed(council, other) is CardStatus.VALID


def test_what_broke_off_is_told_nowhere(council: Council) -> None:
    """A revocation is one transaction with the card's state, the records and the trail."""
    card = council.card()
    council.client.get("/pki/status/0")

    def break_off() -> None:
        with council.context.database.begin() as connection:
            authority = council.context.authority(CARDS, connection)
            authority.revoke(certificate(card).serial_number, council.clock(), "key_compromise")
            raise OSError("the power is gone")

    with pytest.raises(OSError, match="power"):
        break_off()
    assert asked(council, card).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert listed(council, card) is CardStatus.VALID
    assert reasons(council, shard_of(card)) == {}
    with council.context.database.begin() as connection:
        audit(DatabaseCertificateStore(connection), CARDS, council.context.pki.issuer_certificates)


def test_openssl_by_the_shard_that_the_card_names(council: Council, tmp_path: Path) -> None:
    card = council.card()
    (tmp_path / "card.crt").write_bytes(certificate(card).public_bytes(Encoding.PEM))
    for name in ("root", CARDS):
        der = council.client.get(f"/pki/{name}.crt").data
        (tmp_path / f"{name}.crt").write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))

    def verified() -> str:
        for name, path in (("root.crl", "/pki/root.crl"), ("shard.crl", shard_of(card))):
            crl = x509.load_der_x509_crl(council.client.get(path).data)
            (tmp_path / name).write_bytes(crl.public_bytes(Encoding.PEM))
        done = subprocess.run(
            [
                *("openssl", "verify", "-x509_strict", "-crl_check_all"),
                *("-attime", str(int(council.clock().timestamp())), "-CRLfile", "root.crl"),
                *("-CRLfile", "shard.crl", "-CAfile", "root.crt", "-untrusted", "cards.crt", "card.crt"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout + done.stderr).strip()

    assert verified() == "card.crt: OK"
    council.clock.advance(minutes=1)
    suspend(council, card)
    assert "certificate revoked" in verified()
    council.clock.advance(minutes=1)
    release(council, card)
    assert verified() == "card.crt: OK"


def test_refusals_are_problem_documents(council: Council) -> None:
    """As everything else that the service refuses."""
    for path, headers, code, status in (
        ("/pki/status/0?time=1", {}, "not_implemented", 501),
        ("/pki/status/0", {"Accept": "application/statuslist+jwt"}, "not_acceptable", 406),
        ("/pki/status/9", {}, "not_found", 404),
        ("/pki/cards/99.crl", {}, "not_found", 404),
        ("/pki/ocsp/" + "A" * 1_025, {}, "address_too_long", 414),
    ):
        answer = council.client.get(path, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (status, code), path
    posted = council.client.post("/pki/ocsp", json={})
    assert (posted.status_code, posted.get_json()["code"]) == (415, "unsupported_media_type")


def test_the_store_says_what_lists_are_made_of(council: Council, context: Context) -> None:
    """By shard, and since when; places in the status list are drawn, given once and kept."""
    card, other = council.card(), council.card()
    serials = {certificate(each).serial_number: each for each in (card, other)}
    before = council.clock()
    council.clock.advance(hours=1)
    at = council.clock()
    suspend(council, card)
    with context.database.begin() as connection:
        store = DatabaseCertificateStore(connection)
        records = {serial: store.find(CARDS, serial) for serial in serials}
        indexes = [record.status_index for record in records.values() if record is not None]
        assert None not in indexes
        assert len(set(indexes)) == 2
        assert store.highest_status_index(CARDS) == max(index for index in indexes if index is not None)
        held = RevokedEntry(certificate(card).serial_number, at, "certificate_hold")
        mine = records[held.serial]
        assert mine is not None
        assert list(store.listed(CARDS, CARDS)) == [held]
        assert list(store.listed(CARDS, CARDS, shard=mine.shard)) == [held]
        assert list(store.listed(CARDS, CARDS, shard=99)) == []
        assert list(store.listed(CARDS, "cards-2")) == []
        assert list(store.listed(CARDS, CARDS, changed_since=at)) == [held]
        assert store.shards(CARDS, CARDS) == sorted(
            {record.shard for record in records.values() if record and record.shard is not None}
        )
        assert store.last_change(CARDS) == store.last_change(CARDS, CARDS, mine.shard) == at
        assert store.last_change(CARDS, CARDS, 99) is None
        assert list(store.ended_cards(CARDS, 0, LIST_SIZE)) == [(mine.status_index, "certificate_hold")]
        assert list(store.ended_cards(CARDS, LIST_SIZE, 2 * LIST_SIZE)) == []
        status = store.status(CARDS, held.serial)
        assert status is not None
        assert (status.issuer, status.revoked_at, status.reason) == (CARDS, at, "certificate_hold")
        assert store.status(CARDS, 1) is None
        assert store.status_index(CARDS, str(card.id)) == mine.status_index

        context.authority(CARDS, connection).release(held.serial, council.clock())
        assert list(store.listed(CARDS, CARDS)) == []
        released = RevokedEntry(held.serial, council.clock(), "remove_from_crl")
        assert list(store.listed(CARDS, CARDS, changed_since=before)) == [released]
