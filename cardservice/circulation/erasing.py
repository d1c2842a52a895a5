"""What erasing a person takes out of lending."""

from sqlalchemy import Connection, delete, func, select

from cardservice.circulation.models import fine, history, hold, loan, member, payment
from cardservice.ids import CardholderId


def open_loans(connection: Connection, holder: CardholderId) -> int:
    """How many things somebody has on loan."""
    theirs = select(func.count()).select_from(loan).where(loan.c.cardholder_id == holder)
    return connection.execute(theirs).scalar_one()


def forget_member(connection: Connection, holder: CardholderId) -> None:
    """Take away that somebody is a member, what they wait for, and what they were charged and paid.

    What they owed stays under a key that leads to nobody.
    """
    for table in (hold, history, fine, payment, member):
        connection.execute(delete(table).where(table.c.cardholder_id == holder))
