"""Closing an account: what is open is told or blocks it, cards are stopped, and what is left goes back."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from cardservice.accounts import closing, dormancy
from cardservice.accounts.closing import ASKED, BANK, CASH, DECEASED, DORMANT, NOTICE, SOURCE, Standing
from cardservice.accounts.dormancy import DORMANT_AFTER
from cardservice.accounts.errors import ClosingRefused
from cardservice.authorisation.export import fault_of_proof
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cards import service as cards
from cardservice.cards.states import CardState
from cardservice.errors import OrderInvalid
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.payers import assign_payer, payer_at
from cardservice.ledger.verify import verify
from cardservice.payments.models import payout
from cardservice.payments.redeeming import approve
from cardservice.upkeep import calendar_of
from tests.support.council import ACTOR, Card, Council, advice_of, message


def standing(council: Council, card: Card) -> Standing:
    """How the account stands."""
    with council.context.database.reading() as connection:
        return closing.standing(connection, card.holder, council.clock())


def give_back(council: Council, card: Card, way: str) -> int:
    """How much was given or asked for."""
    return closing.give_back(council.context, None, card.holder, way, actor=ACTOR)


def state(council: Council, card: Card) -> CardState:
    """What the card is."""
    with council.context.database.reading() as connection:
        return cards.require_card(connection, card.id).state


def books_are_right(council: Council) -> None:
    """As `ledger verify` says."""
    sequence(council.context.database, calendar_of(council.context))

    def check(connection: Any, payer: Any, transaction: Any) -> Any:
        return fault_of_proof(council.context, connection, payer, transaction)

    assert verify(council.context.database, check, whole=True).findings == ()


def test_in_cash_at_the_desk(council: Council) -> None:
    """First the cards, then the money, once; then nothing is left, and nothing stands against erasing."""
    card = council.card(top_up_minor=1250)
    with pytest.raises(ClosingRefused):
        give_back(council, card, CASH)
    found = closing.stop(council.context, card.holder, ASKED, actor=ACTOR)
    assert (found.to_give_back_minor, found.is_stopped, found.is_ended, found.cards) == (
        1250,
        True,
        False,
        (),
    )
    assert state(council, card) is CardState.REVOKED
    assert [give_back(council, card, CASH) for _ in range(2)] == [1250, 0]
    assert council.balances(card.payer) == (0, 0)
    assert standing(council, card).is_ended
    closing.stop(council.context, card.holder, ASKED, actor=ACTOR)
    assert closing.finish(council.context, card.holder, actor=ACTOR)
    books_are_right(council)
    erase_cardholder(council.context, card.holder, actor=ACTOR)


def test_the_estate_of_who_has_died(council: Council) -> None:
    """Cards are stopped at once, the record says so, and a bank transfer waits for a second person, once."""
    card = council.card(top_up_minor=800)
    closing.stop(council.context, card.holder, DECEASED, actor=ACTOR)
    with council.context.database.reading() as connection:
        flags = read_fields(connection, council.kek, card.holder, [Field.FLAGS])[Field.FLAGS]
    assert "deceased" in flags
    for way in (CASH, SOURCE):
        with pytest.raises(ClosingRefused, match="estate"):
            give_back(council, card, way)
    assert [give_back(council, card, BANK) for _ in range(2)] == [800, 0]
    assert not standing(council, card).is_ended
    with council.context.database.reading() as connection:
        [asked] = connection.execute(select(payout)).all()
    approve(council.context, asked.id, actor="staff:other")
    assert give_back(council, card, BANK) == 0
    assert standing(council, card).is_ended
    books_are_right(council)


def test_what_stands_against_it(council: Council) -> None:
    """A debt is settled first; a family's money stays the family's, and that is told."""
    card = council.card(top_up_minor=500)
    council.clock.advance(seconds=1)
    council.family(card, top_up_minor=700)
    told = standing(council, card)
    # A family of one is a payer of their own.
    assert (told.to_give_back_minor, [each.code for each in told.open]) == (1200, [])
    other = council.card()
    council.clock.advance(seconds=1)
    with council.context.database.begin() as connection:
        family = payer_at(connection, card.holder, council.clock())
        assert family is not None
        assign_payer(connection, other.holder, family, council.clock(), council.clock())
    told = standing(council, card)
    assert [(each.code, each.blocks) for each in told.open] == [("others_pay", False)]
    closing.stop(council.context, card.holder, ASKED, actor=ACTOR)
    assert give_back(council, card, CASH) == 500
    assert council.balances(family) == (700, 0)
    assert standing(council, card).is_ended


def test_a_debt_blocks_it(council: Council) -> None:
    """Unless the person has died: then it is only not closed before it is settled."""
    card, bus = council.card(), council.terminal("bus-1")
    advised = bus.post("/v1/authorisations", message(advice_of(bus, card), card))
    assert advised.status == 200
    assert council.balances(card.payer)[1] < 0
    assert [(each.code, each.blocks) for each in standing(council, card).open] == [("arrears_open", True)]
    with pytest.raises(ClosingRefused, match="arrears"):
        closing.stop(council.context, card.holder, ASKED, actor=ACTOR)
    assert state(council, card) is CardState.ACTIVE
    closing.stop(council.context, card.holder, DECEASED, actor=ACTOR)
    assert state(council, card) is CardState.REVOKED
    assert not closing.finish(council.context, card.holder, actor=ACTOR)


def dormant(council: Council) -> set[object]:
    """Who is dormant now."""
    with council.context.database.reading() as connection:
        return set(dormancy.dormant(connection, council.clock(), UUID(int=0), 100))


def tell(council: Council, card: Card) -> None:
    """They are written to."""
    with council.context.database.begin() as connection:
        dormancy.tell(connection, card.holder, actor=ACTOR, moment=council.clock())


def test_who_has_not_been_seen(council: Council) -> None:
    """Found after two years, told, and closed 90 days later; whoever has used their card is not, nor then."""
    gone, back = council.card(top_up_minor=300), council.card(top_up_minor=1000)
    with pytest.raises(ClosingRefused, match="within"):
        tell(council, gone)
    council.clock.advance(days=DORMANT_AFTER.days - 1)
    assert dormant(council) == set()
    council.clock.advance(days=2)
    assert dormant(council) == {gone.holder, back.holder}
    for each in (gone, back):
        tell(council, each)
    assert dormant(council) == set()
    with pytest.raises(ClosingRefused, match="already"):
        tell(council, gone)
    council.clock.advance(days=NOTICE.days - 1)
    council.top_up(back, 100)
    with pytest.raises(ClosingRefused, match="90 days"):
        closing.stop(council.context, gone.holder, DORMANT, actor=ACTOR)
    council.clock.advance(days=1)
    closing.stop(council.context, gone.holder, DORMANT, actor=ACTOR)
    assert give_back(council, gone, BANK) == 300
    with pytest.raises(ClosingRefused, match="seen"):
        closing.stop(council.context, back.holder, DORMANT, actor=ACTOR)
    assert state(council, back) is CardState.ACTIVE
    assert timedelta(days=90) == NOTICE


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_bad_input(council: Council) -> None:
    """Said so in words."""
    card = council.card()
    with pytest.raises(OrderInvalid):
        closing.stop(council.context, card.holder, "bored", actor=ACTOR)
    closing.stop(council.context, card.holder, ASKED, actor=ACTOR)
    with pytest.raises(OrderInvalid):
        give_back(council, card, "gold")
