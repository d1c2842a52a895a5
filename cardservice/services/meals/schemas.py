"""What a menu file and a file of programmes may say. Everything else is refused."""

import re
from collections.abc import Sequence

from marshmallow import Schema, ValidationError, fields, validate

from cardservice.allergens import ALLERGENS
from cardservice.services.meals.calendar import WEEKDAYS
from cardservice.services.meals.menu import CATEGORIES
from cardservice.services.tariff_files import KEY, Day, WholeNumber, is_label

MAX_ITEMS, MAX_WEEKS = 1_000, 12  # ours: of a menu, of its cycle
# Ours: what a kitchen says that an item suits.
DIETS = ("vegetarian", "vegan", "halal", "kosher", "no-pork", "no-beef")
# In which role a provider sells: the law taxes an authority's meals otherwise than a contractor's own.
ROLES = ("authority", "principal", "agent")
# GB-wide, and by the nation that runs a programme.
NATIONS = ("england", "scotland", "wales", "northern-ireland")
# Reception is R; Scotland and Northern Ireland say P1 to P7.
YEARS = ("N", "R", *map(str, range(1, 15)), *(f"P{number}" for number in range(1, 8)))


def _is_currency(value: str) -> None:
    if not (len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
        raise ValidationError("is not three capital letters")


def _allergens() -> fields.List[str]:
    """Required: that nothing is said must not read as if there were none."""
    known = validate.OneOf(ALLERGENS, error="{input!r} is none of the 14 allergens: {choices}")
    return fields.List(fields.String(validate=known), required=True, validate=validate.Length(max=14))


def _some_of(known: Sequence[str]) -> fields.List[str]:
    among = validate.OneOf(known, error="{input!r} is none of {choices}")
    return fields.List(
        fields.String(validate=among), load_default=list, validate=validate.Length(max=len(known))
    )


def _prices() -> fields.Dict:
    """What categories of cardholders pay who pay another price."""
    return fields.Dict(
        keys=fields.String(validate=KEY),
        values=fields.String(),
        load_default=dict,
        validate=validate.Length(max=20),
    )


class ItemSchema(Schema):
    """An item of a menu."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    category = fields.String(required=True, validate=validate.OneOf(CATEGORIES, error="is none of {choices}"))
    # Text, so that no amount passes through a float.
    price = fields.String(required=True)
    prices = _prices()
    contains = _allergens()
    may_contain = _allergens()
    diets = _some_of(DIETS)
    recipe = fields.String(load_default="", validate=is_label)
    services = fields.List(fields.String(), load_default=None, validate=validate.Length(min=1, max=20))
    first_day = Day(load_default=None)
    last_day = Day(load_default=None)
    weeks = fields.List(WholeNumber(1, MAX_WEEKS), load_default=list)
    weekdays = _some_of(WEEKDAYS)


class PartSchema(Schema):
    """One piece of a deal."""

    items = fields.List(fields.String(), load_default=list, validate=validate.Length(max=MAX_ITEMS))
    categories = _some_of(CATEGORIES)


class DealSchema(Schema):
    """A deal of a menu."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    price = fields.String(required=True)
    prices = _prices()
    services = fields.List(fields.String(), load_default=None, validate=validate.Length(min=1, max=20))
    parts = fields.List(fields.Nested(PartSchema), required=True, validate=validate.Length(min=2, max=5))


class TermSchema(Schema):
    """A term of the school."""

    first_day = Day(required=True)
    last_day = Day(required=True)
    week = WholeNumber(1, MAX_WEEKS, load_default=1)


class TaxSchema(Schema):
    """A tax on what is sold."""

    role = fields.String(required=True, validate=validate.OneOf(ROLES, error="is none of {choices}"))
    buyers = fields.List(fields.String(validate=KEY), load_default=list, validate=validate.Length(max=20))
    categories = _some_of(CATEGORIES)
    code = fields.String(required=True, validate=KEY)
    # Per cent, as text.
    rate = fields.String(required=True)


class MenuSchema(Schema):
    """A menu file."""

    timezone = fields.String(required=True, validate=validate.Length(max=64))
    currency = fields.String(required=True, validate=_is_currency)
    first_day = Day(required=True)
    last_day = Day(required=True)
    offline_quote_hours = fields.Integer(strict=True, load_default=24, validate=validate.Range(1, 168))
    services = fields.Dict(
        keys=fields.String(validate=KEY),
        values=fields.String(validate=is_label),
        required=True,
        validate=validate.Length(min=1, max=20),
    )
    items = fields.List(
        fields.Nested(ItemSchema), required=True, validate=validate.Length(min=1, max=MAX_ITEMS)
    )
    deals = fields.List(fields.Nested(DealSchema), load_default=list, validate=validate.Length(max=100))
    cycle_weeks = WholeNumber(1, MAX_WEEKS, load_default=1)
    terms = fields.List(fields.Nested(TermSchema), load_default=list, validate=validate.Length(max=20))
    closed_days = fields.List(Day(), load_default=list, validate=validate.Length(max=400))
    arrears_limit = fields.String(load_default=None)
    second_meal_warning = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    allergen_stop = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    order_until = fields.String(
        load_default=None,
        validate=validate.Regexp(re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z"), error="is not like 09:30"),
    )
    supplier_role = fields.String(
        load_default=None, validate=validate.OneOf(ROLES, error="is none of {choices}")
    )
    taxes = fields.List(fields.Nested(TaxSchema), load_default=list, validate=validate.Length(max=100))


class ProgrammeSchema(Schema):
    """A programme that pays for meals."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    nation = fields.String(required=True, validate=validate.OneOf(NATIONS, error="is none of {choices}"))
    years = _some_of(YEARS)
    services = fields.List(fields.String(), required=True, validate=validate.Length(min=1, max=20))
    amount = fields.String(required=True)
    funder = fields.String(required=True, validate=KEY)
    precedence = WholeNumber(1, 1000, required=True)
    adds = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    first_day = Day(required=True)
    last_day = Day(required=True)


class ProgrammesSchema(Schema):
    """A file of programmes."""

    programmes = fields.List(
        fields.Nested(ProgrammeSchema), required=True, validate=validate.Length(min=1, max=100)
    )
