"""Our file beside a feed: what GTFS cannot say of a card.

Which fare medium the card stands for, which rider category each of the scheme's categories of people is, who
pays the default fare; and what `travel.py` reads of it. `docs/services/transport.md` describes it for the
people who write it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from marshmallow import fields, validate

from cardservice.services.json_files import Sheet, read_sheet
from cardservice.services.seam import TariffError
from cardservice.services.taxes import TaxedSchema
from cardservice.services.transport.travel import PassSchema, TravelSchema

MAX_BYTES = 1 << 16  # ours
_TEXT = validate.Length(min=1, max=255)


@dataclass(frozen=True, slots=True)
class CardMap:
    """A map file's content.

    `fare_medium` is None for the products that name no medium. `rider_categories` leads from the scheme's
    categories to the feed's, or to None where the feed has none. `single_fare_products` is None where every
    product of a leg rule is one.
    """

    file: str
    fare_medium: str | None
    rider_categories: Mapping[str, str | None]
    default_category: str
    single_fare_products: frozenset[str] | None
    offline_quote_hours: int
    # The file itself, to say where in it something is at fault
    sheet: Sheet

    def error(self, reason: str) -> TariffError:
        """The refusal of this file."""
        return TariffError(self.file, None, reason)


class MapSchema(TaxedSchema):
    """Every field that there is; marshmallow refuses any other by default."""

    fare_medium = fields.String(required=True, allow_none=True, validate=_TEXT)
    rider_categories = fields.Dict(
        keys=fields.String(validate=_TEXT),
        values=fields.String(validate=_TEXT, allow_none=True),
        required=True,
        validate=validate.Length(min=1, max=100),
    )
    default_category = fields.String(required=True, validate=_TEXT)
    single_fare_products = fields.List(
        fields.String(validate=_TEXT), load_default=None, validate=validate.Length(min=1, max=10_000)
    )
    offline_quote_hours = fields.Integer(strict=True, load_default=24, validate=validate.Range(1, 168))
    travel = fields.Nested(TravelSchema, load_default=None, allow_none=True)
    passes = fields.List(fields.Nested(PassSchema), load_default=list, validate=validate.Length(max=100))


def read_map(path: Path) -> CardMap:
    """The map at `path`; raises TariffError."""
    sheet = read_sheet(path, MapSchema(), MAX_BYTES)
    values = sheet.values
    products = values["single_fare_products"]
    mapping = CardMap(
        file=path.name,
        fare_medium=values["fare_medium"],
        rider_categories=values["rider_categories"],
        default_category=values["default_category"],
        single_fare_products=None if products is None else frozenset(products),
        offline_quote_hours=values["offline_quote_hours"],
        sheet=sheet,
    )
    if mapping.default_category not in mapping.rider_categories:
        raise mapping.error(
            f"default_category: {mapping.default_category!r} is not one of the rider_categories"
        )
    return mapping
