"""Which tax is on what: by the provider's role, the buyer and the category, the first row that matches."""

from typing import Any

from cardservice.services.json_files import Sheet
from cardservice.services.taxes import tax_rate_bp


def taxes_of(sheet: Sheet) -> list[dict[str, Any]]:
    """The rows as they are stored. Raises TariffError, also where something sold would match none."""
    values = sheet.values
    rows = [
        {
            "role": row["role"],
            "buyers": sorted(set(row["buyers"])),
            "categories": sorted(set(row["categories"])),
            "code": row["code"],
            "rate_bp": tax_rate_bp(sheet, number, row["rate"]),
        }
        for number, row in enumerate(values["taxes"])
    ]
    role = values["supplier_role"]
    if (role is None) != (not rows):
        missing = "supplier_role" if role is None else "taxes"
        raise sheet.error(missing, "is missing: a tax is by the role in which the provider sells")
    if rows:
        _check_complete(sheet, rows, role)
    return rows


def _check_complete(sheet: Sheet, rows: list[dict[str, Any]], role: str) -> None:
    """For everything and everybody there is a row, and none stands where it can never match."""
    everything = [
        number
        for number, row in enumerate(rows)
        if row["role"] == role and not row["buyers"] and not row["categories"]
    ]
    if not everything:
        raise sheet.error("taxes", f"has no row of the role {role} for all buyers and categories")
    for number, row in enumerate(rows):
        if row["role"] == role and number > everything[0]:
            raise sheet.error(f"taxes[{number}]", f"never counts: taxes[{everything[0]}] matches before it")
