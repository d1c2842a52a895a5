"""A card from the post to its end: the ledger, the lists and the status list say what has become of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import insert

from cardservice.cards import activation, life, personalisation
from cardservice.cards import service as cards
from cardservice.cards.activation import ALPHABET, ATTEMPTS, activate, dispatch
from cardservice.cards.errors import ActivationRefused, CardInUse
from cardservice.cards.personalisation import Delivery
from cardservice.cards.states import REPORTS, CardState
from cardservice.errors import OrderInvalid, StateChangeRefused
from cardservice.ids import CardholderId, CardId
from cardservice.ledger.models import account
from cardservice.ledger.payers import payer_at
from cardservice.ledger.values import payer_account
from cardservice.pki_store.desk import open_desk
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.status_list.allocation import LIST_SIZE
from pki.status_list.codec import CardStatus
from tests.support.council import ACTOR, FARE_MINOR, Card, Council, Terminal, csr, message, request_for


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-1")


def made(council: Council, order: personalisation.Order, like: Card) -> Card:
    """The card of an order, as a desk makes it; held in the hand like another one of the same holder."""
    key, now = ec.generate_private_key(ec.SECP256R1()), council.clock()
    with council.context.database.begin() as connection:
        authority = council.context.authority(cards.AUTHORITY, connection)
        request = csr(key, "card").public_bytes(Encoding.DER)
        der = personalisation.certify(connection, authority, order.id, request, actor=ACTOR, moment=now)
        personalisation.report(connection, authority, order.id, done=True, actor=ACTOR, moment=now)
    return replace(like, id=order.card_id, key=key, certificate=der)


def replacement(council: Council, old: Card, delivery: Delivery = Delivery.DESK) -> Card:
    """The card that takes another's place, made."""
    with council.context.database.begin() as connection:
        order = personalisation.order_replacement(
            connection, old.id, delivery=delivery, actor=ACTOR, moment=council.clock()
        )
    return made(council, order, old)


def step(
    council: Council, change: Callable[..., None], card: CardId, *more: Any, reason: str = "test"
) -> None:
    """One step of a card's life."""
    with council.context.database.begin() as connection:
        authority = council.context.authority(cards.AUTHORITY, connection)
        change(connection, authority, card, *more, reason=reason, actor=ACTOR, moment=council.clock())


def state(council: Council, card: CardId) -> CardState:
    """What the card is."""
    with council.context.database.reading() as connection:
        return cards.require_card(connection, card).state


def ride(bus: Terminal, card: Card) -> str:
    """The reason that a trip was approved or declined with."""
    return bus.post("/v1/authorisations", message(request_for(bus, card), card)).outcome[1]


def listed(council: Council, card: Card) -> str | None:
    """The reason by which the newest complete list names the card's certificate; None where it does not."""
    with council.context.database.reading() as connection:
        latest = DatabaseCertificateStore(connection).latest_crl(cards.AUTHORITY)
    assert latest is not None
    serial = x509.load_der_x509_certificate(card.certificate).serial_number
    entry = x509.load_der_x509_crl(latest.der).get_revoked_certificate_by_serial_number(serial)
    if entry is None:
        return None
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "unspecified"


def status(council: Council, card: Card) -> CardStatus:
    """What the status list says, made anew where something has changed."""
    with council.context.database.reading() as connection:
        issued = cards.card_certificate(DatabaseCertificateStore(connection), card.id)
    assert issued is not None
    assert issued.status_index is not None
    number, place = divmod(issued.status_index, LIST_SIZE)
    found = open_desk(council.context).status_list(number)
    assert found is not None
    return found.token.statuses.status(place)


def test_by_post(council: Council, bus: Terminal) -> None:
    """Made, it cannot be used; sent, neither; with the letter's code it can."""
    card = council.card(top_up_minor=1000)
    new = replacement(council, card, Delivery.POST)
    assert state(council, new.id) is CardState.PERSONALISED
    assert ride(bus, new) == "card_not_active"
    code = dispatch(council.context, new.id, actor=ACTOR)
    assert state(council, new.id) is CardState.DISPATCHED
    assert (ride(bus, new), ride(bus, card)) == ("card_not_active", "approved")
    activate(council.context, new.id, f" {code.lower()} ", actor=ACTOR)
    assert (ride(bus, new), ride(bus, card)) == ("approved", "card_revoked")
    assert council.balances(card.payer) == (1000 - 2 * FARE_MINOR, 0)


def test_the_code_of_a_letter(council: Council) -> None:
    """Wrong ones are counted; a new code makes the former one void; too late, it activates nothing."""
    new = replacement(council, council.card(), Delivery.POST)
    former, code = (dispatch(council.context, new.id, actor=ACTOR) for _ in range(2))
    assert all(each in {*ALPHABET, "-"} for each in former + code)
    for attempt, wrong in enumerate((former, "", "é" * 8, "\ud800", "0000-0000"), start=1):
        with pytest.raises(ActivationRefused) as refused:
            activate(council.context, new.id, wrong, actor=ACTOR)
        assert refused.value.attempts_left == ATTEMPTS - attempt
    with pytest.raises(ActivationRefused, match="used up"):
        activate(council.context, new.id, code, actor=ACTOR)
    code = dispatch(council.context, new.id, actor=ACTOR)
    council.clock.advance(days=activation.VALIDITY.days)
    with pytest.raises(ActivationRefused, match="too old"):
        activate(council.context, new.id, code, actor=ACTOR)
    assert state(council, new.id) is CardState.DISPATCHED
    code = dispatch(council.context, new.id, actor=ACTOR)
    activate(council.context, new.id, code, actor=ACTOR)
    with pytest.raises(StateChangeRefused):
        activate(council.context, new.id, code, actor=ACTOR)
    with pytest.raises(StateChangeRefused):
        dispatch(council.context, new.id, actor=ACTOR)


def test_a_card_rests(council: Council, bus: Terminal) -> None:
    """Refused, on hold in the list and suspended in the status list until it is released."""
    card = council.card(top_up_minor=1000)
    step(council, life.suspend, card.id)
    assert ride(bus, card) == "card_suspended"
    assert (listed(council, card), status(council, card)) == ("certificateHold", CardStatus.SUSPENDED)
    with pytest.raises(StateChangeRefused):
        step(council, life.suspend, card.id)
    council.clock.advance(hours=1)
    step(council, life.release, card.id)
    assert ride(bus, card) == "approved"
    assert (listed(council, card), status(council, card)) == (None, CardStatus.VALID)
    with pytest.raises(StateChangeRefused):
        step(council, life.release, card.id)


@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("what", REPORTS)
def test_a_card_is_reported(council: Council, bus: Terminal, what: CardState, rests: bool) -> None:
    """Whether it was suspended before or not: its history says why, and everything that it is no more."""
    card = council.card(top_up_minor=1000)
    if rests:
        step(council, life.suspend, card.id)
        council.clock.advance(hours=1)
    step(council, life.report, card.id, what, reason="told by telephone")
    assert ride(bus, card) == "card_revoked"
    assert listed(council, card) not in {None, "certificateHold"}
    assert status(council, card) is CardStatus.INVALID
    with council.context.database.reading() as connection:
        history = cards.require_card(connection, card.id).states
    assert [(each.state, each.reason) for each in history[-2:]] == [
        (what, "told by telephone"),
        (CardState.REVOKED, what.value),
    ]
    with pytest.raises(StateChangeRefused):
        step(council, life.report, card.id, what)


@pytest.mark.parametrize("reason", ["", "x" * 201, "two\nlines"])
def test_a_reason_is_one_line(council: Council, reason: str) -> None:
    """It is shown to people."""
    card = council.card()
    with pytest.raises(OrderInvalid, match="say why"):
        step(council, life.report, card.id, CardState.LOST, reason=reason)
    assert state(council, card.id) is CardState.ACTIVE


def test_a_replacement_has_what_the_lost_card_had(council: Council, bus: Terminal) -> None:
    """Money and points are the holder's; the lost card pays nothing from the report on."""
    lost, points = council.card(top_up_minor=1000), payer_account("points")
    with council.context.database.begin() as connection:
        # No service gives points yet: an account as one of them would make it.
        own = {"payer_id": lost.payer, "kind": "points", "unit": "points", "floor": 0, "balance": 25}
        connection.execute(insert(account).values(own))
    assert ride(bus, lost) == "approved"
    step(council, life.report, lost.id, CardState.LOST)
    new = replacement(council, lost)
    with council.context.database.reading() as connection:
        holder = cards.require_card(connection, new.id).cardholder_id
        payer = payer_at(connection, holder, council.clock())
    assert payer is not None
    kept = council.view(payer).account(points)
    assert (holder, kept and kept.balance) == (lost.holder, 25)
    assert (ride(bus, new), ride(bus, lost)) == ("approved", "card_revoked")
    assert council.balances(lost.payer) == (1000 - 2 * FARE_MINOR, 0)
    with council.context.database.reading() as connection:
        assert life.replaced_by(connection, new.id) == lost.id


def test_a_second_card_is_a_replacement(council: Council) -> None:
    """Ordered as another one it is refused; ordered before the first was in use, it never comes into it."""
    holder = council.card().holder
    with pytest.raises(CardInUse):
        order(council, holder, "visitor")
    first, second = order(council, holder, "citizen"), order(council, holder, "citizen")
    step(council, life.put_into_use, first.card_id)
    with pytest.raises(CardInUse):
        step(council, life.put_into_use, second.card_id)


def order(council: Council, holder: CardholderId, kind: str) -> personalisation.Order:
    """An order at the desk."""
    with council.context.database.begin() as connection:
        return personalisation.order_card(connection, holder, kind, actor=ACTOR, moment=council.clock())


def test_a_card_whose_day_is_over(council: Council, bus: Terminal) -> None:
    """The nightly run says so, once; its holder can have another one, which replaces it."""
    card = council.card(top_up_minor=1000)
    with council.context.database.reading() as connection:
        last = cards.require_card(connection, card.id).expires_on
        assert life.expired(connection, last, 10) == []
        assert life.expired(connection, last + timedelta(days=1), 10) == [card.id]
        assert life.count_expired(connection, last + timedelta(days=1)) == 1
    with council.context.database.begin() as connection:
        life.expire(connection, card.id, actor=ACTOR, moment=council.clock())
        assert life.expired(connection, last + timedelta(days=1), 10) == []
    assert ride(bus, card) == "card_expired"
    assert ride(bus, replacement(council, card)) == "approved"
