"""What needs a person is done as docs/payments.md says: the list gets shorter, and the equation holds."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from cardservice.context import Context
from cardservice.errors import IdConflict, OrderInvalid, RefundRefused
from cardservice.ids import TransactionId, new_id
from cardservice.ledger.verify import verify
from cardservice.payments.attempts import Attempt
from cardservice.payments.comparing import adopt, compare
from cardservice.payments.disputes import look_for_disputes
from cardservice.payments.giving_back import give_back
from cardservice.payments.govuk_pay import GovUkPay
from cardservice.payments.matters import KINDS, close_matter, matters
from cardservice.payments.noting import Noted, note_taken_back
from cardservice.payments.polling import notified, poll
from cardservice.payments.provider import ProviderAway
from cardservice.payments.redeeming import approve, redeem, waiting_minor
from cardservice.payments.references import Reference
from cardservice.payments.service import TopUp, top_up
from cardservice.payments.taking_back import TakeBack
from kiosk.pay_stand_in import Pay
from tests.cardservice.payments.pay import difference
from tests.cardservice.payments.test_provider import begun, captured, given, name_of, open_kinds, settled
from tests.support.council import Card, Council


@pytest.fixture
def card(context: Context, council: Council) -> Iterator[Card]:
    """A card of somebody who pays for themself; after the course all of it adds up."""
    yield council.card()
    assert difference(context) == 0
    assert verify(context.database).is_clean


def noted(
    context: Context, attempt: Attempt, amount_minor: int, kind: str, name: str, own_id: object = None
) -> Noted:
    """What somebody enters by hand."""
    own = TransactionId(new_id()) if own_id is None else own_id
    reference = Reference("govuk-pay", name)
    return note_taken_back(
        context,
        TakeBack(attempt.id, amount_minor, kind, own, reference),  # type: ignore[arg-type]  # of two words
        actor="test",
    )


def test_a_refund_made_at_the_provider_is_noted_by_its_name(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """Once, whoever enters it how often; its settled line matches, and the next one is listed, too."""
    attempt = captured(context, pay, provider, card)
    for amount_minor in (200, 300):
        theirs = pay.refund(pay.payments[name_of(attempt)], amount_minor)
        notified(context, provider.name, "refund", name_of(attempt))
        poll(context, provider)
        assert open_kinds(context) == ["refund_unknown"]
        first = noted(context, attempt, amount_minor, "repayment", theirs.id)
        assert noted(context, attempt, amount_minor, "repayment", theirs.id) == first
        assert settled(context, f"refund,{theirs.id},2026-06-18,-{amount_minor // 100}.00,0.00,GBP") == {
            "matched": 1
        }
        with context.database.begin() as connection:
            close_matter(connection, matters(connection)[0].number, "noted", context.now(), actor="test")
        assert difference(context) == 0
    with pytest.raises(IdConflict):
        noted(context, attempt, 299, "repayment", theirs.id)
    ours = given(context, provider, attempt, 100)
    assert noted(context, attempt, 100, "repayment", str(ours.provider_refund)).transaction == ours.id
    notified(context, provider.name, "refund", name_of(attempt))
    poll(context, provider)
    assert (council.balances(card.payer), open_kinds(context)) == ((400, 0), [])


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_came_through_a_provider_does_not_go_back_past_it(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """The ledger would say that it went back, and nobody would have sent it."""
    attempt = captured(context, pay, provider, card)
    for reference in (None, Reference("another", "name")):
        for kind in ("repayment", "chargeback"):
            wanted = TakeBack(
                attempt.id,
                100,
                kind,
                reference=reference,
            )
            with pytest.raises(OrderInvalid, match="payment refund"):
                note_taken_back(context, wanted, actor="test")
    # While one is on its way, it could be this very one.
    pay.fault("away", "away", "away")
    with pytest.raises(ProviderAway):
        given(context, provider, attempt, 200)
    with pytest.raises(RefundRefused, match="not known"):
        noted(context, attempt, 200, "repayment", "theirs")
    cash = TopUp(card.holder, 500, "cash")
    top_up(context, cash, actor="test")
    assert note_taken_back(context, TakeBack(cash.id, 500), actor="test").amount_minor == 500
    assert council.balances(card.payer) == (800, 0)


def test_a_dispute_that_nobody_tells_of_is_noted_by_its_name(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """Up to what is left, the rest is the scheme's; told of later as well, it is the same one."""
    attempt = captured(context, pay, provider, card)
    given(context, provider, attempt, 300)
    own_id = TransactionId(new_id())
    dispute = pay.dispute(name_of(attempt), "lost")
    for _ in range(2):
        told = noted(context, attempt, 1000, "chargeback", dispute, own_id)
        assert told == Noted(own_id, 700)
        assert look_for_disputes(context, provider) in {0, 1}
        notified(context, provider.name, "dispute", name_of(attempt))
    with pytest.raises(IdConflict):
        noted(context, attempt, 999, "chargeback", dispute)
    second = captured(context, pay, provider, card, 100)
    with pytest.raises(IdConflict):
        noted(context, second, 100, "chargeback", "another", own_id)
    given(context, provider, second, 100)
    assert noted(context, second, 100, "chargeback", "of-nothing") == Noted(None, 0)
    assert settled(context, f"dispute,{dispute},2026-06-20,-10.00,15.00,GBP") == {"matched": 1}
    assert council.balances(card.payer) == (0, 0)
    assert open_kinds(context) == ["charged_back", "charged_back_beyond", "charged_back_beyond"]


def test_what_cannot_go_back_by_the_provider_is_redeemed_by_bank(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """A refund that has failed is not tried again: a second person approves the transfer, or refuses it."""
    attempt = captured(context, pay, provider, card)
    pay.refund_status = "error"
    failed = given(context, provider, attempt, 400)
    assert (failed.state, open_kinds(context)) == ("error", ["refund_failed"])
    pay.refund_status = "success"
    refused = redeem(context, provider, card.payer, 400, actor="ann")
    assert (refused.refunds, refused.payout_minor) == ((), 400)
    assert refused.payout is not None
    with context.database.begin() as connection:
        assert waiting_minor(connection, card.payer) == 400
        [_, wanted] = matters(connection)
        close_matter(connection, wanted.number, "the account is another's", context.now(), actor="ben")
        assert waiting_minor(connection, card.payer) == 0
    with pytest.raises(OrderInvalid, match="refused"):
        approve(context, refused.payout, actor="ben")
    again = redeem(context, provider, card.payer, 400, actor="ann")
    assert again.payout is not None
    for _ in range(2):
        assert approve(context, again.payout, actor="ben") == 400
    # What was wanted is done; what is due is to be made.
    assert open_kinds(context) == ["refund_failed", "payout_due"]
    assert council.balances(card.payer) == (600, 0)


def test_all_is_what_it_was_when_it_was_first_asked_for(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """Sent again after more has come in, it gives back no more, and its id stands for nothing else."""
    captured(context, pay, provider, card)
    wanted = TransactionId(new_id())
    done = redeem(context, provider, card.payer, None, own_id=wanted, actor="test")
    assert [each.amount_minor for each in done.refunds] == [1000]
    captured(context, pay, provider, card, 500)
    for amount_minor in (None, 1000):
        again = redeem(context, provider, card.payer, amount_minor, own_id=wanted, actor="test")
        assert [each.id for each in again.refunds] == [each.id for each in done.refunds]
    assert council.balances(card.payer) == (500, 0)
    with pytest.raises(OrderInvalid, match="new id"):
        redeem(context, provider, card.payer, 1500, own_id=wanted, actor="test")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_redeemed_while_the_provider_is_away(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """All of it is asked for at once, and goes on by itself; asked for again it is not asked for twice."""
    first = captured(context, pay, provider, card)
    captured(context, pay, provider, card, 500)
    wanted = TransactionId(new_id())
    pay.fault("away", "away", "away", "away", "away", "away")
    for _ in range(2):
        done = redeem(context, provider, card.payer, 1200, own_id=wanted, actor="test")
        assert sorted((each.amount_minor, each.state) for each in done.refunds) == [
            (500, "wanted"),
            (700, "wanted"),
        ]
    with pytest.raises(RefundRefused, match="not known"):
        redeem(context, provider, card.payer, 100, actor="test")
    council.clock.advance(hours=2)
    pay.fault("away", "away", "away")
    assert poll(context, provider).away
    assert open_kinds(context) == ["refund_pending"]
    council.clock.advance(hours=1)
    assert poll(context, provider).refunds == 2
    assert open_kinds(context) == []
    assert sum(each.amount for payment in pay.payments.values() for each in payment.refunds) == 1200
    give_back(context, provider, TakeBack(first.id, 300), actor="test")
    assert council.balances(card.payer) == (0, 0)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_key_that_the_provider_refuses_ends_no_round(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """The worker goes on, and asks again when the key is right."""
    attempt = captured(context, pay, provider, card)
    pay.dispute(name_of(attempt), "lost", 400)
    wrong = GovUkPay(provider.url, "a key that was withdrawn")
    polled = poll(context, wrong)
    assert (polled.failed, polled.away) == (1, False)
    assert poll(context, provider).disputes == 0
    council.clock.advance(hours=2)
    assert poll(context, provider).disputes == 1
    assert council.balances(card.payer) == (600, 0)


def test_the_page_says_of_each_matter_what_to_do() -> None:
    page = (Path(__file__).parents[3] / "docs" / "payments.md").read_text(encoding="utf-8")
    cells = [
        line.split("|")[1] for line in page.partition("## What needs a person")[2].splitlines() if "|" in line
    ]
    assert {kind for cell in cells for kind in re.findall(r"`(\w+)`", cell)} == KINDS.keys()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_dispute_that_was_won_after_all_is_paid_in_again(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """As a transfer: the bank has it, and no settled line of ours says so."""
    attempt = captured(context, pay, provider, card)
    pay.dispute(name_of(attempt), "lost", 400)
    assert poll(context, provider).disputes == 1
    pay.disputes[0].status = "won"
    council.clock.advance(hours=2)
    assert poll(context, provider).disputes == 1
    assert open_kinds(context) == ["charged_back", "dispute_changed"]
    top_up(context, TopUp(card.holder, 400, "transfer"), actor="test")
    assert council.balances(card.payer) == (1000, 0)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_a_restore_has_lost_is_brought_back(
    context: Context, council: Council, pay: Pay, provider: GovUkPay, card: Card
) -> None:
    """What the provider has is listed, and posted once somebody has said for whom it was."""
    known, other = captured(context, pay, provider, card), council.card()
    given(context, provider, known, 300)
    copy = Path(f"{context.settings.database_url.removeprefix('sqlite:///')}.backup")
    with closing(sqlite3.connect(copy)) as kept, closing(sqlite3.connect(_file(context))) as source:
        source.backup(kept)
    lost = captured(context, pay, provider, other, 2000)
    given(context, provider, lost, 500)
    begun_only = begun(context, provider, other, 700)
    given(context, provider, known, 200)
    cancelled = begun(context, provider, other, 800)
    pay.move(name_of(cancelled), "cancelled")
    theirs = pay.create(
        {"amount": 100, "reference": "another's", "description": "d", "return_url": "u"}, None
    )
    pay.move(theirs.id, "success")
    context.database.dispose()
    for suffix in ("-wal", "-shm"):
        Path(f"{_file(context)}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(copy, _file(context))
    for _ in range(2):
        found = compare(context, provider, context.now() - timedelta(days=1))
        assert {each.reference for each in found.unknown} == {str(lost.id), str(begun_only.id)}
        assert (found.told, found.failed) == (5, 0)
        assert open_kinds(context) == ["refund_unknown", "payment_unknown", "payment_unknown"]
    for _ in range(2):
        assert adopt(context, provider, lost.id, other.holder, actor="test").state == "success"
    assert adopt(context, provider, begun_only.id, other.holder, actor="test").state == "created"
    with pytest.raises(OrderInvalid):
        adopt(context, provider, lost.id, card.holder, actor="test")
    with pytest.raises(OrderInvalid, match="no payment"):
        adopt(context, provider, TransactionId(new_id()), card.holder, actor="test")
    # Posted whole, as it was captured; what had been given back of each is for a person to note.
    assert (council.balances(other.payer), council.balances(card.payer)) == ((2000, 0), (700, 0))
    assert open_kinds(context) == ["refund_unknown", "refund_unknown"]
    for attempt, amount_minor in ((lost, 500), (known, 200)):
        name = pay.payments[name_of(attempt)].refunds[-1].id
        noted(context, attempt, amount_minor, "repayment", name)
    assert (council.balances(other.payer), council.balances(card.payer)) == ((1500, 0), (500, 0))


def _file(context: Context) -> Path:
    return Path(context.settings.database_url.removeprefix("sqlite:///"))
