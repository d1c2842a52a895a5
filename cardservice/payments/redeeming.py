"""Redemption at par: money goes back where it came from, and the rest by an approved bank transfer."""

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import OrderInvalid, RefundRefused
from cardservice.ids import PayerId, TransactionId, companion, new_id
from cardservice.ledger.errors import PayerUnknown, no_payer
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import PAYER_PREPAID, NewTransfer, ReadQuery, scheme_clearing
from cardservice.payments.attempts import attempts_of
from cardservice.payments.giving_back import (
    Given,
    give_back,
    refund_of,
    refunds_among,
    refunds_of_payer,
    require_none_pending,
)
from cardservice.payments.matters import close_done, is_open, open_matter
from cardservice.payments.models import payment_matter, payout, redemption
from cardservice.payments.provider import PaymentProvider, ProviderAway, ProviderRefused
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

    All is what it was when it was first asked for: what comes in later is no part of it. Where the provider
    does not answer, the worker goes on with what is to go back by it. Raises PayerUnknown, RefundRefused,
    Busy, and OrderInvalid where the id is another payer's, or of another amount.
    """
    own_id = TransactionId(new_id()) if own_id is None else own_id
    before = _before(context, payer_id, own_id)
    left_minor = _wanted(context, payer_id, own_id, amount_minor, _sum(before), actor) - _sum(before)
    if before.payout is not None or not left_minor:
        return before
    with context.database.reading() as connection:
        _require_available(connection, payer_id, left_minor)
    refunds = list(before.refunds)
    if provider is not None:
        for attempt_id, refundable_minor in _sources(context, provider, payer_id):
            if share := min(left_minor, refundable_minor):
                share_id = TransactionId(companion(own_id, attempt_id.bytes))
                refunds.append(_back(context, provider, TakeBack(attempt_id, share, id=share_id), actor))
                left_minor -= share
    asked = _asked(context, payer_id, own_id, left_minor, actor)
    return Redeemed(tuple(refunds), asked, left_minor)


def approve(context: Context, payout_id: TransactionId, *, actor: str) -> int:
    """Approve a bank transfer that another person has asked for, once; how much it is.

    Raises OrderInvalid (unknown, one's own, or refused: its matter was closed), RefundRefused where it has
    been spent meanwhile, and Busy.
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
        if not is_open(connection, "payout_wanted", payout_id):
            raise OrderInvalid(
                f"bank transfer {payout_id} was refused, and closed on the list; ask for another"
            )
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
        close_done(connection, "payout_wanted", payout_id, "approved", context.now())
        open_matter(connection, "payout_due", payout_id, context.now())
        record(connection, actor, "payment.payout_approved", payout_id, context.now())
    return amount_minor


def waiting_minor(connection: Connection, payer_id: PayerId) -> int:
    """What bank transfers were asked for that nobody has approved or refused yet."""
    own, matter = payout.c, payment_matter.c
    asked = connection.execute(
        select(own.id, own.amount_minor).where(own.payer_id == payer_id, own.approved_by.is_(None))
    ).all()
    listed = set(
        connection.scalars(
            select(matter.subject).where(matter.kind == "payout_wanted", matter.closed_at.is_(None))
        )
    )
    return sum(int(each.amount_minor) for each in asked if str(each.id) in listed)


def _back(context: Context, provider: PaymentProvider, wanted: TakeBack, actor: str) -> Given:
    try:
        return give_back(context, provider, wanted, actor=actor)
    except (ProviderAway, ProviderRefused):
        # It is posted, and the worker goes on with it: what else is redeemed need not wait for that.
        with context.database.reading() as connection:
            return refund_of(connection, wanted.id)


def _sources(
    context: Context, provider: PaymentProvider, payer_id: PayerId
) -> list[tuple[TransactionId, int]]:
    """The payer's payments by this provider, and how much is left of each.

    One whose refund has failed is none: it would fail again. Raises RefundRefused where one is on its way.
    """
    with context.database.reading() as connection:
        made = [
            attempt.id
            for attempt in attempts_of(connection, payer_id, _MOST)
            if attempt.state == "success" and attempt.provider == provider.name
        ]
        [found] = read_on(connection, [ReadQuery((payer_id,), tuple(made))])
        before = refunds_of_payer(connection, payer_id)
    known, failed = found.known, {each.attempt_id for each in before if each.state == "error"}
    left = [(each, known[each].moved_minor - known[each].reversed_minor) for each in made]
    sources = [(each, left_minor) for each, left_minor in left if left_minor and each not in failed]
    for each, _ in sources:
        require_none_pending(refund for refund in before if refund.attempt_id == each)
    return sources


def _wanted(
    context: Context,
    payer_id: PayerId,
    own_id: TransactionId,
    amount_minor: int | None,
    done_minor: int,
    actor: str,
) -> int:
    """How much was wanted when it was first asked for, which is noted if that is now."""
    noted = redemption.c
    wanted = select(noted.payer_id, noted.amount_minor).where(noted.id == own_id)
    with context.database.begin() as connection:
        known = connection.execute(wanted).one_or_none()
        if known is None:
            available_minor = _require_available(connection, payer_id)
            # "All" of one that was begun before such were noted is what was done of it.
            asked_minor = (done_minor or available_minor) if amount_minor is None else amount_minor
            if not asked_minor or asked_minor < done_minor:
                raise RefundRefused("more_than_left", "That is more than there is to spend.", available_minor)
            _require_available(connection, payer_id, asked_minor - done_minor)
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            row = {"id": own_id, "payer_id": payer_id, "amount_minor": asked_minor}
            new = dialect.insert(redemption).values(**row, asked_by=actor, asked_at=context.now())
            connection.execute(new.on_conflict_do_nothing())
            known = connection.execute(wanted).one()
    if known.payer_id != payer_id or amount_minor not in {None, known.amount_minor}:
        raise OrderInvalid("this id is another redemption's; a new one takes a new id")
    return int(known.amount_minor)


def _require_available(connection: Connection, payer_id: PayerId, amount_minor: int = 0) -> int:
    """What can be spent. Raises PayerUnknown, and RefundRefused where it is less."""
    [found] = read_on(connection, [ReadQuery((payer_id,))])
    if payer_id not in found.views:
        raise PayerUnknown(no_payer(payer_id))
    available_minor = max(0, found.views[payer_id].prepaid.available_minor)
    if amount_minor > available_minor:
        raise RefundRefused("more_than_left", "That is more than there is to spend.", available_minor)
    return available_minor


def _before(context: Context, payer_id: PayerId, own_id: TransactionId) -> Redeemed:
    """What this redemption has come to already."""
    with context.database.reading() as connection:
        asked = connection.execute(select(payout).where(payout.c.id == own_id)).one_or_none()
        ids = [companion(own_id, each.id.bytes) for each in attempts_of(connection, payer_id, _MOST)]
        refunds = refunds_among(connection, ids)
    if asked is not None and asked.payer_id != payer_id:
        raise OrderInvalid("this id is another redemption's; a new one takes a new id")
    if asked is None:
        return Redeemed(refunds, None, 0)
    return Redeemed(refunds, own_id, int(asked.amount_minor))


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
