"""An authority's successor: both keys are good, the new one issues, and the old one's lists go on."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.auditing import audit
from pki.authority import Authority
from pki.errors import AuthorityHandedOver, CertificateRevoked, KeyNotFound, SchemeInvalid
from pki.scheme import ISSUING_VALIDITY, Scheme, open_scheme, roll_over
from pki.verification import Purpose, verify
from tests.pki.conftest import CARD, PASSPHRASE, START, issue

DAY = timedelta(days=1)
LATER = START + 8 * 365 * DAY


def holds(scheme: Scheme, certificate: x509.Certificate, moment: object = START) -> bool:
    return verify(certificate, Purpose.CARD_AUTHENTICATION, START, scheme.trust_store()).identity == CARD


def test_both_are_good_and_the_successor_issues(scheme: Scheme) -> None:
    old = issue(scheme, "card-authentication").certificate
    succeeded = roll_over(scheme, "cards", START)
    new = issue(succeeded, "card-authentication").certificate
    assert succeeded.issuers("cards") == ("cards", "cards-2")
    assert old.issuer.rfc4514_string() == "CN=Ashcombe Card Cards,O=Ashcombe Card"
    assert new.issuer.rfc4514_string() == "CN=Ashcombe Card Cards 2,O=Ashcombe Card"
    assert holds(succeeded, old)
    assert holds(succeeded, new)
    # The next one who opens it sees the same.
    assert open_scheme(scheme.directory, PASSPHRASE).authority("cards").issuer == "cards-2"


def test_each_revocation_is_in_the_list_of_whose_key_has_signed(scheme: Scheme) -> None:
    old = issue(scheme, "card-authentication").certificate
    succeeded = roll_over(scheme, "cards", START)
    new = issue(succeeded, "card-authentication").certificate
    authority = succeeded.authority("cards")
    for certificate in (old, new):
        authority.revoke(certificate.serial_number, START, "key_compromise")
    lists = authority.make_crls(START)
    assert {name: [entry.serial_number for entry in crl] for name, crl in lists.items()} == {
        "cards-2": [new.serial_number],
        "cards": [old.serial_number],
    }
    for name, crl in lists.items():
        succeeded.publish_crl(name, crl)
    for certificate in (old, new):
        with pytest.raises(CertificateRevoked):
            holds(succeeded, certificate)


def test_openssl_agrees(scheme: Scheme, tmp_path: Path) -> None:
    old = issue(scheme, "card-authentication").certificate
    succeeded = roll_over(scheme, "cards", START)
    new = issue(succeeded, "card-authentication").certificate
    public = succeeded.public_dir
    for certificate in (old, new):
        leaf = tmp_path / "leaf.crt"
        leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
        command = [
            *("openssl", "verify", "-x509_strict", "-crl_check_all", "-attime", str(int(START.timestamp()))),
            *(f"-CRLfile={public / name}" for name in ("root.crl", "cards.crl", "cards-2.crl")),
            *("-CAfile", str(public / "root.crt")),
            *(f"-untrusted={public / name}" for name in ("cards.crt", "cards-2.crt")),
            str(leaf),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_former_keys_lists_end_with_its_certificate(scheme: Scheme) -> None:
    succeeded = roll_over(scheme, "cards", LATER)
    authority = succeeded.authority("cards")
    assert set(authority.make_crls(LATER)) == {"cards", "cards-2"}
    assert set(authority.make_crls(START + ISSUING_VALIDITY + DAY)) == {"cards-2"}


def test_a_former_key_that_is_lost_is_named(scheme: Scheme) -> None:
    succeeded = roll_over(scheme, "cards", START)
    (scheme.directory / "authorities" / "cards.key").unlink()
    authority = open_scheme(succeeded.directory, PASSPHRASE).authority("cards")
    authority.make_crl(START)
    with pytest.raises(KeyNotFound, match="'cards'"):
        authority.make_crls(START)


def test_numbers_places_and_trail_go_on(scheme: Scheme) -> None:
    issue(scheme, "card-authentication")
    numbers = {crl.number for crl in scheme.records("cards").crls("cards")}
    succeeded = roll_over(roll_over(scheme, "cards", START), "cards", START)
    issue(succeeded, "card-authentication")
    store = succeeded.records("cards")
    kept = list(store.crls("cards"))
    assert len({crl.number for crl in kept}) == len(kept) > len(numbers)
    assert {issued.status_index for issued in store.issued("cards")} == {0}
    issuers = {issuer: succeeded.certificate_of(issuer) for issuer in succeeded.issuers("cards")}
    assert list(issuers) == ["cards", "cards-2", "cards-3"]
    assert audit(store, "cards", issuers).certificates == 2
    successions = [entry for entry in store.trail("cards") if entry.operation == "succeed"]
    assert [entry.facts["issuer"] for entry in successions] == ["cards-2", "cards-3"]


@pytest.mark.parametrize("step", ["note_succession", "make_crls", "publish_crl"])
def test_what_broke_off_is_taken_up(scheme: Scheme, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Scheme if step == "publish_crl" else Authority, step, full)
    with pytest.raises(OSError, match="No space"):
        roll_over(scheme, "cards", START)
    monkeypatch.undo()
    # Until it is done the former key is the present one.
    unchanged = open_scheme(scheme.directory, PASSPHRASE)
    assert unchanged.issuers("cards") == ("cards",)
    issue(unchanged, "card-authentication")
    made = (scheme.public_dir / "cards-2.crt").read_bytes()
    succeeded = roll_over(unchanged, "cards", START)
    assert (scheme.public_dir / "cards-2.crt").read_bytes() == made
    assert holds(succeeded, issue(succeeded, "card-authentication").certificate)


def test_one_whose_records_another_program_keeps(scheme: Scheme) -> None:
    scheme.hand_over(["cards"], to="cardservice")
    succeeded = roll_over(scheme, "cards", START)
    with pytest.raises(AuthorityHandedOver):
        succeeded.authority("cards")
    assert succeeded.authority("cards", store=scheme.records("cards")).issuer == "cards-2"


@pytest.mark.parametrize("name", ["root", "parking"])
def test_others_have_no_successor(scheme: Scheme, name: str) -> None:
    with pytest.raises(SchemeInvalid, match="cards, service, terminals"):
        roll_over(scheme, name, START)
