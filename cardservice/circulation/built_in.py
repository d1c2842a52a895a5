"""The built-in system behind the seam: what is refused becomes an answer, and each reading is noted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, func, select

from cardservice.audit.service import record
from cardservice.circulation import holds, lending
from cardservice.circulation.errors import CopyUnknown, LendingRefused, MemberUnknown
from cardservice.circulation.fines import fines_of, pay
from cardservice.circulation.members import (
    check_pin,
    find_member,
    find_reader,
    locked_member,
    reader_name,
    set_barred,
)
from cardservice.circulation.models import copy, loan
from cardservice.circulation.pins import Pins
from cardservice.circulation.standing import standing_of
from cardservice.circulation.stock import find_copy, find_item, locked_loans, locked_title
from cardservice.circulation.system import Item, Outcome, Patron, Pin
from cardservice.circulation.terms import lending_service
from cardservice.context import Context
from cardservice.ids import CardholderId
from cardservice.services.lending import TitleView


class BuiltIn:
    """Circulation in our own database; each thing asked is a transaction, unless it is `within` another."""

    def __init__(
        self, context: Context, pins: Pins | None = None, connection: Connection | None = None
    ) -> None:
        self._context = context
        self._pins = pins or Pins(context.keys.services_master)
        self._connection = connection

    def within(self, connection: Connection) -> "BuiltIn":
        """The same in the caller's turn (`Database.turn`): refusals leave it as it was."""
        return BuiltIn(self._context, self._pins, connection)

    @contextmanager
    def _turn(self) -> Iterator[Connection]:
        if self._connection is not None:
            yield self._connection
            return
        with self._context.database.turn() as connection:
            yield connection

    @property
    def currency(self) -> str:
        """The scheme's."""
        return self._context.scheme.currency

    def shows_pin(self, barcode: str, pin: str, *, by: str) -> Pin | None:
        """What comes of a member's PIN; None where there is no such member."""
        del by  # nothing of the record is read
        with self._turn() as connection:
            found = find_member(connection, barcode)
            checked = check_pin(connection, self._pins, found, pin, self._context.now())
            return None if found is None else checked

    def patron(self, barcode: str, pin: str | None, *, by: str) -> Patron | None:
        """A reader as of now; that the record was read is in the audit log. With a wrong PIN nothing is."""
        moment = self._context.now()
        service = lending_service(self._context.services)
        with self._turn() as connection:
            found = find_reader(connection, barcode)
            checked = check_pin(connection, self._pins, found, pin, moment)
            if found is None:
                return None
            holder = CardholderId(found.cardholder_id)
            record(connection, by, "lending.patron", holder, moment, pin=checked.value)
            if checked in (Pin.WRONG, Pin.LOCKED):
                return Patron(barcode=barcode, name="", pin=checked, currency=self.currency)
            standing = standing_of(self._context, connection, found, moment)
            owed_minor = standing.borrower.owed_minor
            blocked = service.block(standing.borrower, standing.terms.tariff)
            return Patron(
                barcode=barcode,
                name=reader_name(self._context.keys.cardholder_kek, found),
                pin=checked,
                currency=self.currency,
                owed_minor=owed_minor,
                block=None if blocked is None else blocked.reason,
                block_message="" if blocked is None else blocked.message,
                on_loan=standing.on_loan,
                waiting=standing.waiting,
                fines=_unpaid(fines_of(connection, holder), owed_minor) if owed_minor else (),
            )

    def item(self, number: str) -> Item | None:
        """A copy as of now."""
        with self._turn() as connection:
            found = find_item(connection, number)
        if found is None:
            return None
        state = "withdrawn" if found.withdrawn else "available"
        if found.due_on is not None or found.kept is not None:
            state = "lent" if found.due_on is not None else "kept"
        return Item(
            copy=number,
            title=found.name,
            state=state,
            due_on=found.due_on,
            queue=found.waiting,
            home=found.branch,
            place=found.place,
        )

    def check_out(
        self, barcode: str, number: str, *, by: str, place: str, done: bool = False, renew: bool = False
    ) -> Outcome:
        """Lend a copy."""
        del by  # a loan tells who has it, and not who gave it

        def lend(connection: Connection) -> Outcome:
            return _given(
                lending.check_out(
                    self._context, connection, barcode, number, place=place, done=done, renew=renew
                )
            )

        return self._outcome(number, lend)

    def check_in(self, number: str, *, by: str, place: str, returned_at: datetime | None = None) -> Outcome:
        """Take a copy back."""
        del by

        def take(connection: Connection) -> Outcome:
            back = lending.check_in(self._context, connection, number, place=place, returned_at=returned_at)
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
        return self._outcome(
            number, lambda connection: _given(lending.renew(self._context, connection, barcode, number))
        )

    def renew_all(self, barcode: str, *, by: str) -> Sequence[Outcome]:
        """Lend on whatever may be, what is due first first; in one transaction."""
        with self._turn() as connection:
            found = find_member(connection, barcode)
            if found is None:
                return ()
            numbers = locked_loans(connection, CardholderId(found.cardholder_id))
            system = self.within(connection)
            return [system.renew(barcode, number, by=by) for number in numbers]

    def reserve(self, barcode: str, wanted: str, *, by: str, place: str) -> Outcome:
        """Put a reader at the end of a title's queue."""
        del by
        return self._outcome(wanted, lambda connection: self._reserve(connection, barcode, wanted, place))

    def _reserve(self, connection: Connection, barcode: str, wanted: str, place: str) -> Outcome:
        context, moment = self._context, self._context.now()
        service = lending_service(context.services)
        found = locked_title(connection, wanted)
        if found is None:
            raise CopyUnknown(wanted)
        who = locked_member(connection, barcode)
        holder = CardholderId(who.cardholder_id)
        standing = standing_of(context, connection, who, moment)
        terms = standing.terms
        if holds.expire(context, connection, found.id, service.local_day(moment, terms.tariff)):
            standing = standing_of(context, connection, who, moment)
        of_title = copy.c.title_id == found.id
        lent = select(loan.c.copy).join(copy, copy.c.barcode == loan.c.copy)
        view = TitleView(
            item_class=found.item_class,
            copies=connection.execute(
                select(func.count()).select_from(copy).where(of_title, ~copy.c.withdrawn)
            ).scalar_one(),
            held_by_self=found.id in standing.held,
            lent_to_self=connection.execute(lent.where(of_title, loan.c.cardholder_id == holder)).first()
            is not None,
        )
        refused = service.reserve(standing.borrower, view, moment, terms.tariff)
        if refused is not None:
            raise LendingRefused(refused.reason, refused.message)
        kept = holds.place(context, connection, found.id, holder, place)
        return Outcome(ok=True, copy=kept or "", title=found.name, kept=kept is not None)

    def cancel(self, barcode: str, wanted: str, *, by: str) -> Outcome:
        """Take a reader out of a title's queue."""
        del by

        def leave(connection: Connection) -> Outcome:
            found = locked_title(connection, wanted)
            who = locked_member(connection, barcode)
            holder = CardholderId(who.cardholder_id)
            if found is None or not holds.leave(self._context, connection, found.id, holder):
                raise LendingRefused("not_waiting", "You are not waiting for this.")
            return Outcome(ok=True)

        return self._outcome(wanted, leave)

    def pay(
        self, barcode: str, amount_minor: int, *, method: str, by: str, reference: str | None = None
    ) -> Outcome:
        """Note what the library's own till took."""
        context = self._context

        def take(connection: Connection) -> Outcome:
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

        def change(connection: Connection) -> Outcome:
            set_barred(connection, barcode, barred=barred, by=by, moment=self._context.now())
            return Outcome(ok=True)

        return self._outcome("", change)

    def _outcome(self, number: str, act: Callable[[Connection], Outcome]) -> Outcome:
        """What comes of it; what is refused has changed nothing but what was over anyway."""
        with self._turn() as connection:
            try:
                return act(connection)
            except LendingRefused as refused:
                found = find_copy(connection, number)
                name = "" if found is None else str(found.name)
                return Outcome(ok=False, reason=refused.reason, message=str(refused), copy=number, title=name)
            except (MemberUnknown, CopyUnknown) as unknown:
                message = "This is not known here; please ask a librarian."
                return Outcome(ok=False, reason=unknown.code, message=message, copy=number)


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
