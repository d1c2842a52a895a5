"""Losses told from afar: who knows what the holder knows has the card revoked, others have it suspended."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cardholders import details
from cardservice.cardholders.details import Address, Noting
from cardservice.cards import service as cards
from cardservice.cards.errors import LossRefused
from cardservice.cards.losses import ATTEMPTS, Question, Told, tell_lost
from cardservice.cards.models import loss_report
from cardservice.cards.states import CardState
from cardservice.errors import OrderInvalid
from tests.support.council import ACTOR, Card, Council

BORN, POSTCODE, NUMBER = Question.BORN_ON, Question.POSTCODE, Question.NUMBER


def known(council: Council) -> Card:
    """A card of somebody whose record says more than a name."""
    made = council.card()
    noting = Noting(council.kek, made.holder, ACTOR, council.clock(), council.zone)
    with council.context.database.begin() as connection:
        details.set_born_on(connection, noting, council.clock().date().replace(year=1987))
        details.set_address(connection, noting, Address(postcode="AB1 2CD"))
    return made


def tell(council: Council, card: Card, answers: dict[Question, str], channel: str = "phone") -> Told:
    """Somebody tells it."""
    return tell_lost(council.context, card.id, channel, answers, actor="staff:desk")


def state(council: Council, card: Card) -> CardState:
    """What the card is."""
    with council.context.database.reading() as connection:
        return cards.require_card(connection, card.id).state


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_who_is_verified(council: Council) -> None:
    """Two right answers and no wrong one, however they are written."""
    born = council.clock().date().replace(year=1987).isoformat()
    cases: list[tuple[dict[Question, str], bool]] = [
        ({BORN: born, POSTCODE: "ab12cd"}, True),
        ({BORN: born, POSTCODE: "AB1 2CD", NUMBER: "right"}, True),
        ({POSTCODE: "AB1 2CD", NUMBER: "right"}, True),
        ({BORN: born}, False),
        ({}, False),
        ({BORN: born, POSTCODE: "AB1 2CE"}, False),
        ({BORN: born, POSTCODE: "AB1 2CD", NUMBER: "0000"}, False),
        ({BORN: "", POSTCODE: ""}, False),
        ({BORN: "\ud800", POSTCODE: "x" * 10_000}, False),
    ]
    for answers, verified in cases:
        card = known(council)
        number = card.id.hex[:20][-4:]
        said = {each: number if text == "right" else text for each, text in answers.items()}
        told = tell(council, card, said)
        expected = CardState.REVOKED if verified else CardState.SUSPENDED
        assert (told.verified, told.state, state(council, card)) == (verified, expected, expected), answers


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_of_whom_nothing_is_known(council: Council) -> None:
    """No empty answer is right because the record is empty; the number alone is not enough."""
    card = council.card()
    number = card.id.hex[:20][-4:]
    for answers in ({BORN: "", POSTCODE: ""}, {NUMBER: number, POSTCODE: ""}, {NUMBER: number}):
        assert not tell(council, card, answers).verified


def test_attempts_are_limited_and_noted(council: Council) -> None:
    """After five nothing is compared until tomorrow, also where all try at once; no answer is kept."""
    card = known(council)

    def guess(number: int) -> bool:
        with suppress(LossRefused):
            return not tell(council, card, {BORN: f"19{70 + number}-01-01", POSTCODE: "AB1 2CD"}).verified
        return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(guess, range(ATTEMPTS + 3))) == ATTEMPTS
    born = council.clock().date().replace(year=1987).isoformat()
    right = {BORN: born, POSTCODE: "AB1 2CD"}
    with pytest.raises(LossRefused):
        tell(council, card, right)
    assert state(council, card) is CardState.SUSPENDED
    with council.context.database.reading() as connection:
        assert len(connection.execute(select(loss_report)).all()) == ATTEMPTS
        rows = connection.execute(select(audit.c.action, audit.c.detail)).all()
    actions = [row.action for row in rows]
    assert actions.count("cardholder.verify") == ATTEMPTS
    assert actions.count("card.loss_refused") == 4
    assert "AB1" not in str(rows)
    council.clock.advance(hours=24, minutes=1)
    assert tell(council, card, right).state is CardState.REVOKED


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_told_again_and_otherwise(council: Council) -> None:
    """A card at its end stays so; there is no other way to tell it."""
    card = known(council)
    council.revoke(card)
    assert tell(council, card, {}, "kiosk").state is CardState.REVOKED
    with pytest.raises(OrderInvalid):
        tell(council, card, {}, "letter")


def test_told_at_a_kiosk_and_on_the_web(council: Council) -> None:
    """All three right: their cards are revoked. Anything else: nothing is, and the answer is the same."""
    card, born = known(council), council.clock().date().replace(year=1987).isoformat()
    kiosk, portal = council.terminal("kiosk-1", "kiosk"), council.terminal("portal", "portal")
    right = {"name": "morgan  REED", "born_on": born, "postcode": "ab12cd"}
    for wrong in (
        {"name": "Morgan"},
        {"name": "Morgan Read"},
        {"name": "..."},
        {"born_on": "1987-06-16"},
        {"born_on": "15 June 1987"},
        {"postcode": "AB1 2CE"},
        {"postcode": "AB1"},
    ):
        answer = kiosk.post("/v1/told-losses", {**right, **wrong})
        assert (answer.status, answer.json) == (200, {"taken": True}), wrong
        assert state(council, card) is CardState.ACTIVE, wrong
    # Two whom all of it describes are not told apart.
    twin = known(council)
    assert portal.post("/v1/told-losses", right).json == {"taken": True}
    assert (state(council, card), state(council, twin)) == (CardState.ACTIVE, CardState.ACTIVE)
    with council.context.database.begin() as connection:
        noting = Noting(council.kek, twin.holder, ACTOR, council.clock(), council.context.zone)
        details.set_address(connection, noting, Address(postcode="AB1 2CE"))
    for teller, told, channel in ((kiosk, card, "kiosk"), (portal, twin, "web")):
        said = right if told is card else {**right, "postcode": "AB1 2CE"}
        answers = [teller.post("/v1/told-losses", said) for _ in range(2)]
        assert [(each.status, each.json) for each in answers] == [(200, {"taken": True})] * 2
        assert state(council, told) is CardState.REVOKED
        with council.context.database.reading() as connection:
            [noted] = connection.execute(select(loss_report).where(loss_report.c.card_id == told.id)).all()
        assert (noted.channel, noted.verified, noted.told_to) == (channel, True, f"terminal:{teller.id}")
    bus = council.terminal("bus-1")
    assert bus.post("/v1/told-losses", right).outcome == (403, "role_not_allowed")
