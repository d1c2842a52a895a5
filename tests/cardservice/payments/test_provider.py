"""Payments through a provider that misbehaves: each is posted once, and the daily equation holds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from cardservice import payments
from cardservice.context import Context
from cardservice.errors import OrderInvalid, RefundRefused
from cardservice.ids import TransactionId, new_id
from cardservice.ledger.verify import verify
from cardservice.payments.attempts import Attempt, Start, attempt_of, cancel, refresh, start
from cardservice.payments.disputes import look_for_disputes
from cardservice.payments.giving_back import Given, give_back, go_on
from cardservice.payments.govuk_pay import GovUkPay
from cardservice.payments.matters import KINDS, close_matter, matters
from cardservice.payments.models import payment_attempt
from cardservice.payments.polling import notified, poll
from cardservice.payments.provider import ProviderAway, ProviderRefused, follows
from cardservice.payments.settlement import load_settlement, match_again
from cardservice.payments.taking_back import TakeBack
from kiosk.pay_stand_in import Fault, Pay
from tests.cardservice.payments.pay import RETURN_URL, answering, difference, served, trickling
from tests.support.council import Card, Council, advice_of, message

HEADER = "type,reference,settled_on,gross,fee,currency\n"


@pytest.fixture
def card(context: Context, council: Council) -> Iterator[Card]:
    """A card of somebody who pays for themself; after the course the ledger is verified as a whole."""
    yield council.card()
    assert verify(context.database).is_clean


def begun(context: Context, provider: GovUkPay, card: Card, amount_minor: int = 1000) -> Attempt:
    """A payment that the provider knows."""
    wanted = Start(card.holder, amount_minor, TransactionId(new_id()), RETURN_URL)
    attempt, next_url = start(context, provider, wanted, actor="test")
    assert next_url
    return attempt


def name_of(attempt: Attempt) -> str:
    """The provider's name for it."""
    assert attempt.provider_payment is not None
    return attempt.provider_payment


def captured(context: Context, pay: Pay, provider: GovUkPay, card: Card, amount_minor: int = 1000) -> Attempt:
    """A payment that was made, and posted."""
    attempt = begun(context, provider, card, amount_minor)
    pay.move(name_of(attempt), "success")
    return refresh(context, provider, attempt.id)


def given(context: Context, provider: GovUkPay, attempt: Attempt, amount_minor: int) -> Given:
    """Some of it given back."""
    return give_back(context, provider, TakeBack(attempt.id, amount_minor), actor="test")


def open_kinds(context: Context) -> list[str]:
    """What needs a person, by kind."""
    with context.database.reading() as connection:
        return [matter.kind for matter in matters(connection)]


def settled(context: Context, *lines: str) -> dict[str, int]:
    """A settlement file of these lines: how many are in which state."""
    content = (HEADER + "".join(f"{line}\n" for line in lines)).encode()
    return load_settlement(context, "govuk-pay", "day.csv", content, actor="test").states


def is_right(context: Context) -> bool:
    """Whether the equation holds; that the ledger adds up is looked at after the course, by `card`."""
    return difference(context) == 0


def test_notified_twice_late_in_any_order_or_not_at_all(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """The provider is asked each time; what it says is posted once."""
    attempt = begun(context, provider, card)
    for status in ("started", "submitted", "capturable", "success"):
        pay.move(name_of(attempt), status)
        for _ in range(2):
            notified(context, provider.name, "payment", name_of(attempt))
            assert poll(context, provider).payments == 1
        assert is_right(context)
    assert council.balances(card.payer) == (1000, 0)
    silent = begun(context, provider, card)
    pay.move(name_of(silent), "success")
    # Nobody says so.
    council.clock.advance(minutes=2)
    assert poll(context, provider).payments == 1
    assert council.balances(card.payer) == (2000, 0)
    notified(context, provider.name, "payment", "of-somebody-else")
    assert poll(context, provider).payments == 0
    assert is_right(context)
    assert open_kinds(context) == []


@pytest.mark.parametrize("fault", ["away", "lost_answer"])
def test_away_while_it_begins(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card, fault: Fault
) -> None:
    """Whether or not it has made the payment, the same id leads to one."""
    wanted = Start(card.holder, 700, TransactionId(new_id()), RETURN_URL)
    pay.fault(*([fault] * 3))
    with pytest.raises(ProviderAway):
        start(context, provider, wanted, actor="test")
    assert len(pay.payments) == (fault == "lost_answer")
    if fault == "lost_answer":
        # Nobody asks again: the worker finds it by its reference.
        council.clock.advance(minutes=2)
        assert poll(context, provider).failed == 0
    attempt, _ = start(context, provider, wanted, actor="test")
    assert len(pay.payments) == 1
    pay.move(name_of(attempt), "success")
    refresh(context, provider, attempt.id)
    assert council.balances(card.payer) == (700, 0)
    with pytest.raises(OrderInvalid):
        start(context, provider, Start(card.holder, 701, wanted.id, RETURN_URL), actor="test")
    assert is_right(context)


def test_so_slow_that_nobody_waits(context: Context, council: Council, pay: Pay, card: Card) -> None:
    """It has made the payment after all, which is found; what was to go back goes back, once."""
    wanted = Start(card.holder, 700, TransactionId(new_id()), RETURN_URL)
    with served(pay, answer_s=0.2) as impatient:
        pay.fault("slow", "slow", "slow")
        with pytest.raises(ProviderAway):
            start(context, impatient, wanted, actor="test")
        pay.clear()
    with served(pay) as provider:
        attempt, _ = start(context, provider, wanted, actor="test")
        assert len(pay.payments) == 1
        pay.move(name_of(attempt), "success")
        refresh(context, provider, attempt.id)
    with served(pay, answer_s=0.2) as impatient:
        pay.fault("slow", "slow", "slow")
        with pytest.raises(ProviderAway):
            given(context, impatient, attempt, 200)
    with served(pay) as provider:
        council.clock.advance(minutes=20)
        assert poll(context, provider).failed == 0
    assert (council.balances(card.payer), len(pay.payments)) == ((500, 0), 1)
    assert is_right(context)
    assert open_kinds(context) == []


def test_what_the_provider_never_knew_is_forgotten(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    wanted = Start(card.holder, 700, TransactionId(new_id()), RETURN_URL)
    pay.fault("away", "away", "away")
    with pytest.raises(ProviderAway):
        start(context, provider, wanted, actor="test")
    pay.fault("away", "away", "away")
    council.clock.advance(minutes=2)
    assert poll(context, provider).away
    council.clock.advance(hours=2)
    poll(context, provider)
    with context.database.reading() as connection:
        assert attempt_of(connection, wanted.id).state == "failed"
    assert is_right(context)


def test_a_second_payment_of_one_attempt_is_given_up_or_shown(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """The provider makes two of one, and its answers are lost."""
    wanted = Start(card.holder, 700, TransactionId(new_id()), RETURN_URL)
    pay.fault("twice", "lost_answer", "away")
    with pytest.raises(ProviderAway):
        start(context, provider, wanted, actor="test")
    assert len(pay.payments) == 2
    first, second = pay.payments
    for payment in (first, second):
        pay.move(payment, "success")
    council.clock.advance(minutes=2)
    poll(context, provider)
    assert council.balances(card.payer) == (700, 0)
    assert open_kinds(context) == ["payment_twice"]
    assert is_right(context)


def test_captured_after_it_was_cancelled(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """The money is there: it is posted, and somebody should know."""
    attempt = begun(context, provider, card)
    assert cancel(context, provider, attempt.id, actor="test").state == "cancelled"
    pay.move(name_of(attempt), "success")
    council.clock.advance(hours=13)
    poll(context, provider)
    assert council.balances(card.payer) == (1000, 0)
    assert open_kinds(context) == ["captured_late"]
    assert is_right(context)
    # Captured meanwhile: it is not cancelled any more.
    assert cancel(context, provider, attempt.id, actor="test").state == "success"
    with context.database.begin() as connection:
        close_matter(connection, matters(connection)[0].number, "told her", context.now(), actor="test")
        with pytest.raises(OrderInvalid):
            close_matter(connection, 10**6, "no such", context.now(), actor="test")
    assert open_kinds(context) == []


def test_refunds_in_part_again_and_without_an_answer(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    attempt = captured(context, pay, provider, card)
    wanted = TakeBack(attempt.id, 300)
    for _ in range(2):
        assert give_back(context, provider, wanted, actor="test").state == "success"
    # It is done, and nobody hears of it: payment, list, refund.
    lost = TakeBack(attempt.id, 300)
    pay.fault("away", "away", "away")
    with pytest.raises(ProviderAway):
        give_back(context, provider, lost, actor="test")
    with pytest.raises(RefundRefused) as refused:
        given(context, provider, attempt, 1)
    assert refused.value.reason == "refund_pending"
    assert is_right(context)
    payment = pay.payments[name_of(attempt)]
    pay.refund(payment, 300)
    assert go_on(context, provider, lost.id).state == "success"
    assert [refund.amount for refund in payment.refunds] == [300, 300]
    with pytest.raises(RefundRefused):
        given(context, provider, attempt, 401)
    given(context, provider, attempt, 400)
    assert (council.balances(card.payer), payment.available) == ((0, 0), 0)
    assert is_right(context)


def test_a_refund_that_nobody_here_asked_for(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """Somebody has given it back at the provider: it is shown, and nothing is posted by itself."""
    attempt = captured(context, pay, provider, card)
    given(context, provider, attempt, 300)
    notified(context, provider.name, "refund", name_of(attempt))
    poll(context, provider)
    assert open_kinds(context) == []
    theirs = pay.refund(pay.payments[name_of(attempt)], 200)
    for _ in range(2):
        notified(context, provider.name, "refund", name_of(attempt))
        poll(context, provider)
    assert open_kinds(context) == ["refund_unknown"]
    assert council.balances(card.payer) == (700, 0)
    assert settled(context, f"refund,{theirs.id},2026-06-18,-2.00,0.00,GBP") == {"unknown": 1}
    assert is_right(context)


def test_a_refund_that_stays_unknown_is_shown(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """It is out of what can be spent meanwhile, and goes on by itself."""
    attempt = captured(context, pay, provider, card)
    pay.fault("away", "away", "away")
    with pytest.raises(ProviderAway):
        given(context, provider, attempt, 400)
    for _ in range(2):
        pay.fault("away", "away", "away")
        council.clock.advance(hours=1)
        assert poll(context, provider).away
        assert (council.balances(card.payer), is_right(context)) == ((600, 0), True)
    assert open_kinds(context) == ["refund_pending"]
    council.clock.advance(hours=1)
    poll(context, provider)
    assert [refund.amount for refund in pay.payments[name_of(attempt)].refunds] == [400]
    assert is_right(context)


def test_a_refund_that_fails_is_paid_in_again(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    attempt = captured(context, pay, provider, card)
    pay.refund_status = "submitted"
    begun_refund = given(context, provider, attempt, 400)
    assert (begun_refund.state, council.balances(card.payer)) == ("submitted", (600, 0))
    assert is_right(context)
    pay.payments[name_of(attempt)].refunds[0].status = "error"
    notified(context, provider.name, "refund", name_of(attempt))
    assert poll(context, provider).refunds == 1
    for _ in range(2):
        assert go_on(context, provider, begun_refund.id).state == "error"
    assert council.balances(card.payer) == (1000, 0)
    assert open_kinds(context) == ["refund_failed"]
    assert is_right(context)


def test_charged_back_what_was_spent_and_what_had_been_given_back(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """What was spent is owed; what had gone back to the payer before is the scheme's loss, and shown."""
    attempt = captured(context, pay, provider, card)
    given(context, provider, attempt, 300)
    bus = council.terminal(f"bus-{new_id()}", offline_limit_minor=None)
    bus.post("/v1/authorisations", message(advice_of(bus, card, amount_minor=500), card))
    dispute = pay.dispute(name_of(attempt))
    assert look_for_disputes(context, provider) == 1
    assert open_kinds(context) == ["dispute_open"]
    assert is_right(context)
    pay.disputes[0].status = "lost"
    for _ in range(2):
        notified(context, provider.name, "dispute", name_of(attempt))
        look_for_disputes(context, provider)
        assert council.balances(card.payer) == (0, -500)
        assert is_right(context)
    assert open_kinds(context) == ["dispute_open", "charged_back", "charged_back_beyond"]
    line = f"dispute,{dispute},2026-06-20,-10.00,15.00,GBP"
    assert settled(context, line) == {"matched": 1}
    assert is_right(context)


def test_disputes_that_are_not_ours_or_end_otherwise(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """Of one that is won after it was lost nothing is posted by itself; one that is won takes nothing."""
    attempt = captured(context, pay, provider, card)
    stranger = pay.create({"amount": 100, "reference": "r", "description": "d", "return_url": "u"}, None)
    pay.move(stranger.id, "success")
    pay.dispute(stranger.id)
    pay.dispute(name_of(attempt), "lost", 400)
    pay.dispute(name_of(attempt), "under_review", 600)
    look_for_disputes(context, provider)
    assert council.balances(card.payer) == (600, 0)
    for dispute in pay.disputes:
        dispute.status = "won"
    notified(context, provider.name, "dispute", name_of(attempt))
    look_for_disputes(context, provider)
    assert council.balances(card.payer) == (600, 0)
    assert open_kinds(context) == ["dispute_unknown", "charged_back", "dispute_open", "dispute_changed"]
    assert is_right(context)


def test_a_settlement_with_fees_and_a_line_that_does_not_match(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    attempt = captured(context, pay, provider, card)
    later = begun(context, provider, card, 500)
    refund = given(context, provider, attempt, 200)
    lines = (
        f"payment,{attempt.provider_payment},2026-06-18,10.00,0.25,GBP",
        f"payment,{later.provider_payment},2026-06-18,5.00,0.25,GBP",
        f"refund,{refund.provider_refund},2026-06-18,-2.01,0.00,GBP",
        "payment,nobodys,2026-06-18,1.00,0.00,GBP",
    )
    for _ in range(2):
        assert settled(context, *lines) == {"matched": 1, "unknown": 2, "differs": 1}
    assert open_kinds(context) == ["settlement_unknown", "settlement_differs", "settlement_unknown"]
    assert is_right(context)
    # Its money was there before we knew.
    pay.move(name_of(later), "success")
    refresh(context, provider, later.id)
    assert is_right(context)
    assert match_again(context) == 1
    assert open_kinds(context) == ["settlement_differs", "settlement_unknown"]
    again = f"payment,{attempt.provider_payment},2026-06-19,10.00,0.25,GBP"
    assert settled(context, again) == {"repeated": 1}
    assert settled(context, f"refund,{refund.provider_refund},2026-06-19,-2.00,0.00,GBP") == {"matched": 1}
    assert is_right(context)
    for amount in ("-1.00", "--1.00"):
        with pytest.raises(OrderInvalid, match="line 2"):
            settled(context, f"payment,x,2026-06-18,{amount},0.00,GBP")
    for reference in ("", "a\0b", "a\u2028b", "x" * 256):
        with pytest.raises(OrderInvalid, match="line 2"):
            settled(context, f"payment,{reference},2026-06-18,1.00,0.00,GBP")


def test_another_amount_than_was_asked_for_is_not_posted(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    attempt = begun(context, provider, card)
    pay.payments[name_of(attempt)].asked["amount"] = 999
    pay.move(name_of(attempt), "success")
    assert refresh(context, provider, attempt.id).state == "created"
    assert council.balances(card.payer) == (0, 0)
    assert open_kinds(context) == ["amount_differs"]
    with pytest.raises(ProviderRefused):
        provider.payment("no-such")


def test_the_tables_keep_what_was_captured(
    context: Context, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    attempt = captured(context, pay, provider, card)
    for values in ({"state": "failed", "posted_as": None}, {"provider_payment": "another"}):
        with pytest.raises(DBAPIError), context.database.begin() as connection:
            connection.execute(update(payment_attempt).values(values))
    assert attempt.state == "success"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"",
    ],
    ids=["broken off", "broken off in a chunk", "not packed", "not JSON", "no object", "nothing"],
)
def test_an_answer_that_is_none_is_no_answer(answer: bytes) -> None:
    """The worker goes on, and asks again."""
    with answering(answer) as client, pytest.raises(ProviderAway):
        client.payment("one")


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "success"},
        {"state": {"status": ["success"]}},
        {"_links": ["next"]},
        {"_links": {"next_url": "https://pay.example"}},
        {"_links": {"next_url": {"href": 1}}},
        {"refund_summary": "none"},
        {"refund_summary": {"amount_available": "12"}},
        {"amount": True},
        {"payment_id": None},
    ],
    ids=str,
)
def test_an_answer_of_another_shape_is_none(changed: dict[str, object]) -> None:
    """It ends neither the round nor the worker."""
    good = {"payment_id": "p", "reference": "r", "amount": 1, "state": {"status": "success"}}
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with answering(head + json.dumps(good).encode()) as client:
        assert client.payment("one").state == "success"
    with answering(head + json.dumps(good | changed).encode()) as client, pytest.raises(ProviderAway):
        client.payment("one")


def test_an_answer_that_does_not_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and all of them would keep the worker for as long as they come."""
    monkeypatch.setattr("cardservice.payments.govuk_pay.ANSWER_S", 0.1)
    with trickling() as (client, server), pytest.raises(ProviderAway):
        client.payment("one")
    assert max(server.sent) < server.MOST


def test_an_old_answer_is_no_news() -> None:
    """Captured stays captured, given up becomes captured alone, and nothing goes backwards."""
    assert follows("wanted", "created")
    assert follows("submitted", "failed")
    assert not follows("submitted", "started")
    assert not follows("cancelled", "created")
    assert follows("cancelled", "success")
    assert not follows("success", "failed")


def test_each_kind_of_matter_is_one_that_can_be() -> None:
    """What the list explains is what the code puts on it."""
    sources = [path for path in Path(payments.__file__).parent.glob("*.py") if path.name != "matters.py"]
    written = "".join(path.read_text(encoding="utf-8") for path in sources)
    # Those of settlements are named after the states of lines.
    names = {kind for kind in KINDS if not kind.startswith("settlement_")}
    assert {name for name in names if f'"{name}"' not in written} == set()
