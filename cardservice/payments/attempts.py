"""Payments through a provider: begun, looked at, given up, and posted once when they are captured."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, and_, exists, func, insert, or_, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import OrderInvalid, Unknown
from cardservice.ids import CardholderId, PayerId, TransactionId
from cardservice.ledger.errors import PayerUnknown
from cardservice.ledger.payers import payer_at
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import ReadQuery, scheme_clearing
from cardservice.payments.matters import open_matter
from cardservice.payments.models import payment_attempt, payment_dispute, payment_refund
from cardservice.payments.money import arrears_percent, pay_in
from cardservice.payments.provider import (
    FINAL,
    AttemptState,
    PaymentProvider,
    ProviderRefused,
    Told,
    Wish,
    follows,
)
from cardservice.payments.references import Reference, post_payment
from cardservice.payments.service import payment_posting
from pki.statements import deterministic

# Nobody was sent to pay what the provider does not know by then.
FORGOTTEN_AFTER = timedelta(hours=1)
# A payment that was given up can still be captured for so long.
GIVEN_UP_WATCHED = timedelta(days=7)


class AttemptUnknown(Unknown):
    """No payment attempt has this identifier."""

    code = "payment_unknown"

    def __init__(self, attempt: object) -> None:
        super().__init__("payment attempt", attempt)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payment as it is known here."""

    id: TransactionId
    payer_id: PayerId
    provider: str
    amount_minor: int
    unit: str
    arrears_percent: int
    provider_payment: str | None
    state: AttemptState
    begun_at: datetime
    # As the audit trail names them; None where it was not written down.
    begun_by: str | None = None

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what is posted at capture."""
        asked = ["capture", self.id.bytes, self.payer_id.bytes, self.provider, self.amount_minor]
        return sha256(deterministic(asked)).digest()


@dataclass(frozen=True, slots=True)
class Start:
    """A payment to be begun; the same id again is the same payment."""

    cardholder_id: CardholderId
    amount_minor: int
    id: TransactionId
    return_url: str


def start(
    context: Context, provider: PaymentProvider, wanted: Start, *, actor: str
) -> tuple[Attempt, str | None]:
    """Begin a payment: it, and where to send the person. Asked again with the same id, it is the same one.

    Raises PayerUnknown, OrderInvalid, ProviderRefused, and ProviderAway: then ask again with the same id.
    """
    if wanted.amount_minor <= 0:
        raise OrderInvalid("a payment is of more than nothing")
    attempt = note_attempt(context, provider.name, wanted, actor)
    try:
        told = provider.create(
            Wish(str(attempt.id), attempt.amount_minor, context.scheme.name, wanted.return_url)
        )
    except ProviderRefused:
        _write(context, attempt.id, state="failed", check_at=context.now() + FORGOTTEN_AFTER)
        raise
    return apply(context, attempt.id, told), told.next_url


def refresh(context: Context, provider: PaymentProvider, attempt_id: TransactionId) -> Attempt:
    """Ask the provider how a payment is, and post what has been captured. Raises ProviderAway."""
    with context.database.reading() as connection:
        attempt = attempt_of(connection, attempt_id)
    if attempt.provider_payment is not None:
        return apply(context, attempt_id, provider.payment(attempt.provider_payment))
    found = provider.find(str(attempt_id))
    if not found:
        is_old = context.now() - attempt.begun_at > FORGOTTEN_AFTER
        state: AttemptState = "failed" if is_old else attempt.state
        return _write(context, attempt_id, state=state, check_at=_next_check(context, attempt, state))
    # The one that was captured, if any was: there the money is.
    first, *others = sorted(found, key=lambda told: (told.state != "success", told.state in FINAL))
    for other in others:
        if other.state not in FINAL:
            provider.cancel(other.payment)
        elif other.state == "success":
            with context.database.begin() as connection:
                open_matter(connection, "payment_twice", other.payment, context.now())
    return apply(context, attempt_id, first)


def cancel(context: Context, provider: PaymentProvider, attempt_id: TransactionId, *, actor: str) -> Attempt:
    """Give a payment up; how it is then, for it may have been captured meanwhile."""
    attempt = refresh(context, provider, attempt_id)
    if attempt.state in FINAL or attempt.provider_payment is None:
        return attempt
    provider.cancel(attempt.provider_payment)
    with context.database.begin() as connection:
        record(connection, actor, "payment.cancel", attempt_id, context.now())
    return refresh(context, provider, attempt_id)


def apply(context: Context, attempt_id: TransactionId, told: Told) -> Attempt:
    """Take over what the provider tells of a payment; a capture is posted once, whatever came before."""
    with context.database.reading() as connection:
        payer_id = attempt_of(connection, attempt_id).payer_id
    with locked(context.database, (payer_id,)) as connection:
        attempt, moment = attempt_of(connection, attempt_id), context.now()
        if attempt.provider_payment not in {None, told.payment}:
            open_matter(connection, "payment_twice", told.payment, moment)
            return attempt
        if told.amount_minor != attempt.amount_minor or told.reference != str(attempt.id):
            open_matter(connection, "amount_differs", told.payment, moment)
            _set(connection, attempt_id, check_at=None)
            return attempt
        if attempt.state == "success":
            _look_at_refunds(connection, attempt, told, moment)
        if not follows(attempt.state, told.state):
            next_at = _next_check(context, attempt, attempt.state)
            _set(connection, attempt_id, provider_payment=told.payment, check_at=next_at)
            return attempt_of(connection, attempt_id)
        values: dict[str, object] = {"provider_payment": told.payment, "state": told.state}
        if told.state == "success":
            _capture(context, connection, attempt, told)
            values["posted_as"] = attempt_id
        _set(connection, attempt_id, check_at=_next_check(context, attempt, told.state), **values)
        return attempt_of(connection, attempt_id)


def attempt_of(connection: Connection, attempt_id: TransactionId) -> Attempt:
    """A payment by its id. Raises AttemptUnknown."""
    found = attempt_if_any(connection, attempt_id)
    if found is None:
        raise AttemptUnknown(attempt_id)
    return found


def attempt_if_any(connection: Connection, payment: TransactionId) -> Attempt | None:
    """A payment by its id; None where it came by another way than a provider, or is none."""
    row = connection.execute(_attempts().where(payment_attempt.c.id == payment)).one_or_none()
    return None if row is None else _attempt(row)


def attempts_of(
    connection: Connection,
    payer_id: PayerId | None = None,
    limit: int = 100,
    *,
    after: UUID | None = None,
) -> list[Attempt]:
    """The newest payments, of one payer or of all; those that were begun before `after`.

    Raises AttemptUnknown where that is none.
    """
    own = payment_attempt.c
    found = _attempts().order_by(own.begun_at.desc(), own.id.desc()).limit(limit)
    if payer_id is not None:
        found = found.where(own.payer_id == payer_id)
    if after is not None:
        begun_at = attempt_of(connection, TransactionId(after)).begun_at
        found = found.where(or_(own.begun_at < begun_at, and_(own.begun_at == begun_at, own.id < after)))
    return [_attempt(row) for row in connection.execute(found)]


def named(connection: Connection, provider: str, payment: str) -> Attempt | None:
    """The payment that the provider calls so, or None."""
    own = payment_attempt.c
    wanted = _attempts().where(own.provider == provider, own.provider_payment == payment)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _attempt(row)


def due(connection: Connection, moment: datetime, limit: int) -> list[TransactionId]:
    """The payments that the provider is to be asked about now, the longest waiting first."""
    own = payment_attempt.c
    found = select(own.id).where(own.check_at <= moment).order_by(own.check_at).limit(limit)
    return [TransactionId(row) for row in connection.execute(found).scalars()]


def put_off(context: Context, attempt_id: TransactionId, delay: timedelta) -> None:
    """Ask about a payment later, so that one that cannot be answered keeps no other waiting."""
    with context.database.begin() as connection:
        _set(connection, attempt_id, check_at=context.now() + delay)


def note_attempt(
    context: Context, provider: str, wanted: Start, actor: str, *, action: str = "payment.start"
) -> Attempt:
    """The attempt, written down before anybody is asked for it. Raises PayerUnknown and OrderInvalid."""
    moment = context.now()
    with context.database.begin() as connection:
        known = connection.execute(_attempts().where(payment_attempt.c.id == wanted.id)).one_or_none()
        payer_id = payer_at(connection, wanted.cardholder_id, moment)
        if payer_id is None:
            raise PayerUnknown(f"nobody pays for cardholder {wanted.cardholder_id}")
        if known is not None:
            asked_before = (known.amount_minor, known.payer_id, known.begun_by or actor)
            if asked_before != (wanted.amount_minor, payer_id, actor):
                raise OrderInvalid("this id is another payment's; a new payment takes a new id")
            return _attempt(known)
        connection.execute(
            insert(payment_attempt).values(
                id=wanted.id,
                payer_id=payer_id,
                provider=provider,
                amount_minor=wanted.amount_minor,
                unit=context.scheme.currency,
                arrears_percent=arrears_percent(connection, wanted.cardholder_id),
                state="wanted",
                begun_at=moment,
                begun_by=actor,
                check_at=moment + timedelta(minutes=1),
            )
        )
        record(connection, actor, action, wanted.id, moment)
        return attempt_of(connection, wanted.id)


def _capture(context: Context, connection: Connection, attempt: Attempt, told: Told) -> None:
    [found] = read_on(connection, [ReadQuery((attempt.payer_id,), (attempt.id,))])
    view = found.views[attempt.payer_id]
    source = scheme_clearing(attempt.provider)
    moved = pay_in(view, source, attempt.amount_minor, attempt.unit, attempt.arrears_percent)
    posting = payment_posting(context, view, attempt.id, attempt.body, moved)
    post_payment(connection, posting, Reference(attempt.provider, told.payment))
    if attempt.state in FINAL:
        open_matter(connection, "captured_late", attempt.id, context.now())


def _look_at_refunds(connection: Connection, attempt: Attempt, told: Told, moment: datetime) -> None:
    """Less can be given back than is left by our refunds: somebody has given some back at the provider."""
    refund, dispute = payment_refund.c, payment_dispute.c
    of_refunds = select(func.coalesce(func.sum(refund.amount_minor), 0))
    asked = connection.scalar(of_refunds.where(refund.attempt_id == attempt.id, refund.state != "error"))
    # What a bank disputes cannot be given back either.
    disputed = connection.scalar(select(exists().where(dispute.attempt_id == attempt.id)))
    left_minor = attempt.amount_minor - int(asked or 0)
    if told.refundable_minor is not None and told.refundable_minor < left_minor and not disputed:
        # By how much: what has been given back there since is another matter.
        subject = f"{told.payment}, {left_minor - told.refundable_minor} more than here"
        open_matter(connection, "refund_unknown", subject, moment)


def _next_check(context: Context, attempt: Attempt, state: str) -> datetime | None:
    """When to ask again although nothing was notified: seldom, the older it is."""
    moment = context.now()
    age = moment - attempt.begun_at
    if state == "success" or (state in FINAL and age > GIVEN_UP_WATCHED):
        return None
    if state in FINAL:
        return moment + timedelta(hours=12)
    return moment + (timedelta(minutes=1) if age < FORGOTTEN_AFTER else timedelta(minutes=15))


def _write(context: Context, attempt_id: TransactionId, **values: object) -> Attempt:
    with context.database.begin() as connection:
        own = payment_attempt.c
        # What has been captured meanwhile stays so.
        connection.execute(
            update(payment_attempt).where(own.id == attempt_id, own.state != "success").values(**values)
        )
        return attempt_of(connection, attempt_id)


def _set(connection: Connection, attempt_id: TransactionId, **values: object) -> None:
    connection.execute(update(payment_attempt).where(payment_attempt.c.id == attempt_id).values(**values))


def _attempts() -> Select[Any]:
    own = payment_attempt.c
    return select(
        *(own.id, own.payer_id, own.provider, own.amount_minor, own.unit, own.arrears_percent),
        *(own.provider_payment, own.state, own.begun_at, own.begun_by),
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
