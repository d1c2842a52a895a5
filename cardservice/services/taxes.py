"""Which tax is on a line: by the provider's role, the buyer and what is sold, the first row that matches.

Shared by services whose tariff files have `supplier_role` and `taxes`; what a row may be of, each service
says by names of its own. Rates are the scheme's to know: nothing here knows a law.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from marshmallow import Schema, fields, validate

from cardservice.services.json_files import Sheet
from cardservice.services.price_lists import Listed
from cardservice.services.seam import Line
from cardservice.services.tariff_files import KEY

# In which role a provider sells: the law taxes an authority's own otherwise than a contractor's.
ROLES = ("authority", "principal", "agent")
_ROLE = validate.OneOf(ROLES, error="is none of {choices}")
_NAMES = fields.String(validate=validate.Length(min=1, max=255))
_HUNDREDTHS = 100
_MOST = Decimal(100)


class TaxSchema(Schema):
    """A tax on what is sold in a role, to some buyers and of some kinds; to and of all where not said."""

    role = fields.String(required=True, validate=_ROLE)
    buyers = fields.List(_NAMES, load_default=list, validate=validate.Length(max=100))
    of = fields.List(_NAMES, load_default=list, validate=validate.Length(max=1_000))
    code = fields.String(required=True, validate=KEY)
    # Per cent, as text.
    rate = fields.String(required=True)


class TaxedSchema(Schema):
    """Base of a tariff file that may say which tax its prices include."""

    supplier_role = fields.String(load_default=None, validate=_ROLE)
    taxes = fields.List(fields.Nested(TaxSchema), load_default=list, validate=validate.Length(max=100))


@dataclass(frozen=True, slots=True)
class TaxRow:
    """A row of the role in which the provider sells."""

    buyers: frozenset[str]
    of: frozenset[str]
    code: str
    rate_bp: int

    def matches(self, what: str, buyer: str) -> bool:
        """Whether it is on this, sold to somebody of this category."""
        return (not self.buyers or buyer in self.buyers) and (not self.of or what in self.of)


@dataclass(frozen=True, slots=True)
class Taxes:
    """The rows that count, in their order; none: the tariff says nothing of tax."""

    rows: tuple[TaxRow, ...] = ()

    def on(self, what: str, buyer: str | None) -> TaxRow | None:
        """The tax on what is sold to a category of people; None where the tariff says nothing of tax."""
        return next((row for row in self.rows if row.matches(what, buyer or "")), None)

    def put_on(self, line: Line, what: str, buyer: str | None) -> Line:
        """The line with its tax; as it is where the tariff says nothing of tax."""
        row = self.on(what, buyer)
        return line if row is None else replace(line, tax_code=row.code, tax_rate_bp=row.rate_bp)


def stored_taxes(sheet: Sheet, names: Collection[str], categories: Collection[str] | None) -> dict[str, Any]:
    """The role and the rows as they are stored; nothing where the file says nothing of tax.

    `names` is what rows can be `of`, `categories` which buyers there are, None: any. Raises TariffError, also
    where something sold would match no row.
    """
    role, rows = sheet.values["supplier_role"], sheet.values["taxes"]
    if (role is None) != (not rows):
        missing = "supplier_role" if role is None else "taxes"
        raise sheet.error(missing, "is missing: a tax is by the role in which the provider sells")
    if not rows:
        return {}
    for number, row in enumerate(rows):
        _check_known(sheet, f"taxes[{number}].of", row["of"], names)
        if categories is not None:
            _check_known(sheet, f"taxes[{number}].buyers", row["buyers"], categories)
    _check_complete(sheet, role)
    stored = [
        {
            "role": row["role"],
            "buyers": sorted(set(row["buyers"])),
            "of": sorted(set(row["of"])),
            "code": row["code"],
            "rate_bp": tax_rate_bp(sheet, number, row["rate"]),
        }
        for number, row in enumerate(rows)
    ]
    return {"supplier_role": role, "taxes": stored}


def taxes_from(content: Mapping[str, Any]) -> Taxes:
    """The taxes of a stored content; of one without any, none."""
    return Taxes(
        tuple(
            TaxRow(frozenset(row["buyers"]), frozenset(row["of"]), row["code"], row["rate_bp"])
            for row in content.get("taxes", ())
            if row["role"] == content["supplier_role"]
        )
    )


def listed_taxes(taxes: Taxes) -> Iterator[Listed]:
    """The rows that count as people compare them."""
    for number, row in enumerate(taxes.rows, 1):
        buyers, of = (", ".join(sorted(names)) or "all" for names in (row.buyers, row.of))
        said = f"{row.code}, {row.rate_bp / _HUNDREDTHS:g} % (sold to {buyers}: {of})"
        yield Listed(f"tax {number}", said)


def _check_known(sheet: Sheet, place: str, said: list[str], known: Collection[str]) -> None:
    for number, name in enumerate(said):
        if name not in known:
            raise sheet.error(f"{place}[{number}]", f"{name[:60]!r} is not known here")


def _check_complete(sheet: Sheet, role: str) -> None:
    """For everything and everybody there is a row, and none stands where it can never match."""
    own = [(number, row) for number, row in enumerate(sheet.values["taxes"]) if row["role"] == role]
    everything = [number for number, row in own if not row["buyers"] and not row["of"]]
    if not everything:
        raise sheet.error("taxes", f"has no row of the role {role} for all buyers and everything sold")
    for number, _ in own:
        if number > everything[0]:
            raise sheet.error(f"taxes[{number}]", f"never counts: taxes[{everything[0]}] matches before it")


def tax_rate_bp(sheet: Sheet, number: int, text: str) -> int:
    """The rate of a row in hundredths of a per cent, from per cent as text. Raises TariffError."""
    try:
        rate = Decimal(text) * _HUNDREDTHS
    except InvalidOperation:
        rate = Decimal(-1)
    if not (rate.is_finite() and 0 <= rate <= _MOST * _HUNDREDTHS and rate == int(rate)):
        raise sheet.error(f"taxes[{number}].rate", f"{text[:20]!r} is no rate in per cent like 20 or 12.5")
    return int(rate)
