"""What a desk writes to the card of an order: put together from the records, and signed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.service import profile_of
from cardservice.cards.facial_image import fitting
from cardservice.cards.personalisation import open_order
from cardservice.cards.piv_objects import CardFace, objects_of
from cardservice.cards.service import require_card
from cardservice.keys import ServiceKeys


def contents_of(
    connection: Connection,
    keys: ServiceKeys,
    order_id: UUID,
    issuer: str,
    *,
    actor: str,
    moment: datetime,
) -> dict[int, bytes]:
    """Each object by its tag, for the card of an open order; that the holder's record was read is recorded.

    Asked for again it is the same, unless the holder's record has changed. Raises OrderUnknown, OrderClosed.
    """
    order = open_order(connection, order_id)
    card = require_card(connection, order.card_id)
    holder = profile_of(connection, keys.cardholder_kek, card.cardholder_id)
    record(connection, actor, "cardholder.print", card.cardholder_id, moment)
    face = CardFace(
        card=order.card_id,
        kind=order.kind,
        expires_on=order.expires_on,
        issued_on=order.ordered_at.date(),
        issuer=issuer,
        holder=holder.name,
        photo=None if holder.photo is None else fitting(holder.photo),
    )
    return objects_of(face, keys.content_signer)
