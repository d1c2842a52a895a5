"""Payments at capture, and taken back: to their source, up to their amount, once by their reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardservice.context import Context
from cardservice.errors import IdConflict, OrderInvalid, RefundRefused
from cardservice.ids import PayerId, TransactionId, new_id
from cardservice.ledger.values import PAYER_ARREARS, AccountView, PayerView
from cardservice.ledger.verify import verify
from cardservice.payments.money import pay_in
from cardservice.payments.moving import CarryOver, Goodwill, carry_over, give_goodwill
from cardservice.payments.references import Reference
from cardservice.payments.service import TopUp, top_up
from cardservice.payments.taking_back import TakeBack, take_payment_back
from tests.cardservice.ledger.postings import CASH
from tests.support.council import Card, Council, advice_of, message


@pytest.fixture
def card(council: Council) -> Card:
    """A card of somebody who pays for themself."""
    return council.card()


def owe(council: Council, card: Card, amount_minor: int) -> None:
    """An advice that nobody could pay."""
    bus = council.terminal(f"bus-{new_id()}", offline_limit_minor=None)
    bus.post("/v1/authorisations", message(advice_of(bus, card, amount_minor=amount_minor), card))


def paid(context: Context, card: Card, amount_minor: int, reference: str | None = None) -> TransactionId:
    """A payment by card."""
    named = None if reference is None else Reference("pay", reference)
    payment = TopUp(card.holder, amount_minor, "card", reference=named)
    top_up(context, payment, actor="test")
    return payment.id


def test_a_payment_is_paid_in_once_by_its_reference(context: Context, council: Council, card: Card) -> None:
    for _ in range(2):
        paid(context, card, 1000, "p-1")
    assert council.balances(card.payer) == (1000, 0)
    with pytest.raises(IdConflict):
        paid(context, card, 999, "p-1")
    with pytest.raises(IdConflict):
        paid(context, council.card(), 1000, "p-1")
    assert verify(context.database).transactions == 1


@given(amount_minor=st.integers(1, 10_000), owed_minor=st.integers(0, 10_000), percent=st.integers(1, 100))
def test_arrears_are_settled_first_and_of_a_childs_money_in_part(
    amount_minor: int, owed_minor: int, percent: int
) -> None:
    accounts = (
        AccountView("arrears", "", "", "GBP", -owed_minor, None),
        AccountView("prepaid", "", "", "GBP", 0, 0),
    )
    transfers = pay_in(PayerView(PayerId(new_id()), 1, accounts), CASH, amount_minor, "GBP", percent)
    assert sum(transfer.amount_minor for transfer in transfers) == amount_minor
    settled = sum(transfer.amount_minor for transfer in transfers if transfer.credit == PAYER_ARREARS)
    assert settled == min(owed_minor, -(-amount_minor * percent // 100))


@pytest.mark.parametrize(("category", "balances"), [("adult", (0, -40)), ("pupil", (100, -140))])
def test_a_child_keeps_half_to_eat_from(
    context: Context, council: Council, category: str, balances: tuple[int, int]
) -> None:
    card = council.card(category)
    owe(council, card, 240)
    paid(context, card, 200)
    assert council.balances(card.payer) == balances


def test_repaid_to_its_source_and_no_further(context: Context, council: Council, card: Card) -> None:
    """Up to its amount, and of what there is to spend: a cut of one payment takes nothing of another."""
    first = paid(context, card, 500)
    paid(context, card, 1000)
    take_payment_back(context, TakeBack(first, 200), actor="test")
    with pytest.raises(RefundRefused) as refused:
        take_payment_back(context, TakeBack(first, 301), actor="test")
    assert refused.value.left_minor == 300
    owe(council, card, 1200)
    with pytest.raises(RefundRefused, match="to spend") as refused:
        take_payment_back(context, TakeBack(first, 101), actor="test")
    assert refused.value.left_minor == 100
    last = TakeBack(first, 100, reference=Reference("pay", "r-1"))
    again = TakeBack(first, 100, reference=Reference("pay", "r-1"))
    for wanted in (last, last, again):
        assert take_payment_back(context, wanted, actor="test") == last.id
    with pytest.raises(IdConflict):
        take_payment_back(context, TakeBack(first, 99, id=last.id), actor="test")
    assert council.balances(card.payer) == (0, 0)
    with pytest.raises(RefundRefused, match="no payment"):
        take_payment_back(context, TakeBack(last.id, 1), actor="test")
    with pytest.raises(OrderInvalid):
        TakeBack(first, 0)
    assert verify(context.database).is_clean


def test_a_chargeback_takes_what_is_there_and_the_rest_is_owed(
    context: Context, council: Council, card: Card
) -> None:
    """Also of what had settled arrears; after part of it was repaid, only the rest."""
    owe(council, card, 300)
    payment = paid(context, card, 1000)
    take_payment_back(context, TakeBack(payment, 100), actor="test")
    owe(council, card, 450)
    assert council.balances(card.payer) == (150, 0)
    with pytest.raises(RefundRefused):
        take_payment_back(context, TakeBack(payment, 901, "chargeback"), actor="test")
    told = TakeBack(payment, 900, "chargeback", reference=Reference("pay", "d-1"))
    for _ in range(2):
        take_payment_back(context, told, actor="test")
    assert council.balances(card.payer) == (0, -750)
    # The next payment settles it first.
    paid(context, card, 1000)
    assert council.balances(card.payer) == (250, 0)
    assert verify(context.database).is_clean


def test_carried_over_through_transit(context: Context, council: Council, card: Card) -> None:
    """A debt stays where it is, what arrives settles the other's; the same id again moves nothing."""
    other = council.card()
    paid(context, card, 1000)
    owe(council, other, 240)
    moved = CarryOver(card.payer, other.payer, 500)
    for _ in range(2):
        assert carry_over(context, moved, actor="test") == 500
    assert (council.balances(card.payer), council.balances(other.payer)) == ((500, 0), (260, 0))
    assert moved.arrival.version == 7
    with pytest.raises(IdConflict):
        carry_over(context, CarryOver(card.payer, other.payer, 400, moved.id), actor="test")
    with pytest.raises(RefundRefused) as refused:
        carry_over(context, CarryOver(card.payer, other.payer, 501), actor="test")
    assert refused.value.left_minor == 500
    assert carry_over(context, CarryOver(card.payer, other.payer), actor="test") == 500
    with pytest.raises(RefundRefused):
        carry_over(context, CarryOver(card.payer, other.payer), actor="test")
    with pytest.raises(OrderInvalid):
        CarryOver(card.payer, card.payer)
    assert verify(context.database).is_clean


def test_goodwill_is_given_once(context: Context, council: Council, card: Card) -> None:
    gift = Goodwill(card.payer, 150)
    for _ in range(2):
        give_goodwill(context, gift, actor="test")
    assert council.balances(card.payer) == (150, 0)
    with pytest.raises(IdConflict):
        give_goodwill(context, Goodwill(card.payer, 151, gift.id), actor="test")
