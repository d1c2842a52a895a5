"""What follows of what somebody agrees to, or no longer: done with the note of it, not left to somebody."""

from sqlalchemy import Connection, select

from cardservice.cardholders.details import Noting, set_consent
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import set_photo
from cardservice.circulation.members import set_history
from cardservice.circulation.models import member

LOAN_HISTORY, PHOTO = "loan_history", "photo"


def consent(
    connection: Connection, noting: Noting, purpose: str, wording: str | None = None, *, given: bool
) -> None:
    """Note that somebody agrees to something, or no longer, and do what follows of it.

    A member's loans are kept from then on, or forgotten; a photo that is not to be kept is taken away.
    Raises OrderInvalid.
    """
    set_consent(connection, noting, purpose, wording, given=given)
    if purpose == LOAN_HISTORY:
        barcode = connection.scalar(select(member.c.barcode).where(member.c.cardholder_id == noting.holder))
        if barcode is not None:
            set_history(connection, barcode, keep=given, by=noting.actor, moment=noting.moment)
    if purpose == PHOTO and not given and read_fields(connection, noting.kek, noting.holder, [Field.PHOTO]):
        set_photo(connection, noting.kek, noting.holder, None, actor=noting.actor, moment=noting.moment)
