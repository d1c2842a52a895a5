"""Cardholders' records as JSON, for staff."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Range

from cardservice.allergens import ALLERGENS
from cardservice.api.fields import Bytes, Identifier, Message, Moment, text
from cardservice.cardholders.details import CONSENTS, FLAGS, MAX_LINE, PREFERENCES
from cardservice.cardholders.service import MAX_FORM, MAX_NAME
from cardservice.staff_api.sharing import Day, next_field

# Ours: what comes from a camera at a desk; what is larger is made smaller, or kept by command.
MAX_PHOTO_BYTES, MAX_PHOTO_BODY_BYTES = 4 << 20, 6 << 20


def _line(**options: Any) -> fields.String:
    return text(MAX_LINE, load_default=None, **options)


class SearchPeopleSchema(Message):
    """Whom somebody looks for: all of what is given must fit."""

    name = text(MAX_NAME, load_default=None)
    sounds_like = fields.Boolean(load_default=False)
    born_on = Day(load_default=None)
    postcode = text(8, load_default=None)


class FoundSchema(Message):
    """Somebody who may be meant; as little as tells them apart."""

    cardholder = Identifier(required=True)
    name = fields.String(required=True)
    born_on = fields.String(required=True, allow_none=True)
    postcode = fields.String(required=True, allow_none=True)


class FoundAllSchema(Message):
    """Who fits, who has the whole name first; nobody is left out without `more`."""

    cardholders = fields.List(fields.Nested(FoundSchema), required=True)
    more = fields.Boolean(
        required=True, metadata={"description": "others fit, or may: say more of whom you look for"}
    )
    hint = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "how to narrow it down, in words"},
    )


class NewCardholderSchema(Message):
    """A person who is to have cards."""

    name = text(MAX_NAME, required=True)
    category = text(load_default="adult", metadata={"description": "what prices go by"})
    form = text(MAX_FORM, load_default=None)
    allergens = fields.List(fields.String(validate=OneOf(list(ALLERGENS))), load_default=list)


class MadeCardholderSchema(Message):
    """A person who was registered."""

    cardholder = Identifier(required=True)
    payer = Identifier(required=True)


class AddressSchema(Message):
    """The parts of BS 7666 that there are."""

    uprn = _line()
    saon = _line()
    paon = _line()
    street = _line()
    locality = _line()
    town = _line()
    administrative_area = _line()
    postcode = _line()


class ContactSchema(Message):
    """How somebody is reached."""

    email = text(254, load_default=None)
    telephone = text(24, load_default=None)


class PreferencesSchema(Message):
    """How somebody likes to be served, all of it."""

    wanted = fields.List(fields.String(validate=OneOf(list(PREFERENCES))), required=True)
    language = text(16, load_default=None)


class ConsentSchema(Message):
    """That somebody agrees, by which version of the wording; or no longer."""

    given = fields.Boolean(required=True)
    wording = text(32, load_default=None)


class RecordSchema(Message):
    """A record. Of a protected person address and contact are `protected`."""

    cardholder = Identifier(required=True)
    name = fields.String(required=True)
    category = fields.String(required=True)
    form = fields.String(required=True, allow_none=True)
    allergens = fields.List(fields.String(), required=True)
    photo = Bytes(required=True, allow_none=True, metadata={"description": "JPEG"})
    born_on = fields.Raw(required=True, allow_none=True)
    address = fields.Raw(required=True, allow_none=True)
    contact = fields.Raw(required=True, allow_none=True)
    preferences = fields.Raw(required=True, allow_none=True)
    consents = fields.Raw(required=True, allow_none=True)
    flags = fields.Raw(required=True, allow_none=True)


class PhotoSchema(Message):
    """Somebody's photo, as it is kept."""

    photo = Bytes(required=True, allow_none=True, metadata={"description": "JPEG, at most 40,000 bytes"})


class NewPhotoSchema(Message):
    """A photo as a camera made it, or null: none any more."""

    photo = Bytes(
        required=True,
        allow_none=True,
        max_length=MAX_PHOTO_BYTES,
        metadata={"description": "JPEG or PNG of at most 4 MiB"},
    )


class BecauseSchema(Message):
    """Why somebody must see an address that is protected."""

    because = text(200, required=True)


class ChangesSchema(Message):
    """What is to be noted; what is not named stays, null takes away."""

    name = text(MAX_NAME)
    form = text(MAX_FORM, allow_none=True)
    allergens = fields.List(
        fields.String(validate=OneOf(list(ALLERGENS))), validate=Length(max=len(ALLERGENS))
    )
    born_on = Day(allow_none=True)
    address = fields.Nested(AddressSchema, allow_none=True)
    contact = fields.Nested(ContactSchema, allow_none=True)
    preferences = fields.Nested(PreferencesSchema)
    flags = fields.Dict(keys=fields.String(validate=OneOf(list(FLAGS))), values=fields.Boolean())
    consents = fields.Dict(
        keys=fields.String(validate=OneOf(list(CONSENTS))), values=fields.Nested(ConsentSchema)
    )

    @validates_schema
    def require_one(self, data: dict[str, Any], **_: object) -> None:
        """That something is to change."""
        if not data:
            raise ValidationError("say what to change")


class AccessSchema(Message):
    """Somebody has seen or changed the record."""

    at = Moment(required=True)
    actor = fields.String(required=True)
    action = fields.String(required=True)
    changed = fields.String(required=True, allow_none=True)
    read = fields.Boolean(required=True)


class AccessesSchema(Message):
    """A page of them, the earliest first."""

    accesses = fields.List(fields.Nested(AccessSchema), required=True)
    next = next_field()


class ExportOrderSchema(Message):
    """Who asks for what is kept of a person: that person, or a guardian with the right `see`."""

    asked_by = Identifier(load_default=None, allow_none=True)


class ExportSchema(Message):
    """All that is kept of a person, for that person."""

    record = fields.Dict(required=True, metadata={"description": "see docs/cardholders.md"})


class ObjectionSchema(Message):
    """Why a person cannot be erased yet."""

    reason = fields.String(required=True)
    message = fields.String(required=True)


class PlanSchema(Message):
    """What erasing a person comes to, in numbers."""

    cardholder = Identifier(required=True)
    cards = fields.Integer(required=True, validate=Range(0))
    cards_to_revoke = fields.Integer(required=True)
    transactions = fields.Integer(required=True)
    details = fields.Integer(required=True)
    audit_entries = fields.Integer(required=True)
    held_back = fields.Integer(required=True)
    objections = fields.List(fields.Nested(ObjectionSchema), required=True)


class ErasureSchema(Message):
    """That it is meant: the same identifier again. It cannot be undone."""

    erase = Identifier(required=True)
