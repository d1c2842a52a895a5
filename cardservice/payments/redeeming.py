"""Redemption at par: money goes back where it came from, and the rest by an approved bank transfer."""

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import insert, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import OrderInvalid, RefundRefused
from cardservice.ids import PayerId, TransactionId, companion, new_id
from cardservice.ledger.errors import PayerUnknown, no_payer
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read, read_on
from cardservice.ledger.values import PAYER_PREPAID, NewTransfer, ReadQuery, scheme_clearing
from cardservice.payments.attempts import attempts_of
from cardservice.payments.giving_back import Given, give_back, refunds_among
from cardservice.payments.matters import open_matter
from cardservice.payments.models import payout
from cardservice.payments.provider import PaymentProvider
from cardservice.payments.references import post_payment
from cardservice.payments.service import payment_posting
from cardservice.payments.taking_back import TakeBack

# Of a payer's payments so many are looked through, the newest first.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What goes back by the provider, and what a second person must approve."""

    refunds: tuple[Given, ...]
    payout: TransactionId | None
    payout_minor: int


def redeem(
    context: Context,
    provider: PaymentProvider | None,
    payer_id: PayerId,
    amount_minor: int | None,
    *,
    own_id: TransactionId | None = None,
    actor: str,
) -> Redeemed:
    """Give so much back, or all that can be spent; asked again with the same id, it goes on and is done once.

    Raises PayerUnknown, RefundRefused, ProviderAway, Busy, and OrderInvalid where the id is another payer's.
    """
    redemption = TransactionId(new_id()) if own_id is None else own_id
    before = _before(context, payer_id, redemption)
    if before.payout is not None or (before.refunds and amount_minor == _sum(before)):
        return before
    [found] = read(context.database, [ReadQuery((payer_id,))])
    if payer_id not in found.views:
        raise PayerUnknown(no_payer(payer_id))
    available_minor = max(0, found.views[payer_id].prepaid.available_minor)
    left_minor = available_minor if amount_minor is None else amount_minor - _sum(before)
    if before.refunds and amount_minor is None and not left_minor:
        return before
    if not 0 < left_minor <= available_minor:
        raise RefundRefused("more_than_left", "That is more than there is to spend.", available_minor)
    refunds = list(before.refunds)
    if provider is not None:
        for attempt_id, refundable_minor in _sources(context, provider, payer_id):
            share = min(left_minor, refundable_minor)
            if share:
                share_id = TransactionId(companion(redemption, attempt_id.bytes))
                wanted = TakeBack(attempt_id, share, id=share_id)
                refunds.append(give_back(context, provider, wanted, actor=actor))
                left_minor -= share
    asked = _asked(context, payer_id, redemption, left_minor, actor)
    return Redeemed(tuple(refunds), asked, left_minor)


def approve(context: Context, payout_id: TransactionId, *, actor: str) -> int:
    """Approve a bank transfer that another person has asked for, once; how much it is.

    Raises OrderInvalid (unknown, or one's own), RefundRefused where it has been spent meanwhile, and Busy.
    """
    own = payout.c
    with context.database.reading() as connection:
        asked = connection.execute(select(payout).where(own.id == payout_id)).one_or_none()
    if asked is None:
        raise OrderInvalid(f"no bank transfer {payout_id} was asked for")
    if asked.asked_by == actor:
        raise OrderInvalid("whoever asked for a bank transfer cannot approve it; another person must")
    payer_id = PayerId(asked.payer_id)
    with locked(context.database, (payer_id,)) as connection:
        [found] = read_on(connection, [ReadQuery((payer_id,), (payout_id,))])
        amount_minor = int(asked.amount_minor)
        if payout_id in found.known:
            return amount_minor
        view = found.views[payer_id]
        available_minor = max(0, view.prepaid.available_minor)
        if amount_minor > available_minor:
            raise RefundRefused("more_than_left", "That is more than there is to spend.", available_minor)
        moved = NewTransfer(PAYER_PREPAID, scheme_clearing("transfer"), amount_minor, context.scheme.currency)
        body = sha256(b"payout" + payout_id.bytes).digest()
        posting = payment_posting(context, view, payout_id, body, (moved,), kind="repayment")
        post_payment(connection, posting, None)
        connection.execute(
            update(payout).where(own.id == payout_id).values(approved_by=actor, posted_as=payout_id)
        )
        open_matter(connection, "payout_due", payout_id, context.now())
        record(connection, actor, "payment.payout_approved", payout_id, context.now())
    return amount_minor


def _sources(
    context: Context, provider: PaymentProvider, payer_id: PayerId
) -> list[tuple[TransactionId, int]]:
    """The payer's payments by this provider, and how much is left of each."""
    with context.database.reading() as connection:
        made = [
            attempt.id
            for attempt in attempts_of(connection, payer_id, _MOST)
            if attempt.state == "success" and attempt.provider == provider.name
        ]
        [found] = read_on(connection, [ReadQuery((payer_id,), tuple(made))])
    known = found.known
    return [(each, known[each].moved_minor - known[each].reversed_minor) for each in made]


def _before(context: Context, payer_id: PayerId, redemption: TransactionId) -> Redeemed:
    """What this redemption has come to already."""
    with context.database.reading() as connection:
        asked = connection.execute(select(payout).where(payout.c.id == redemption)).one_or_none()
        ids = [companion(redemption, each.id.bytes) for each in attempts_of(connection, payer_id, _MOST)]
        refunds = refunds_among(connection, ids)
    if asked is not None and asked.payer_id != payer_id:
        raise OrderInvalid("this id is another redemption's; a new one takes a new id")
    if asked is None:
        return Redeemed(refunds, None, 0)
    return Redeemed(refunds, redemption, int(asked.amount_minor))


def _sum(done: Redeemed) -> int:
    return done.payout_minor + sum(each.amount_minor for each in done.refunds)


def _asked(
    context: Context, payer_id: PayerId, own_id: TransactionId, amount_minor: int, actor: str
) -> TransactionId | None:
    if not amount_minor:
        return None
    moment = context.now()
    with context.database.begin() as connection:
        connection.execute(
            insert(payout).values(
                id=own_id, payer_id=payer_id, amount_minor=amount_minor, asked_by=actor, asked_at=moment
            )
        )
        open_matter(connection, "payout_wanted", own_id, moment)
        record(connection, actor, "payment.payout_asked", own_id, moment)
    return own_id
