"""Whose card it is: told to a terminal that may see holders, of a card that may be used, and written down."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.authorisation.status import Objection, status_of
from cardservice.cardholders.service import profile_of
from cardservice.cards.service import Card, card_certificate, find_card
from cardservice.context import Context
from cardservice.errors import CardNotInScheme, CardUnusable
from cardservice.ids import CardId
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.terminals.service import Terminal


@dataclass(frozen=True, slots=True, repr=False)
class Presentation:
    """What a till shows of the holder: nothing that tells what they pay, or who pays for them."""

    card: CardId
    name: str
    form: str | None
    # In the order of the law.
    allergens: tuple[str, ...]
    photo: bytes | None


def present(context: Context, terminal: Terminal, card_id: UUID) -> Presentation:
    """The holder of a card, for a terminal with the duty to see holders; committed to the audit log first.

    Raises CardNotInScheme, and CardUnusable for a card that a sale would be declined with.
    """
    moment = context.now()
    with context.database.begin() as connection:
        card = usable_card(connection, card_id, moment)
        profile = profile_of(connection, context.keys.cardholder_kek, card.cardholder_id)
        record(connection, f"terminal:{terminal.id}", "cardholder.present", card.cardholder_id, moment)
    return Presentation(card.id, profile.name, profile.form, profile.allergens, profile.photo)


def usable_card(connection: Connection, card_id: UUID, moment: datetime) -> Card:
    """The card, if a sale would not be declined for what it is. Raises CardNotInScheme and CardUnusable."""
    card = find_card(connection, card_id)
    if card is None:
        raise CardNotInScheme("the card is not of this scheme")
    if (objection := _objection(connection, card, moment)) is not None:
        raise CardUnusable(objection.reason, objection.message)
    return card


def _objection(connection: Connection, card: Card, moment: datetime) -> Objection | None:
    latest = card_certificate(DatabaseCertificateStore(connection), card.id)
    return status_of(
        card,
        moment,
        certificate_ends=latest.not_after if latest else None,
        certificate_revoked_at=latest.revoked_at if latest else None,
    )
