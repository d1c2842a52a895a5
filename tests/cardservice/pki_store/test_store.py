"""pki's records in the service's database: the same promises as in pki's own file, on both databases."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from cardservice.api.app import create_app
from cardservice.authorisation.export import fault_of_proof
from cardservice.authorisation.proofs import CardProofs
from cardservice.context import Context
from cardservice.ledger.verify import verify as verify_ledger
from cardservice.pki_store.publication import OURS
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.auditing import Audited, audit
from pki.errors import CertificateRevoked, NotHeld, TrailBroken
from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import open_scheme, roll_over
from pki.trail import TrailHead
from pki.verification import Purpose, TrustStore, verify
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import (
    Card,
    Council,
    StandingClock,
    csr,
    from_base64url,
    message,
    new_id,
    request_for,
)
from tests.support.council import council as new_council

DAY = timedelta(days=1)


def audit_all(
    context: Context, reached: TrailHead | None = None, names: tuple[str, ...] = OURS
) -> list[Audited]:
    found = []
    for name in names:
        issuers = {issuer: context.certificates[issuer] for issuer in context.pki.issuers(name)}
        with context.database.begin() as connection:
            found.append(audit(DatabaseCertificateStore(connection), name, issuers, reached))
    return found


def issue_card(context: Context, identity: str) -> x509.Certificate:
    request = csr(ec.generate_private_key(ec.SECP256R1()), "card")
    with context.database.begin() as connection:
        authority = context.authority("cards", connection)
        return authority.issue(request, CARD_AUTHENTICATION, identity, context.now())


def test_the_trail_goes_on_where_pki_left_it(council: Council) -> None:
    """What the scheme's own records held was taken over with its trail."""
    card = council.card()
    council.revoke(card)
    cards, terminals, service = audit_all(council.context)
    assert (cards.certificates, cards.revoked) == (1, 1)
    # Those of the answers and of what is written to cards, issued before the records were taken over.
    assert service.certificates == 2
    assert cards.head is not None
    assert terminals.entries >= 1
    with council.context.database.reading() as connection:
        operations = [entry.operation for entry in DatabaseCertificateStore(connection).trail("cards")]
    # The list that was made with the scheme; the card; its end, with a list.
    assert operations == ["crl", "issue", "revoke", "crl"]


def test_what_is_changed_behind_its_back_is_found(council: Council) -> None:
    council.card()
    owner = council.context.database
    if owner.dialect == "postgresql":
        with pytest.raises(Exception, match="permission denied"), owner.begin() as connection:
            connection.execute(text("UPDATE pki_trail SET actor = 'x'"))
        return
    with pytest.raises(Exception, match="only ever added to"), owner.begin() as connection:
        connection.execute(text("UPDATE pki_trail SET actor = 'x'"))
    with owner.begin() as connection:
        connection.execute(text("DROP TRIGGER pki_trail_no_update"))
        connection.execute(
            text("UPDATE pki_trail SET actor = 'x' WHERE authority = 'cards' AND sequence = 2")
        )
    with pytest.raises(TrailBroken, match="entry 2:"):
        audit_all(council.context)


def test_suspension_and_release(council: Council) -> None:
    context, moment = council.context, council.clock()
    certificate = issue_card(context, str(new_id()))
    with context.database.begin() as connection:
        cards = context.authority("cards", connection)
        cards.suspend(certificate.serial_number, moment)
        assert len(cards.make_crl(moment)) == 1
        cards.release(certificate.serial_number, moment + DAY)
        assert len(cards.make_crl(moment + DAY)) == 0
        with pytest.raises(NotHeld):
            cards.release(certificate.serial_number, moment + DAY)
        cards.suspend(certificate.serial_number, moment + DAY)
        cards.revoke(certificate.serial_number, moment + 2 * DAY, "superseded")
        found = DatabaseCertificateStore(connection).find("cards", certificate.serial_number)
    assert found is not None
    assert (found.revoked_at, found.reason) == (moment + DAY, "superseded")
    assert found.status_changed_at == moment + 2 * DAY
    audit_all(context)


def test_a_cards_place_in_the_status_list_is_kept(council: Council) -> None:
    context, identities = council.context, [str(new_id()) for _ in range(3)]
    for identity in (*identities, *identities):
        issue_card(context, identity)
    with context.database.reading() as connection:
        store = DatabaseCertificateStore(connection)
        places = [[each.status_index for each in store.find_by_identity("cards", one)] for one in identities]
    assert all(len(set(of_one)) == 1 for of_one in places)
    assert len({of_one[0] for of_one in places}) == 3


def test_nothing_is_kept_of_what_was_rolled_back(council: Council) -> None:
    context = council.context

    def break_off() -> None:
        with context.database.begin() as connection:
            request = csr(ec.generate_private_key(ec.SECP256R1()), "card")
            authority = context.authority("cards", connection)
            authority.issue(request, CARD_AUTHENTICATION, str(new_id()), context.now())
            raise OSError("no space")

    before = audit_all(context)
    with pytest.raises(OSError, match="no space"):
        break_off()
    assert audit_all(context) == before


def test_a_service_goes_on_under_an_authoritys_successor(
    context: Context, clock: StandingClock, scheme_directory: Path
) -> None:
    """Cards of both keys pay, lists of both are published, and proofs of both verify."""
    pki = open_scheme(scheme_directory, PASSPHRASE)
    pki.hand_over(OURS, to="cardservice")
    old_council = new_council(replace(context, pki=pki), clock)
    old = old_council.card(top_up_minor=2_000)
    succeeded = roll_over(pki, "cards", clock())
    after = replace(
        old_council.context,
        pki=succeeded,
        certificates=succeeded.issuer_certificates,
        proofs=CardProofs(succeeded.trust_store(), context.database),
    )
    council = Council(after, create_app(after).test_client(), clock)
    new = council.card(top_up_minor=2_000)
    terminal = council.terminal("bus-12")
    for card in (old, new):
        reply = terminal.post("/v1/authorisations", message(request_for(terminal, card), card))
        assert reply.outcome == (200, "approved")
    report = verify_ledger(
        after.database,
        lambda connection, payer, transaction: fault_of_proof(after, connection, payer, transaction),
    )
    assert (report.proofs_checked, report.findings) == (2, ())

    council.revoke(old)
    trust = _published(council)
    holds = verify(_certificate(new), Purpose.CARD_AUTHENTICATION, clock(), trust)
    assert holds.chain[0].subject.rfc4514_string() == "CN=Ashcombe Card Cards 2,O=Ashcombe Card"
    with pytest.raises(CertificateRevoked):
        verify(_certificate(old), Purpose.CARD_AUTHENTICATION, clock(), trust)
    assert audit_all(after)[0].certificates == 2


def _published(council: Council) -> TrustStore:
    answer = council.client.get("/pki/trust").get_json()
    root, *others = (x509.load_der_x509_certificate(from_base64url(der)) for der in answer["certificates"])
    crls = tuple(x509.load_der_x509_crl(from_base64url(der)) for der in answer["crls"])
    return TrustStore((root,), tuple(others), crls)


def _certificate(card: Card) -> x509.Certificate:
    return x509.load_der_x509_certificate(card.certificate)
