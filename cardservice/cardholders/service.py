"""Cardholders: whose money each one spends, and what a till needs to know of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from cardservice.allergens import ALLERGENS
from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.photos import MAX_BYTES
from cardservice.cardholders.records import read_fields, read_many, write_field
from cardservice.cardholders.sealing import Field
from cardservice.errors import CardholderUnknown, OrderInvalid, PhotoRefused
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.payers import assign_payer, create_payer, touch_payers_of
from cardservice.ledger.privacy import key_of

MAX_NAME = 200  # ours: characters of a person's name
MAX_FORM = 16  # ours: characters of a school class
_OF_A_PROFILE = (Field.NAME, Field.FORM, Field.ALLERGENS, Field.PHOTO)


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
    _require_name(new.name)
    holder = CardholderId(new_id())
    connection.execute(insert(cardholder).values(id=holder, category=new.category, created_at=moment))
    payer = create_payer(connection, "person", currency, moment)
    assign_payer(connection, holder, payer, moment, moment)
    # Made now, so that no posting has to: under it the proofs of this person are encrypted, and the record.
    key_of(connection, kek, holder, moment)
    write_field(connection, kek, holder, Field.NAME, new.name, moment)
    record(connection, actor, "cardholder.add", holder, moment, category=new.category)
    if new.form is not None:
        set_form(connection, kek, holder, new.form, actor=actor, moment=moment)
    if new.allergens:
        set_allergens(connection, kek, holder, new.allergens, actor=actor, moment=moment)
    return holder, payer


def require_cardholder(connection: Connection, holder: UUID) -> CardholderId:
    """The identifier again. Raises CardholderUnknown."""
    if connection.execute(select(cardholder.c.id).where(cardholder.c.id == holder)).first() is None:
        raise CardholderUnknown(holder)
    return CardholderId(holder)


def profile_of(connection: Connection, kek: KeyRing, holder: UUID) -> Profile:
    """What is known of a cardholder. Raises CardholderUnknown and RecordUnreadable."""
    category = connection.scalar(select(cardholder.c.category).where(cardholder.c.id == holder))
    if category is None:
        raise CardholderUnknown(holder)
    known = read_fields(connection, kek, CardholderId(holder), _OF_A_PROFILE)
    needs = set(known.get(Field.ALLERGENS, ()))
    return Profile(
        name=known.get(Field.NAME, ""),
        category=category,
        form=known.get(Field.FORM),
        allergens=tuple(allergen for allergen in ALLERGENS if allergen in needs),
        photo=known.get(Field.PHOTO),
    )


def name_of(connection: Connection, kek: KeyRing, holder: CardholderId) -> str:
    """A cardholder's name alone; empty where there is none any more."""
    name: str = read_fields(connection, kek, holder, [Field.NAME]).get(Field.NAME, "")
    return name


def names_of(
    connection: Connection, kek: KeyRing, holders: Collection[CardholderId]
) -> dict[CardholderId, tuple[str, str]]:
    """Name and form of each who has a name still; an empty form where there is none."""
    read = read_many(connection, kek, holders, [Field.NAME, Field.FORM])
    return {
        holder: (values[Field.NAME], values.get(Field.FORM, ""))
        for holder, values in read.items()
        if Field.NAME in values
    }


def set_name(
    connection: Connection,
    kek: KeyRing,
    holder: CardholderId,
    name: str,
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Put right what somebody is called, also what they are found by. Raises OrderInvalid.

    What is printed on their card stays: order a replacement.
    """
    _require_name(name)
    lock_cardholder(connection, holder)
    write_field(connection, kek, holder, Field.NAME, name, moment)
    _changed(connection, holder, "name", actor, moment)


def set_form(
    connection: Connection,
    kek: KeyRing,
    holder: CardholderId,
    form: str | None,
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Note somebody's school class, or that they have none. Raises OrderInvalid."""
    if form is not None and not (1 <= len(form) <= MAX_FORM and form.isprintable() and form == form.strip()):
        raise OrderInvalid(f"{form[:40]!r} is no form; write up to {MAX_FORM} characters, such as 5B")
    lock_cardholder(connection, holder)
    write_field(connection, kek, holder, Field.FORM, form, moment)
    _changed(connection, holder, "form", actor, moment)


def set_allergens(
    connection: Connection,
    kek: KeyRing,
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
    lock_cardholder(connection, holder)
    write_field(connection, kek, holder, Field.ALLERGENS, sorted(set(allergens)) or None, moment)
    # Rules look at it: nothing that was decided before is posted after.
    touch_payers_of(connection, holder)
    _changed(connection, holder, "allergens", actor, moment)


def set_photo(
    connection: Connection,
    kek: KeyRing,
    holder: CardholderId,
    jpeg: bytes | None,
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Keep a photo that `photos.prepared` made in place of an earlier one, or none any more.

    Raises PhotoRefused.
    """
    if jpeg is not None and not 1 <= len(jpeg) <= MAX_BYTES:
        raise PhotoRefused(f"a photo that is kept has up to {MAX_BYTES} bytes; prepare it first")
    lock_cardholder(connection, holder)
    write_field(connection, kek, holder, Field.PHOTO, jpeg, moment)
    _changed(connection, holder, "photo", actor, moment)


def set_category(
    connection: Connection, holder: CardholderId, category: str, *, actor: str, moment: datetime
) -> None:
    """Let prices go by another category from now on."""
    lock_cardholder(connection, holder)
    connection.execute(update(cardholder).where(cardholder.c.id == holder).values(category=category))
    touch_payers_of(connection, holder)
    _changed(connection, holder, "category", actor, moment)


def category_of(connection: Connection, holder: CardholderId) -> str:
    """What prices go by. Raises CardholderUnknown."""
    category: str | None = connection.scalar(select(cardholder.c.category).where(cardholder.c.id == holder))
    if category is None:
        raise CardholderUnknown(holder)
    return category


def lock_cardholder(connection: Connection, holder: CardholderId) -> None:
    """Two who replace the same thing do so one after the other."""
    connection.execute(select(cardholder.c.id).where(cardholder.c.id == holder).with_for_update())


def _require_name(name: str) -> None:
    if not (1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise OrderInvalid(f"{name[:40]!r} is no name; write up to {MAX_NAME} characters on one line")


def _changed(connection: Connection, holder: CardholderId, what: str, actor: str, moment: datetime) -> None:
    """Note who changed what, and never to what: the audit log outlives the record."""
    record(connection, actor, "cardholder.set", holder, moment, changed=what)
