"""The life of a card: what leads where, and revocation as one transaction with the certificate's."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from cardservice.cards import service as cards
from cardservice.cards.states import CRL_REASONS, LEADS_TO, CardState
from cardservice.errors import CardUnknown, OrderInvalid, StateChangeRefused
from cardservice.ids import CardId
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.authority import REASONS, Authority
from tests.support.council import Council, new_id


def test_every_state_has_its_successors() -> None:
    """A state without an entry would be a KeyError at a desk."""
    assert set(LEADS_TO) == set(CardState)
    assert LEADS_TO[CardState.REVOKED] == frozenset()
    assert all(CardState.REVOKED in LEADS_TO[state] for state in set(CardState) - {CardState.REVOKED})


def test_reasons_are_those_of_the_lists() -> None:
    """Each of ours is one that a revocation list can carry."""
    assert set(CRL_REASONS.values()) <= set(REASONS)


def test_revocation_is_one_transaction(council: Council, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the list cannot be made, neither the card's state nor the certificate has changed."""
    card = council.card()
    version = council.view(card.payer).version
    with monkeypatch.context() as patch:
        patch.setattr(Authority, "make_crl", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            council.revoke(card)
    with council.context.database.reading() as connection:
        assert cards.require_card(connection, card.id).state is CardState.ACTIVE
        [issued] = DatabaseCertificateStore(connection).find_by_identity("cards", str(card.id))
    assert issued.revoked_at is None
    assert council.view(card.payer).version == version
    council.revoke(card)
    with council.context.database.reading() as connection:
        assert cards.require_card(connection, card.id).state is CardState.REVOKED
        [issued] = DatabaseCertificateStore(connection).find_by_identity("cards", str(card.id))
    assert issued.revoked_at == council.clock()
    assert council.view(card.payer).version == version + 1


def test_a_state_is_in_force_from_its_moment_on(council: Council) -> None:
    """History is kept: a tap is judged by the state of its time."""
    card = council.card()
    began = council.clock()
    council.clock.advance(hours=1)
    council.revoke(card)
    with council.context.database.reading() as connection:
        known = cards.require_card(connection, card.id)
    assert known.state_at(began) is CardState.ACTIVE
    assert known.state_at(council.clock() - timedelta(milliseconds=1)) is CardState.ACTIVE
    assert known.state_at(council.clock()) is CardState.REVOKED
    assert known.state_at(began - timedelta(days=1)) is CardState.STOCK


def test_refused_changes(council: Council) -> None:
    """A revoked card stays revoked; an unknown one and an unknown reason are said so."""
    card = council.card()
    council.revoke(card)
    with pytest.raises(StateChangeRefused) as refused:
        council.revoke(card)
    assert (refused.value.state, refused.value.wanted) == ("revoked", "revoked")
    with pytest.raises(CardUnknown):
        council.revoke(replace(card, id=CardId(new_id())))
    with pytest.raises(OrderInvalid):
        council.revoke(card, reason="bored")


def test_two_revocations_at_once(council: Council) -> None:
    """Each is on the list that follows: the lists of an authority are made one after the other."""
    revoked = [council.card() for _ in range(6)]
    with ThreadPoolExecutor(len(revoked)) as pool:
        list(pool.map(council.revoke, revoked))
    with council.context.database.reading() as connection:
        latest = DatabaseCertificateStore(connection).latest_crl(cards.AUTHORITY)
    assert latest is not None
    listed = {entry.serial_number for entry in x509.load_der_x509_crl(latest.der)}
    assert {x509.load_der_x509_certificate(card.certificate).serial_number for card in revoked} == listed
