"""Orders that a bureau makes: which it has, and the files that it gets for them.

The keys are made on the cards. So a bureau has each card in its machine twice, or waits between: it gets the
order, answers with the requests for the keys that the cards have made (`results`), gets the certificates for
them, and tells what became of each card.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from sqlalchemy import Connection, Row, insert, select

from cardservice.audit.service import record
from cardservice.blanks.models import blank_stock
from cardservice.bureau.errors import BatchRefused, BatchUnknown, BureauUnknown
from cardservice.bureau.files import CERTIFICATES, MOST_CARDS, ORDER, seal, to_base64, write
from cardservice.bureau.models import bureau, bureau_batch, bureau_item
from cardservice.cardholders.details import PROTECTED
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cards.contents import contents_of
from cardservice.cards.models import personalisation_order
from cardservice.cards.personalisation import (
    Delivery,
    Order,
    OrderState,
    require_order,
    standing_certificates,
)
from cardservice.cards.service import AUTHORITY, require_card
from cardservice.cards.slots import PROFILE_OF, SLOTS_OF_KIND
from cardservice.context import Context
from cardservice.errors import OrderClosed, OrderInvalid
from cardservice.ids import CardholderId, new_id

HOLDER, SCHOOL, DESK = "holder", "school", "desk"
SENT_TO = (HOLDER, SCHOOL, DESK)
_ID = re.compile(r"[a-z][a-z0-9-]{0,31}")
_LINES = ("saon", "paon", "street", "locality", "town", "administrative_area", "postcode")


@dataclass(frozen=True, slots=True)
class Bureau:
    """Who makes cards for us."""

    id: str
    name: str
    signing_key: ec.EllipticCurvePublicKey
    sealing_key: ec.EllipticCurvePublicKey
    # Where its blanks are counted, and which they are
    blanks: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders that went to a bureau together, in their order."""

    id: UUID
    bureau_id: str
    send_to: str
    made_at: datetime
    orders: tuple[UUID, ...]


def add_bureau(
    connection: Connection,
    bureau_id: str,
    name: str,
    signing_key: bytes,
    sealing_key: bytes,
    blanks: tuple[str, str] | None = None,
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Register a bureau with its two public keys (PEM, P-256), of a use each. Raises OrderInvalid."""
    if not _ID.fullmatch(bureau_id):
        raise OrderInvalid(f"{bureau_id[:40]!r} names no bureau; write it like vale-cards")
    if connection.scalar(select(bureau.c.id).where(bureau.c.id == bureau_id)) is not None:
        raise OrderInvalid(f"there is a bureau {bureau_id} already")
    points = [_point(key) for key in (signing_key, sealing_key)]
    if points[0] == points[1]:
        raise OrderInvalid("the key that signs is another one than the key that things are sealed for")
    if blanks is not None:
        own = blank_stock.c
        there = select(own["count"]).where(own.place_id == blanks[0], own.product == blanks[1])
        if connection.scalar(there) is None:
            raise OrderInvalid(f"no {blanks[1][:40]!r} ever lay at {blanks[0][:40]!r}; see stock show")
    connection.execute(
        insert(bureau).values(
            id=bureau_id,
            name=name,
            signing_key=points[0],
            sealing_key=points[1],
            place_id=None if blanks is None else blanks[0],
            product=None if blanks is None else blanks[1],
        )
    )
    record(connection, actor, "bureau.add", bureau_id, moment)


def require_bureau(connection: Connection, bureau_id: str) -> Bureau:
    """The bureau of this identifier. Raises BureauUnknown."""
    row = connection.execute(select(bureau).where(bureau.c.id == bureau_id)).one_or_none()
    if row is None:
        raise BureauUnknown(f"there is no bureau {bureau_id[:40]!r}; register it first (bureau add)")
    return _bureau(row)


def list_bureaux(connection: Connection) -> list[Bureau]:
    """Bureaux, by identifier; a scheme has few."""
    return [_bureau(row) for row in connection.execute(select(bureau).order_by(bureau.c.id))]


def _bureau(row: Row[Any]) -> Bureau:
    blanks = None if row.place_id is None else (row.place_id, row.product)
    return Bureau(row.id, row.name, _public(row.signing_key), _public(row.sealing_key), blanks)


def waiting_orders(connection: Connection) -> list[UUID]:
    """Orders of cards that are to be sent, which no bureau has, the oldest first; at most MOST_CARDS."""
    own = personalisation_order.c
    return list(
        connection.scalars(
            select(own.id)
            .outerjoin(bureau_item, bureau_item.c.order_id == own.id)
            .where(
                own.state == OrderState.OPEN,
                own.delivery == Delivery.POST,
                bureau_item.c.order_id.is_(None),
            )
            .order_by(own.created_at, own.id)
            .limit(MOST_CARDS)
        )
    )


def make_batch(
    connection: Connection,
    bureau_id: str,
    orders: Sequence[UUID],
    send_to: str,
    *,
    actor: str,
    moment: datetime,
) -> Batch:
    """Give orders to a bureau; from then on no desk makes them.

    Raises BatchRefused, OrderUnknown and OrderInvalid.
    """
    require_bureau(connection, bureau_id)
    if send_to not in SENT_TO:
        raise OrderInvalid(f"cards are sent to {', '.join(SENT_TO)}; {send_to[:40]!r} is none of them")
    if not 1 <= len(orders) <= MOST_CARDS or len(set(orders)) != len(orders):
        raise BatchRefused(f"a batch has from 1 to {MOST_CARDS} orders, each once; these are {len(orders)}")
    for each in orders:
        _require_free(connection, require_order(connection, each))
    made = Batch(new_id(), bureau_id, send_to, moment, tuple(orders))
    connection.execute(
        insert(bureau_batch).values(
            id=made.id, bureau_id=bureau_id, send_to=send_to, made_at=moment, made_by=actor
        )
    )
    rows = [
        {"order_id": each, "batch_id": made.id, "number": number}
        for number, each in enumerate(orders, start=1)
    ]
    connection.execute(insert(bureau_item), rows)
    record(connection, actor, "bureau.batch", made.id, moment, cards=len(orders))
    return made


def require_batch(connection: Connection, batch_id: UUID) -> Batch:
    """The batch of this identifier. Raises BatchUnknown."""
    row = connection.execute(select(bureau_batch).where(bureau_batch.c.id == batch_id)).one_or_none()
    if row is None:
        raise BatchUnknown(f"there is no batch {batch_id}")
    own = bureau_item.c
    orders = connection.scalars(select(own.order_id).where(own.batch_id == batch_id).order_by(own.number))
    return Batch(row.id, row.bureau_id, row.send_to, row.made_at, tuple(orders))


def require_not_at_bureau(connection: Connection, order_id: UUID) -> None:
    """Raises OrderClosed where a bureau has the order: two cards would be made of it."""
    own = bureau_item.c
    if connection.scalar(select(own.batch_id).where(own.order_id == order_id)) is not None:
        raise OrderClosed(order_id, "with a card bureau")


def order_file(context: Context, connection: Connection, batch: Batch, *, actor: str) -> bytes:
    """What the bureau is to make of a batch: those whose orders are open. Written again, it says the same.

    Whose records were read for it is noted with each person.
    """
    whom = require_bureau(connection, batch.bureau_id)
    orders = list(_open(connection, batch.orders))
    lines = [_order_line(context, connection, batch, number, order, whom, actor) for number, order in orders]
    record(connection, actor, "bureau.order_file", batch.id, context.now(), cards=len(lines))
    return write(_head(context, ORDER, batch), lines, context.keys.content_signer.key)


def certificates_file(context: Context, connection: Connection, batch: Batch) -> bytes:
    """The certificates for the keys that the cards of a batch have made, as far as they were asked for."""
    authority = context.authority(AUTHORITY, connection)
    lines = []
    for number, order in _open(connection, batch.orders):
        standing = standing_certificates(authority, order)
        if set(standing) == set(SLOTS_OF_KIND[order.kind]):
            told = {slot.value: to_base64(der) for slot, der in standing.items()}
            lines.append({**_named(number, order), "certificates": told})
    return write(_head(context, CERTIFICATES, batch), lines, context.keys.content_signer.key)


def _order_line(
    context: Context,
    connection: Connection,
    batch: Batch,
    number: int,
    order: Order,
    whom: Bureau,
    actor: str,
) -> dict[str, Any]:
    objects = contents_of(
        connection, context.keys, order.id, context.scheme.id, actor=actor, moment=context.now()
    )
    holder = require_card(connection, order.card_id).cardholder_id
    secret = {
        "management_key": context.keys.management_key(order.card_id).hex(),
        "puk": context.keys.puk(order.card_id),
        "objects": {f"{tag:X}": to_base64(content) for tag, content in objects.items()},
        "send_to": where_to(context, connection, holder, batch.send_to),
    }
    return {
        **_named(number, order),
        "kind": order.kind,
        "expires_on": order.expires_on.isoformat(),
        "slots": [slot.value for slot in SLOTS_OF_KIND[order.kind]],
        "profiles": {slot.value: PROFILE_OF[slot].name for slot in SLOTS_OF_KIND[order.kind]},
        "sealed": seal(secret, whom.sealing_key, context.scheme.id, batch.id, order.id),
    }


def where_to(
    context: Context, connection: Connection, holder: CardholderId, send_to: str
) -> dict[str, str | list[str]]:
    """Where a card goes: to its holder's address, to their school, or to a desk where neither may be told."""
    known = read_fields(
        connection,
        context.keys.cardholder_kek,
        holder,
        [Field.NAME, Field.ADDRESS, Field.FLAGS, Field.PUPIL, Field.FORM],
    )
    if PROTECTED in known.get(Field.FLAGS, ()):
        return {"to": DESK}
    school = known.get(Field.PUPIL, {}).get("school")
    if send_to == SCHOOL and school:
        return {"to": SCHOOL, "name": known[Field.NAME], "school": school, "form": known.get(Field.FORM, "")}
    if send_to == HOLDER and Field.ADDRESS in known:
        return {"to": HOLDER, "name": known[Field.NAME], "lines": address_lines(known[Field.ADDRESS])}
    return {"to": DESK}


def address_lines(address: Mapping[str, str]) -> list[str]:
    """An address as it stands on an envelope."""
    return [address[part] for part in _LINES if part in address]


def _require_free(connection: Connection, order: Order) -> None:
    if order.state is not OrderState.OPEN or order.delivery is not Delivery.POST:
        raise BatchRefused(
            f"order {order.id} is {order.state}, by {order.delivery}; a bureau gets open ones by post"
        )
    if (
        connection.scalar(select(bureau_item.c.batch_id).where(bureau_item.c.order_id == order.id))
        is not None
    ):
        raise BatchRefused(f"order {order.id} is with a bureau already")


def _open(connection: Connection, orders: Collection[UUID]) -> Iterator[tuple[int, Order]]:
    for number, each in enumerate(orders, start=1):
        order = require_order(connection, each)
        if order.state in {OrderState.OPEN, OrderState.CERTIFIED}:
            yield number, order


def _named(number: int, order: Order) -> dict[str, Any]:
    return {"number": number, "order": str(order.id), "card": str(order.card_id)}


def _head(context: Context, form: str, batch: Batch) -> dict[str, Any]:
    signer = context.keys.content_signer.certificate
    return {
        "format": form,
        "scheme": context.scheme.id,
        "batch": str(batch.id),
        "bureau": batch.bureau_id,
        "made_at": context.now().isoformat(),
        "certificate": to_base64(signer.public_bytes(Encoding.DER)),
    }


def _point(pem: bytes) -> bytes:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise OrderInvalid("a bureau's keys are public keys of P-256, in PEM")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _public(point: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
