"""What is done once a second person has agreed, at the keyboard or over HTTP.

What breaks off goes on by agreeing again: each of these is done once, however often it is begun. But for a
recovery, whose half of a code is told once: agreed to again, the half is another, and the one before is void.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, give
from cardservice.cards import many
from cardservice.context import Context
from cardservice.ids import TransactionId
from cardservice.staff import enrolment, second_person
from cardservice.staff.acting import Acting
from cardservice.staff.errors import SecondPersonRefused
from cardservice.staff.second_person import NEEDS, RECOVER_STAFF, REVOKE_MANY, Asked
from cardservice.staff.service import require_person


@dataclass(frozen=True, slots=True)
class Outcome:
    """What agreeing has come to; of the last three what there is of the action."""

    asked: Asked
    cards: int | None = None
    amount_minor: int | None = None
    # The second half of an enrolment code.
    half: str | None = None


def ask_many_revoked(
    connection: Connection, cards: Sequence[UUID], reason: str, *, actor: str, moment: datetime
) -> Asked:
    """Ask for many cards to be revoked. Raises OrderInvalid for one that is not known."""
    many.require_known(connection, cards)
    detail = {"cards": [str(each) for each in cards], "reason": reason}
    return second_person.ask(connection, REVOKE_MANY, detail, actor=actor, moment=moment)


def ask_recovered(context: Context, staff_id: str, *, actor: str) -> tuple[Asked, str]:
    """Ask for somebody to be let in anew; the first half of their code. Raises StaffUnknown."""
    half, moment = enrolment.new_half(), context.now()
    with context.database.begin() as connection:
        mac = enrolment.half_mac(context, staff_id, half)
        require_person(connection, staff_id)
        detail = {"staff": staff_id, "half": mac.hex()}
        asked = second_person.ask(connection, RECOVER_STAFF, detail, actor=actor, moment=moment)
    return asked, half


def agree(context: Context, asked_id: UUID, by: Acting) -> Outcome:
    """Agree to what another has asked for, and do it. Raises SecondPersonRefused and RightMissing."""
    with context.database.begin() as connection:
        asked = _found(connection, asked_id, by)
        _require_another(asked, by)
        asked = second_person.agree(connection, asked_id, actor=by.actor, moment=context.now())
    return _do(context, asked, by.actor)


def withdraw(context: Context, asked_id: UUID, by: Acting) -> Asked:
    """Close what shall not be. Raises as above."""
    with context.database.begin() as connection:
        _found(connection, asked_id, by)
        return second_person.withdraw(connection, asked_id, actor=by.actor, moment=context.now())


def about(asked: Asked) -> dict[str, object]:
    """What it is about; of a long list how long it is, and nothing that is secret."""
    return {
        name: len(value) if isinstance(value, list) else value
        for name, value in asked.detail.items()
        if name != "half"
    }


def _found(connection: Connection, asked_id: UUID, by: Acting) -> Asked:
    """Whoever closes it may do the thing itself, too."""
    asked = second_person.find(connection, asked_id)
    by.require(NEEDS[asked.action], asked.action)
    return asked


def _require_another(asked: Asked, by: Acting) -> None:
    person = by.person
    if asked.action == RECOVER_STAFF and person is not None and asked.detail["staff"] == person.id:
        raise SecondPersonRefused("nobody agrees to their own recovery: another administrator does")


def _do(context: Context, asked: Asked, actor: str) -> Outcome:
    detail = asked.detail
    if asked.action == REVOKE_MANY:
        cards = [UUID(card) for card in detail["cards"]]
        return Outcome(asked, cards=many.revoke(context, cards, detail["reason"], actor=actor))
    if asked.action == RECOVER_STAFF:
        with context.database.begin() as connection:
            first = bytes.fromhex(detail["half"])
            half = enrolment.recover(context, connection, detail["staff"], first, actor=actor)
        return Outcome(asked, half=half)
    wish = Wish(TransactionId(UUID(detail["sale"])), detail["line"], detail["amount_minor"])
    done = give(context, Refund(wish, TransactionId(UUID(detail["refund"]))), actor=asked.asked_by)
    if not done.repeated:
        with context.database.begin() as connection:
            record(connection, actor, "refund.agree", detail["refund"], context.now())
    return Outcome(asked, amount_minor=done.amount_minor)
