"""From a file of terms to the content that is stored: what is ambiguous, left open or unlawful is refused."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardservice.money import format_minor, parse_minor
from cardservice.services.json_files import Sheet, read_sheet
from cardservice.services.library.schemas import MAX_FINE_MINOR, WEEKDAYS, TermsSchema
from cardservice.services.library.terms import FORMAT, YOUNG, Terms, prepare
from cardservice.services.seam import LoadedTariff
from cardservice.services.tariff_files import check_frame

MAX_BYTES = 1 << 20  # ours

Row = dict[str, Any]


def load_terms(path: Path, currency: str) -> LoadedTariff:
    """The terms in a file; raises TariffError with the line and the place that is at fault."""
    sheet = read_sheet(path, TermsSchema(), MAX_BYTES)
    _check_frame(sheet, currency)
    _check_members(sheet)
    values = sheet.values
    content: Row = {
        "format": FORMAT,
        "members": [_member(sheet, n, row) for n, row in enumerate(values["members"])],
        "lending": [_lending(sheet, n, row) for n, row in enumerate(values["lending"])],
        "closed_weekdays": sorted({WEEKDAYS.index(day) for day in values["closed_weekdays"]}),
        "closed_days": sorted({day.isoformat() for day in values["closed_days"]}),
        **{
            name: values[name]
            for name in ("timezone", "currency", "offline_quote_hours", "hold_shelf_days", "items")
        },
        **{name: values[name].isoformat() for name in ("first_day", "last_day")},
    }
    _check_pairs(sheet)
    content["version"] = _version(content)
    terms = prepare(content)
    return LoadedTariff(
        version=content["version"],
        valid_from=terms.valid_from,
        content=content,
        report=tuple(_report(terms)),
    )


def _check_frame(sheet: Sheet, currency: str) -> None:
    check_frame(sheet, currency)
    if len(set(sheet.values["closed_weekdays"])) == len(WEEKDAYS):
        raise sheet.error("closed_weekdays", "leaves no day on which anything could be brought back")


def _check_members(sheet: Sheet) -> None:
    """Each key is there once, and each category of cardholder is in one class."""
    keys: dict[str, int] = {}
    categories: dict[str, str] = {}
    for number, row in enumerate(sheet.values["members"]):
        first = keys.setdefault(row["key"], number)
        if first != number:
            raise sheet.error(f"members[{number}].key", f"the same as of members[{first}]")
        for category in row["categories"]:
            if categories.setdefault(category, row["key"]) != row["key"]:
                reason = f"{category!r} is in {categories[category]}, too"
                raise sheet.error(f"members[{number}].categories", reason)


def _member(sheet: Sheet, number: int, row: Row) -> Row:
    blocked = row["blocked_from"]
    return {
        **{name: row[name] for name in ("key", "label", "loans", "holds", "overdue", "pc_minutes")},
        "categories": sorted(set(row["categories"])),
        "blocked_from_minor": None
        if blocked is None
        else _minor(sheet, f"members[{number}].blocked_from", blocked, lowest=1),
    }


def _lending(sheet: Sheet, number: int, row: Row) -> Row:
    place = f"lending[{number}]"
    classes = {each["key"]: each for each in sheet.values["members"]}
    if row["members"] not in classes:
        raise sheet.error(f"{place}.members", f"there is no class {row['members'][:60]!r}")
    if row["items"] not in sheet.values["items"]:
        raise sheet.error(f"{place}.items", f"there is no class {row['items'][:60]!r}")
    fine = _minor(sheet, f"{place}.fine_per_day", row["fine_per_day"])
    cap = _minor(sheet, f"{place}.fine_cap", row["fine_cap"])
    young = YOUNG.intersection(classes[row["members"]]["categories"])
    if fine and young:
        raise sheet.error(f"{place}.fine_per_day", f"nobody who is {min(young)} is fined")
    if (fine > 0) != (cap > 0) or cap < fine:
        raise sheet.error(f"{place}.fine_cap", "a fine has a cap, of a day's fine at least; no fine has none")
    return {
        **{name: row[name] for name in ("members", "items", "loans", "days", "renewals", "grace_days")},
        "fine_per_day_minor": fine,
        "fine_cap_minor": cap,
    }


def _minor(sheet: Sheet, place: str, text: str, *, lowest: int = 0) -> int:
    try:
        minor = parse_minor(text, sheet.values["currency"])
    except ValueError as problem:
        raise sheet.error(place, str(problem)) from problem
    if not lowest <= minor <= MAX_FINE_MINOR:
        raise sheet.error(place, f"{text[:40]} is out of range")
    return minor


def _check_pairs(sheet: Sheet) -> None:
    """Every class of member has one row with every class of thing."""
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(sheet.values["lending"]):
        first = seen.setdefault((row["members"], row["items"]), number)
        if first != number:
            line = sheet.line(f"lending[{first}]")
            reason = f"is about the same as lending[{first}] (line {line}): {row['members']}, {row['items']}"
            raise sheet.error(f"lending[{number}]", reason)
    for number, member in enumerate(sheet.values["members"]):
        for items in sheet.values["items"]:
            if (member["key"], items) not in seen:
                pair = f"{member['key']} and {items}"
                reason = f"nothing says what holds for {pair}; say loans: 0 if nothing is lent"
                raise sheet.error(f"members[{number}]", reason)


def _version(content: Mapping[str, Any]) -> str:
    """First day and a hash of the content: the same wherever and whenever it is read."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    day = content["first_day"].replace("-", "")
    return f"{day}-{hashlib.sha256(canonical).hexdigest()[:24]}"


def _report(terms: Terms) -> Iterator[str]:
    yield (
        f"{len(terms.classes)} classes of members, {len(terms.items)} of things, in {terms.currency};"
        f" valid from {terms.first_day} to {terms.last_day} ({terms.zone.key})"
    )
    for (members, items), row in sorted(terms.lending.items()):
        if row.loans > terms.classes[members].loans:
            yield f"{members} may borrow {row.loans} of {items}, but {terms.classes[members].loans} in all"
    dearest = max((row.fine_cap_minor for row in terms.lending.values()), default=0)
    yield f"no fine is above {format_minor(dearest, terms.currency)} {terms.currency}"
