"""Closing an account in three steps, each of which may be done again: look, stop the cards, give back.

The cards are stopped before any money moves, so that nothing is spent meanwhile. Who stops them is not who
pays out. What somebody else pays for the person stays that payer's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update

from cardservice.accounts.dormancy import require_still_unseen
from cardservice.accounts.errors import ClosingRefused
from cardservice.accounts.models import account_closing
from cardservice.audit.service import record
from cardservice.cardholders.details import Noting, set_flag
from cardservice.cardholders.service import lock_cardholder, require_cardholder
from cardservice.cards.models import card
from cardservice.cards.service import AUTHORITY, revoke_card
from cardservice.cards.states import CardState
from cardservice.circulation.erasing import open_loans
from cardservice.context import Context
from cardservice.errors import Busy, OrderInvalid
from cardservice.ids import CardholderId, PayerId, TransactionId, new_id
from cardservice.ledger.erasing import OwnPayer, payers_for_erasure
from cardservice.ledger.models import counter
from cardservice.ledger.posting import locked, post_on
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import PAYER_PREPAID, NewTransfer, Outcome, ReadQuery, scheme_clearing
from cardservice.payments.provider import PaymentProvider
from cardservice.payments.redeeming import redeem, waiting_minor
from cardservice.payments.service import payment_posting

ASKED, DECEASED, DORMANT = "asked", "deceased", "dormant"
WHY = (ASKED, DECEASED, DORMANT)
SOURCE, BANK, CASH = "source", "bank", "cash"
WAYS = (SOURCE, BANK, CASH)
# Ours, and documented: how long a dormant holder has to come back after they were told.
NOTICE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Open:
    """What stands against closing, or is to be known before; `code` is stable."""

    code: str
    message: str
    # Until it is settled nothing is closed, but for somebody who has died: their cards are stopped at once.
    blocks: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody has, and what is open, before their account is closed."""

    cardholder: CardholderId
    # By payers of their own alone
    to_give_back_minor: int
    open: tuple[Open, ...]
    cards: tuple[UUID, ...]
    is_stopped: bool
    is_ended: bool


def standing(connection: Connection, holder: UUID, moment: datetime) -> Standing:
    """All of it. Raises CardholderUnknown."""
    person = require_cardholder(connection, holder)
    payers = payers_for_erasure(connection, person, moment)
    closing = _closing(connection, person)
    return Standing(
        cardholder=person,
        to_give_back_minor=sum(_prepaid(each) for each in payers if not each.is_shared),
        open=tuple(_open(connection, person, payers)),
        cards=tuple(_cards(connection, person)),
        is_stopped=closing is not None and closing.stopped_at is not None,
        is_ended=closing is not None and closing.ended_at is not None,
    )


def stop(context: Context, holder: UUID, why: str, *, actor: str) -> Standing:
    """Stop somebody's cards for good, since their account is closed; what is left then.

    Raises CardholderUnknown, OrderInvalid, and ClosingRefused for what blocks it or a notice that still runs.
    """
    if why not in WHY:
        raise OrderInvalid(f"{why[:20]!r} is no reason; there are {', '.join(WHY)}")
    moment = context.now()
    with context.database.begin() as connection:
        person = require_cardholder(connection, holder)
        lock_cardholder(connection, person)
        before = standing(connection, person, moment)
        blocking = [each.message for each in before.open if each.blocks]
        if blocking and why != DECEASED:
            raise ClosingRefused("; ".join(blocking))
        _note_stop(connection, person, why, actor, moment)
        if why == DECEASED:
            noting = Noting(context.keys.cardholder_kek, person, actor, moment, context.zone)
            set_flag(connection, noting, DECEASED, on=True)
        authority = context.authority(AUTHORITY, connection)
        for each in before.cards:
            revoke_card(connection, authority, each, reason="withdrawn", actor=actor, moment=moment)
        record(connection, actor, "account.stop", person, moment)
        return standing(connection, person, moment)


def give_back(
    context: Context, provider: PaymentProvider | None, holder: UUID, way: str, *, actor: str
) -> int:
    """Give back what is left to somebody whose cards are stopped; how much was given or asked for now.

    To where it was paid from as far as that goes and by bank for the rest, all by bank, or in cash. Of who
    has died it goes by bank, to the estate. A transfer waits for a second person, and is asked for once.
    Raises ClosingRefused, OrderInvalid, and what `redeem` does.
    """
    if way not in WAYS:
        raise OrderInvalid(f"{way[:20]!r} is no way; there are {', '.join(WAYS)}")
    moment = context.now()
    with context.database.reading() as connection:
        person = require_cardholder(connection, holder)
        closing = _closing(connection, person)
        if closing is None or closing.stopped_at is None:
            raise ClosingRefused("the cards are stopped first (account close)")
        if closing.why == DECEASED and way != BANK:
            raise ClosingRefused("what somebody leaves behind goes to their estate, by bank")
        payers = payers_for_erasure(connection, person, moment)
        asked = {each.id: waiting_minor(connection, each.id) for each in payers}
    given_minor = 0
    for each in payers:
        left_minor = 0 if each.is_shared else _prepaid(each) - asked[each.id]
        if left_minor <= 0:
            continue
        given_minor += left_minor
        if way == CASH:
            _pay_out(context, each.id, left_minor, actor)
        else:
            redeem(context, provider if way == SOURCE else None, each.id, left_minor, actor=actor)
    finish(context, person, actor=actor)
    return given_minor


def finish(context: Context, holder: UUID, *, actor: str) -> bool:
    """Note that an account is closed, if nothing is open any more; whether it is."""
    moment = context.now()
    with context.database.begin() as connection:
        person = require_cardholder(connection, holder)
        lock_cardholder(connection, person)
        now = standing(connection, person, moment)
        if now.is_ended:
            return True
        if not now.is_stopped or now.to_give_back_minor or any(each.blocks for each in now.open):
            return False
        own = account_closing.c
        connection.execute(update(account_closing).where(own.cardholder_id == person).values(ended_at=moment))
        record(connection, actor, "account.end", person, moment)
    return True


def _note_stop(connection: Connection, person: CardholderId, why: str, actor: str, moment: datetime) -> None:
    own, closing = account_closing.c, _closing(connection, person)
    if closing is not None and closing.why == why and closing.stopped_at is not None:
        return
    told_at = None
    if why == DORMANT:
        told_at = None if closing is None else closing.told_at
        if told_at is None or moment < told_at + NOTICE:
            raise ClosingRefused(
                f"they are told first, and have {NOTICE.days} days to come back (account tell)"
            )
        require_still_unseen(connection, person)
    # Whoever comes back from being dormant, and whoever has died meanwhile, is that now.
    connection.execute(delete(account_closing).where(own.cardholder_id == person))
    connection.execute(
        insert(account_closing).values(
            cardholder_id=person, why=why, begun_by=actor, told_at=told_at, stopped_at=moment
        )
    )


def _open(connection: Connection, person: CardholderId, payers: tuple[OwnPayer, ...]) -> Iterator[Open]:
    if count := open_loans(connection, person):
        yield Open("things_on_loan", f"{count} things are on loan to them; take them back first", blocks=True)
    for each in payers:
        if each.is_shared:
            yield Open(
                "others_pay", f"payer {each.id} pays for others, too; what it has stays with it", blocks=False
            )
            continue
        for unit, kind, balance in each.open:
            if kind != "prepaid":
                words = f"{kind} of payer {each.id} is {balance} in minor units of {unit}; settle it first"
                yield Open(f"{kind}_open", words, blocks=True)
    own = counter.c
    rules = connection.scalars(
        select(own.rule).where(own.cardholder_id == person, own.used > 0).distinct().order_by(own.rule)
    ).all()
    if rules:
        yield Open("counted", f"passes and limits end that are counted by {', '.join(rules)}", blocks=False)


def _prepaid(each: OwnPayer) -> int:
    return sum(balance for _, kind, balance in each.open if kind == "prepaid" and balance > 0)


def _pay_out(context: Context, payer_id: PayerId, amount_minor: int, actor: str) -> None:
    own_id, currency = TransactionId(new_id()), context.scheme.currency
    with locked(context.database, (payer_id,)) as connection:
        [found] = read_on(connection, [ReadQuery((payer_id,))])
        view = found.views[payer_id]
        if view.prepaid.available_minor < amount_minor:
            raise Busy("this payer's account is in use; try again")
        moved = NewTransfer(PAYER_PREPAID, scheme_clearing(CASH), amount_minor, currency)
        body = sha256(b"cash at closing" + own_id.bytes).digest()
        posting = payment_posting(context, view, own_id, body, (moved,), kind="repayment")
        if any(each.outcome is not Outcome.POSTED for each in post_on(connection, [posting])):
            raise Busy("this payer's account is in use; try again")
        record(connection, actor, "account.cash", payer_id, context.now(), transaction=str(own_id))


def _closing(connection: Connection, person: CardholderId) -> Row[tuple[object, ...]] | None:
    own = account_closing.c
    return connection.execute(select(account_closing).where(own.cardholder_id == person)).one_or_none()


def _cards(connection: Connection, person: CardholderId) -> list[UUID]:
    """Those that are not at their end."""
    own = card.c
    wanted = select(own.id).where(own.cardholder_id == person, own.state != CardState.REVOKED)
    return list(connection.scalars(wanted.order_by(own.id)))
