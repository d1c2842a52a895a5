"""Cardholders: whose money each one spends, and what a till needs to know of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from cardservice.allergens import ALLERGENS
from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder, cardholder_photo, dietary_need
from cardservice.errors import CardholderUnknown, OrderInvalid
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.payers import assign_payer, create_payer, touch_payers_of
from cardservice.ledger.privacy import key_of

MAX_NAME = 200  # ours: characters of a person's name
MAX_FORM = 16  # ours: characters of a school class


@dataclass(frozen=True, slots=True, repr=False)
class NewCardholder:
    """A person who is to have cards."""

    name: str
    category: str
    form: str | None = None
    allergens: Collection[str] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """What is known of a person; whoever reads one for somebody records it in the audit log."""

    name: str
    category: str
    form: str | None
    # In the order of the law.
    allergens: tuple[str, ...]
    photo: bytes | None


def add_cardholder(
    connection: Connection, new: NewCardholder, currency: str, kek: KeyRing, *, actor: str, moment: datetime
) -> tuple[CardholderId, PayerId]:
    """Register a person, who from now on pays for themself. Raises OrderInvalid."""
    if not (1 <= len(new.name) <= MAX_NAME and new.name.isprintable() and new.name == new.name.strip()):
        raise OrderInvalid(f"{new.name[:40]!r} is no name; write up to {MAX_NAME} characters on one line")
    holder = CardholderId(new_id())
    connection.execute(
        insert(cardholder).values(id=holder, name=new.name, category=new.category, created_at=moment)
    )
    payer = create_payer(connection, "person", currency, moment)
    assign_payer(connection, holder, payer, moment, moment)
    # Made now, so that no posting has to: under it the proofs of this person are encrypted.
    key_of(connection, kek, holder, moment)
    record(connection, actor, "cardholder.add", holder, moment, category=new.category)
    if new.form is not None:
        set_form(connection, holder, new.form, actor=actor, moment=moment)
    if new.allergens:
        set_allergens(connection, holder, new.allergens, actor=actor, moment=moment)
    return holder, payer


def require_cardholder(connection: Connection, holder: UUID) -> CardholderId:
    """The identifier again. Raises CardholderUnknown."""
    if connection.execute(select(cardholder.c.id).where(cardholder.c.id == holder)).first() is None:
        raise CardholderUnknown(holder)
    return CardholderId(holder)


def profile_of(connection: Connection, holder: UUID) -> Profile:
    """What is known of a cardholder. Raises CardholderUnknown."""
    row = connection.execute(
        select(cardholder, cardholder_photo.c.jpeg)
        .outerjoin(cardholder_photo, cardholder_photo.c.cardholder_id == cardholder.c.id)
        .where(cardholder.c.id == holder)
    ).one_or_none()
    if row is None:
        raise CardholderUnknown(holder)
    needs = set(
        connection.scalars(select(dietary_need.c.allergen).where(dietary_need.c.cardholder_id == holder))
    )
    return Profile(
        name=row.name,
        category=row.category,
        form=row.form,
        allergens=tuple(allergen for allergen in ALLERGENS if allergen in needs),
        photo=row.jpeg,
    )


def set_form(
    connection: Connection, holder: CardholderId, form: str | None, *, actor: str, moment: datetime
) -> None:
    """Note somebody's school class, or that they have none. Raises OrderInvalid."""
    if form is not None and not (1 <= len(form) <= MAX_FORM and form.isprintable() and form == form.strip()):
        raise OrderInvalid(f"{form[:40]!r} is no form; write up to {MAX_FORM} characters, such as 5B")
    connection.execute(update(cardholder).where(cardholder.c.id == holder).values(form=form))
    _changed(connection, holder, "form", actor, moment)


def set_allergens(
    connection: Connection,
    holder: CardholderId,
    allergens: Collection[str],
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Note all that somebody must not eat, in place of what was noted before. Raises OrderInvalid."""
    unknown = sorted(set(allergens) - set(ALLERGENS))
    if unknown:
        raise OrderInvalid(f"{unknown[0][:40]!r} is none of the 14 allergens: {', '.join(ALLERGENS)}")
    _lock(connection, holder)
    connection.execute(delete(dietary_need).where(dietary_need.c.cardholder_id == holder))
    if allergens:
        rows: list[dict[str, Any]] = [
            {"cardholder_id": holder, "allergen": allergen} for allergen in sorted(set(allergens))
        ]
        connection.execute(insert(dietary_need), rows)
    # Rules look at it: nothing that was decided before is posted after.
    touch_payers_of(connection, holder)
    _changed(connection, holder, "allergens", actor, moment)


def set_photo(
    connection: Connection, holder: CardholderId, jpeg: bytes | None, *, actor: str, moment: datetime
) -> None:
    """Keep a photo that `photos.prepared` made in place of an earlier one, or none any more."""
    _lock(connection, holder)
    connection.execute(delete(cardholder_photo).where(cardholder_photo.c.cardholder_id == holder))
    if jpeg is not None:
        connection.execute(insert(cardholder_photo).values(cardholder_id=holder, jpeg=jpeg))
    _changed(connection, holder, "photo", actor, moment)


def _lock(connection: Connection, holder: CardholderId) -> None:
    """Two who replace the same thing do so one after the other."""
    connection.execute(select(cardholder.c.id).where(cardholder.c.id == holder).with_for_update())


def _changed(connection: Connection, holder: CardholderId, what: str, actor: str, moment: datetime) -> None:
    """Note who changed what, and never to what: the audit log outlives the record."""
    record(connection, actor, "cardholder.set", holder, moment, changed=what)
