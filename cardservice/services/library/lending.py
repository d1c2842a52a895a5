"""The rules of lending: pure functions of the member, the copy or loan, the moment and the terms."""

from datetime import date, datetime, timedelta

from cardservice.services.lending import Borrower, CopyView, Late, Lent, LoanView, TitleView, Who
from cardservice.services.library.terms import YOUNG, Lending, MemberClass, Terms
from cardservice.services.seam import Refusal

# The stable reasons of lending; docs/services/library.md explains each.
NOT_A_MEMBER = "not_a_member"
BARRED = "barred"
SWITCHED_OFF = "service_off"
WITHDRAWN = "copy_withdrawn"
NOT_LENT = "not_lent"
LENT_TO_ANOTHER = "lent_to_another"
LENT_ALREADY = "lent_already"
KEPT_FOR_ANOTHER = "kept_for_another"
LOANS_FULL = "loans_full"
CLASS_FULL = "item_class_full"
OVERDUE = "overdue_items"
OWED = "owed_too_much"
RENEWALS_USED = "renewals_used"
WANTED = "wanted_by_another"
TOO_EARLY = "renewal_too_early"
HOLDS_FULL = "holds_full"
HELD_ALREADY = "held_already"
NO_COPIES = "no_copies"
TERMS_OVER = "tariff_expired"

REASONS = frozenset(
    {
        *(NOT_A_MEMBER, BARRED, SWITCHED_OFF, WITHDRAWN, NOT_LENT, LENT_TO_ANOTHER, LENT_ALREADY),
        *(KEPT_FOR_ANOTHER, LOANS_FULL, CLASS_FULL, OVERDUE, OWED, RENEWALS_USED, WANTED, TOO_EARLY),
        *(HOLDS_FULL, HELD_ALREADY, NO_COPIES, TERMS_OVER),
    }
)


def block(borrower: Borrower, terms: Terms) -> Refusal | None:
    """What keeps somebody from borrowing anything, whatever it is."""
    members = terms.members.get(borrower.category)
    return _not_a_member() if members is None else _block(borrower, members)


def lend(
    borrower: Borrower, copy: CopyView, moment: datetime, terms: Terms, *, done: bool = False
) -> Lent | Refusal:
    """Until when. What is `done` is lent all the same, unless somebody else has it or they are no member."""
    members = terms.members.get(borrower.category)
    if members is None:
        return _not_a_member()
    row = terms.lending.get((members.key, copy.item_class))
    if copy.lent_to is Who.OTHER:
        return Refusal(reason=LENT_TO_ANOTHER, message="This is on loan to somebody else.")
    if copy.lent_to is Who.SELF:
        return Refusal(reason=LENT_ALREADY, message="This is on loan to you already.")
    objection = (
        _over(moment, terms)
        or _block(borrower, members)
        or _of_copy(copy, row)
        or _full(borrower, copy.item_class, members, row)
    )
    if objection is not None and not done:
        return objection
    days = row.days if row is not None else 1
    due_on = terms.next_open(terms.day_of(moment) + timedelta(days=days))
    return Lent(due_on=due_on, flags=() if objection is None else (objection.reason,))


def renew(borrower: Borrower, loan: LoanView, wanted: int, moment: datetime, terms: Terms) -> Lent | Refusal:
    """Until when it is lent on, counted from today."""
    members = terms.members.get(borrower.category)
    if members is None:
        return _not_a_member()
    row = terms.lending.get((members.key, loan.item_class))
    objection = _over(moment, terms) or _block(borrower, members)
    if objection is not None:
        return objection
    if row is None or row.loans == 0:
        return Refusal(reason=NOT_LENT, message="This is not lent any more.")
    if loan.renewals >= row.renewals:
        return Refusal(
            reason=RENEWALS_USED,
            message="This has been renewed as often as it may be.",
            data={"renewals": row.renewals},
        )
    if wanted > 0:
        return Refusal(reason=WANTED, message="Somebody else is waiting for this.")
    due_on = terms.next_open(terms.day_of(moment) + timedelta(days=row.days))
    if due_on <= loan.due_on:
        return Refusal(reason=TOO_EARLY, message="Renewing now would not make the loan longer.")
    return Lent(due_on=due_on)


def late(category: str, loan: LoanView, moment: datetime, lent_under: Terms) -> Late:
    """What bringing it back at a moment costs, by the terms that it was lent under.

    Days that are closed do not count, nor do those of grace; never more than the cap, nothing for the young.
    """
    days = late_days(loan.due_on, moment, lent_under)
    members = lent_under.members.get(category)
    row = None if members is None else lent_under.lending.get((members.key, loan.item_class))
    if row is None or category in YOUNG:
        return Late(days=days, fine_minor=0)
    charged = max(0, days - row.grace_days)
    return Late(days=days, fine_minor=min(charged * row.fine_per_day_minor, row.fine_cap_minor))


def late_days(due_on: date, moment: datetime, terms: Terms) -> int:
    """How many open days a loan is late at a moment; none on its last day."""
    return terms.open_days(due_on, terms.day_of(moment))


def reserve(borrower: Borrower, title: TitleView, moment: datetime, terms: Terms) -> Refusal | None:
    """Why somebody may not queue for a title."""
    members = terms.members.get(borrower.category)
    if members is None:
        return _not_a_member()
    row = terms.lending.get((members.key, title.item_class))
    if objection := _over(moment, terms) or _block(borrower, members):
        return objection
    if row is None or row.loans == 0:
        return Refusal(reason=NOT_LENT, message="This is not lent to you.")
    if title.held_by_self:
        return Refusal(reason=HELD_ALREADY, message="You are waiting for this already.")
    if title.lent_to_self:
        return Refusal(reason=LENT_ALREADY, message="This is on loan to you already.")
    if title.copies == 0:
        return Refusal(reason=NO_COPIES, message="There is no copy of this any more.")
    if borrower.holds >= members.holds:
        message = "You are waiting for as many things as you may."
        return Refusal(reason=HOLDS_FULL, message=message, data={"holds": members.holds})
    return None


def kept_until(moment: datetime, terms: Terms) -> date:
    """The last day on which a copy is kept for somebody; an open one."""
    return terms.next_open(terms.day_of(moment) + timedelta(days=terms.hold_shelf_days))


def _not_a_member() -> Refusal:
    return Refusal(reason=NOT_A_MEMBER, message="There are no terms for this card's holder; ask a librarian.")


def _over(moment: datetime, terms: Terms) -> Refusal | None:
    """Nothing is lent by terms that nobody has renewed; what is out can be brought back."""
    if moment < terms.valid_until:
        return None
    return Refusal(reason=TERMS_OVER, message="The terms are over. Load newer ones.")


def _block(borrower: Borrower, members: MemberClass) -> Refusal | None:
    """What keeps a member from everything."""
    if borrower.off:
        return Refusal(reason=SWITCHED_OFF, message="The holder has switched this service off.")
    if borrower.barred:
        return Refusal(reason=BARRED, message="Please speak to a librarian.")
    if borrower.overdue >= members.overdue:
        message = "Please bring back first what is overdue."
        return Refusal(reason=OVERDUE, message=message, data={"overdue": borrower.overdue})
    if members.blocked_from_minor is not None and borrower.owed_minor >= members.blocked_from_minor:
        message = "Please pay first what is owed."
        return Refusal(reason=OWED, message=message, data={"owed_minor": borrower.owed_minor})
    return None


def _of_copy(copy: CopyView, row: Lending | None) -> Refusal | None:
    if copy.withdrawn:
        return Refusal(reason=WITHDRAWN, message="This is not part of the stock any more.")
    if row is None or row.loans == 0:
        return Refusal(reason=NOT_LENT, message="This is not lent to you.")
    if copy.kept_for is Who.OTHER:
        return Refusal(reason=KEPT_FOR_ANOTHER, message="This is kept for somebody else.")
    return None


def _full(borrower: Borrower, item_class: str, members: MemberClass, row: Lending | None) -> Refusal | None:
    if len(borrower.on_loan) >= members.loans:
        message = "You have as many things on loan as you may."
        return Refusal(reason=LOANS_FULL, message=message, data={"loans": members.loans})
    if row is not None and borrower.on_loan.count(item_class) >= row.loans:
        message = "You have as many of these on loan as you may."
        return Refusal(reason=CLASS_FULL, message=message, data={"loans": row.loans})
    return None
