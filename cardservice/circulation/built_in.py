"""The built-in system behind the seam: what is refused becomes an answer, and each reading is noted."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import func, select

from cardservice.audit.service import record
from cardservice.cardholders.service import name_of
from cardservice.circulation import holds, lending
from cardservice.circulation.errors import CopyUnknown, LendingRefused, MemberUnknown
from cardservice.circulation.fines import fines_of, pay
from cardservice.circulation.members import (
    borrower_of,
    check_pin,
    find_member,
    locked_member,
    set_barred,
    what_they_have,
    what_they_wait_for,
)
from cardservice.circulation.models import copy, hold, loan, title
from cardservice.circulation.pins import Pins
from cardservice.circulation.stock import find_copy
from cardservice.circulation.system import Item, Outcome, Patron
from cardservice.circulation.terms import lending_service, terms_at
from cardservice.context import Context
from cardservice.ids import CardholderId
from cardservice.services.lending import TitleView


class BuiltIn:
    """Circulation in our own database."""

    def __init__(self, context: Context, pins: Pins | None = None) -> None:
        self._context = context
        self._pins = pins or Pins(context.keys.services_master)

    @property
    def currency(self) -> str:
        """The scheme's."""
        return self._context.scheme.currency

    def patron(self, barcode: str, pin: str | None, *, by: str) -> Patron | None:
        """A reader as of now; that the record was read is in the audit log."""
        checked = check_pin(self._context, self._pins, barcode, pin)
        moment = self._context.now()
        service = lending_service(self._context.services)
        with self._context.database.begin() as connection:
            found = find_member(connection, barcode)
            if found is None:
                return None
            holder = CardholderId(found.cardholder_id)
            terms = terms_at(self._context, connection, moment)
            today = service.local_day(moment, terms.tariff)
            borrower = borrower_of(self._context, connection, found, terms, moment)
            blocked = service.block(borrower, terms.tariff)
            patron = Patron(
                barcode=barcode,
                name=name_of(connection, self._context.keys.cardholder_kek, holder),
                pin=checked,
                currency=self.currency,
                owed_minor=borrower.owed_minor,
                block=None if blocked is None else blocked.reason,
                block_message="" if blocked is None else blocked.message,
                on_loan=what_they_have(connection, holder, today),
                waiting=what_they_wait_for(connection, holder),
                fines=_unpaid(fines_of(connection, holder), borrower.owed_minor),
            )
            record(connection, by, "lending.patron", holder, moment, pin=checked.value)
        return patron

    def item(self, number: str) -> Item | None:
        """A copy as of now."""
        with self._context.database.reading() as connection:
            found = find_copy(connection, number)
            if found is None:
                return None
            due_on = connection.scalar(select(loan.c.due_on).where(loan.c.copy == number))
            kept = connection.execute(select(hold.c.number).where(hold.c.copy == number)).first()
            state = "withdrawn" if found.withdrawn else "available"
            if due_on is not None or kept is not None:
                state = "lent" if due_on is not None else "kept"
            return Item(
                copy=number,
                title=found.name,
                state=state,
                due_on=due_on,
                queue=holds.waiting_for(connection, found.title_id),
                home=found.branch,
                place=found.place,
            )

    def check_out(
        self, barcode: str, number: str, *, by: str, place: str, done: bool = False, renew: bool = False
    ) -> Outcome:
        """Lend a copy."""
        del by  # a loan tells who has it, and not who gave it

        def lend() -> Outcome:
            return _given(
                lending.check_out(self._context, barcode, number, place=place, done=done, renew=renew)
            )

        return self._outcome(number, lend)

    def check_in(self, number: str, *, by: str, place: str, returned_at: datetime | None = None) -> Outcome:
        """Take a copy back."""
        del by

        def take() -> Outcome:
            back = lending.check_in(self._context, number, place=place, returned_at=returned_at)
            return Outcome(
                ok=True,
                reason="done" if back.was_lent else "not_on_loan",
                message="Please give this to a librarian: somebody waits for it." if back.kept else "",
                copy=number,
                title=back.title,
                fine_minor=back.late.fine_minor,
                kept=back.kept,
                home=back.home,
            )

        return self._outcome(number, take)

    def renew(self, barcode: str, number: str, *, by: str) -> Outcome:
        """Lend a copy on."""
        del by
        return self._outcome(number, lambda: _given(lending.renew(self._context, barcode, number)))

    def renew_all(self, barcode: str, *, by: str) -> Sequence[Outcome]:
        """Lend on whatever may be, what is due first first."""
        with self._context.database.reading() as connection:
            found = find_member(connection, barcode)
            if found is None:
                return ()
            theirs = select(loan.c.copy).where(loan.c.cardholder_id == found.cardholder_id)
            numbers = connection.execute(theirs.order_by(loan.c.due_on, loan.c.copy)).scalars().all()
        return [self.renew(barcode, number, by=by) for number in numbers]

    def reserve(self, barcode: str, wanted: str, *, by: str, place: str) -> Outcome:
        """Put a reader at the end of a title's queue."""
        del by
        return self._outcome(wanted, lambda: self._reserve(barcode, wanted, place))

    def _reserve(self, barcode: str, wanted: str, place: str) -> Outcome:
        context, moment = self._context, self._context.now()
        service, title_id = lending_service(context.services), self._title_id(wanted)
        with context.database.begin() as connection:
            found = connection.execute(
                select(title).where(title.c.id == title_id).with_for_update()
            ).one_or_none()
            if found is None:
                raise CopyUnknown(wanted)
            terms = terms_at(context, connection, moment)
            holds.expire(context, connection, found.id, service.local_day(moment, terms.tariff))
            who = locked_member(connection, barcode)
            holder = CardholderId(who.cardholder_id)
            of_title = copy.c.title_id == found.id
            mine = hold.c.title_id == found.id, hold.c.cardholder_id == holder
            lent = select(loan.c.copy).join(copy, copy.c.barcode == loan.c.copy)
            view = TitleView(
                item_class=found.item_class,
                copies=connection.execute(
                    select(func.count()).select_from(copy).where(of_title, ~copy.c.withdrawn)
                ).scalar_one(),
                held_by_self=connection.execute(select(hold.c.number).where(*mine)).first() is not None,
                lent_to_self=connection.execute(lent.where(of_title, loan.c.cardholder_id == holder)).first()
                is not None,
            )
            borrower = borrower_of(context, connection, who, terms, moment)
            refused = service.reserve(borrower, view, moment, terms.tariff)
            if refused is not None:
                raise LendingRefused(refused.reason, refused.message)
            kept = holds.place(context, connection, found.id, holder, place)
            return Outcome(ok=True, copy=kept or "", title=found.name, kept=kept is not None)

    def cancel(self, barcode: str, wanted: str, *, by: str) -> Outcome:
        """Take a reader out of a title's queue."""
        del by

        def leave() -> Outcome:
            title_id = self._title_id(wanted)
            with self._context.database.begin() as connection:
                connection.execute(select(title.c.id).where(title.c.id == title_id).with_for_update())
                who = locked_member(connection, barcode)
                if not holds.leave(self._context, connection, title_id, CardholderId(who.cardholder_id)):
                    raise LendingRefused("not_waiting", "You are not waiting for this.")
            return Outcome(ok=True)

        return self._outcome(wanted, leave)

    def pay(
        self, barcode: str, amount_minor: int, *, method: str, by: str, reference: str | None = None
    ) -> Outcome:
        """Note what the library's own till took."""
        context = self._context

        def take() -> Outcome:
            with context.database.begin() as connection:
                who = locked_member(connection, barcode)
                pay(
                    connection,
                    lending_service(context.services),
                    CardholderId(who.cardholder_id),
                    amount_minor,
                    method=method,
                    by=by,
                    reference=reference,
                    moment=context.now(),
                )
            return Outcome(ok=True)

        return self._outcome("", take)

    def bar(self, barcode: str, *, by: str, barred: bool) -> Outcome:
        """Keep a reader from borrowing, or let them again."""

        def change() -> Outcome:
            with self._context.database.begin() as connection:
                set_barred(connection, barcode, barred=barred, by=by, moment=self._context.now())
            return Outcome(ok=True)

        return self._outcome("", change)

    def _title_id(self, wanted: str) -> str:
        """A title's key, or that of a copy."""
        with self._context.database.reading() as connection:
            found = connection.scalar(select(copy.c.title_id).where(copy.c.barcode == wanted))
        return str(found) if found is not None else wanted

    def _outcome(self, number: str, act: Callable[[], Outcome]) -> Outcome:
        try:
            return act()
        except LendingRefused as refused:
            name = self._name(number)
            return Outcome(ok=False, reason=refused.reason, message=str(refused), copy=number, title=name)
        except (MemberUnknown, CopyUnknown) as unknown:
            message = "This is not known here; please ask a librarian."
            return Outcome(ok=False, reason=unknown.code, message=message, copy=number)

    def _name(self, number: str) -> str:
        with self._context.database.reading() as connection:
            found = find_copy(connection, number)
        return "" if found is None else str(found.name)


def _given(given: lending.Given) -> Outcome:
    return Outcome(
        ok=True,
        copy=given.copy,
        title=given.title,
        due_on=given.due_on,
        renewed=given.renewed,
        fine_minor=given.fine_minor,
        flags=given.flags,
    )


def _unpaid(fines: tuple[int, ...], owed_minor: int) -> tuple[int, ...]:
    """Of what was charged the latest, up to what is owed: the oldest are paid first."""
    unpaid: list[int] = []
    for amount_minor in fines:
        if owed_minor > 0:
            unpaid.append(min(amount_minor, owed_minor))
            owed_minor -= amount_minor
    return tuple(unpaid)
