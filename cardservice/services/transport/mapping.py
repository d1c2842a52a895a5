"""Our file beside a feed: what GTFS cannot say of a card.

Which fare medium the card stands for, which rider category each of the scheme's categories of people is,
and who pays the default fare. `docs/services/transport.md` describes it for the people who write it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from cardservice.services.seam import TariffError

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

    def error(self, reason: str) -> TariffError:
        """The refusal of this file."""
        return TariffError(self.file, None, reason)


class MapSchema(Schema):
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


def read_map(path: Path) -> CardMap:
    """The map at `path`; raises TariffError."""
    content = _json(path)
    if not isinstance(content, dict):
        raise TariffError(path.name, None, "is not a JSON object")
    try:
        values = MapSchema().load(content)
    except ValidationError as problem:
        reason = _flat(problem.messages)
        raise TariffError(path.name, None, reason) from problem
    products = values["single_fare_products"]
    mapping = CardMap(
        file=path.name,
        fare_medium=values["fare_medium"],
        rider_categories=values["rider_categories"],
        default_category=values["default_category"],
        single_fare_products=None if products is None else frozenset(products),
        offline_quote_hours=values["offline_quote_hours"],
    )
    if mapping.default_category not in mapping.rider_categories:
        raise mapping.error(
            f"default_category: {mapping.default_category!r} is not one of the rider_categories"
        )
    return mapping


def _json(path: Path) -> object:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise TariffError(path.name, None, f"cannot be read: {problem.strerror}") from problem
    if len(raw) > MAX_BYTES:
        raise TariffError(path.name, None, f"is larger than {MAX_BYTES >> 10} KiB")
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_without_repetition)
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise TariffError(path.name, line, "is not UTF-8") from problem
    except json.JSONDecodeError as problem:
        raise TariffError(path.name, problem.lineno, f"is not JSON: {problem.msg}") from problem
    except (ValueError, RecursionError) as problem:
        raise TariffError(path.name, None, f"is not JSON that can be read: {problem}") from problem


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name stand twice and says not which one counts; here it is refused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return found


def _flat(says: object) -> str:
    if isinstance(says, dict):
        return "; ".join(f"{name}: {_flat(value)}" for name, value in says.items())
    return " ".join(str(part) for part in says) if isinstance(says, list) else str(says)
