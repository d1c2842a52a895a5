"""What checks have found, from a file: every line is looked at, and all of them are taken or none."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, insert, select

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.funding.errors import ChecksRefused
from cardservice.funding.models import entitlement
from cardservice.funding.reading import entitlements_of
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.payers import payers_of, touch_payers
from cardservice.services.funded import Funded, Programme
from cardservice.services.seam import Service
from cardservice.tariffs.service import tariff_in_force, tariffs_of

COLUMNS = ("cardholder", "programme", "year", "first_day", "review_on", "reference")
MAX_BYTES, MAX_ROWS = 8 << 20, 50_000  # ours
_AT_ONCE = 500
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
_REFERENCE = re.compile(r"[\w ./:-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Check:
    """What one check has found of a person."""

    cardholder: UUID
    programme: str
    year: str
    first_day: date
    review_on: date
    reference: str

    @property
    def said(self) -> tuple[str, str, date, date]:
        """What it says, without what the check is called."""
        return self.programme, self.year, self.first_day, self.review_on


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file came to: what is new, and how much of it was on record already."""

    new: tuple[Check, ...]
    unchanged: int


def funded(context: Context, name: str) -> Service:
    """The service of this name, which programmes pay for. Raises OrderInvalid."""
    service = context.services.get(name)
    if service is None or not isinstance(service, Funded):
        raise OrderInvalid(f"no programme pays for {name!r}")
    return service


def programmes_of(context: Context, connection: Connection, service: Service) -> tuple[Programme, ...]:
    """The programmes of the tariff in force and of those to come. Raises OrderInvalid where there is none."""
    current = tariff_in_force(connection, service.name, context.now())
    versions = [dated.version for dated in tariffs_of(connection, service.name)]
    wanted = [version for version in versions if version == current or version.valid_from > context.now()]
    found = [
        programme
        for version in wanted
        if isinstance(service, Funded)
        for programme in service.programmes(context.tariffs.get(version))
    ]
    if not found:
        raise OrderInvalid(f"the tariff of {service.name} names no programme; load one that does")
    return tuple(found)


def read_checks(path: Path, programmes: Sequence[Programme]) -> tuple[tuple[int, Check], ...]:
    """The checks of a file, each with its line. Raises ChecksRefused with every line that is at fault."""
    problems: list[str] = []
    checks: list[tuple[int, Check]] = []
    by_key: dict[str, list[Programme]] = {}
    for programme in programmes:
        by_key.setdefault(programme.key, []).append(programme)
    for line, values in _rows(path):
        found = _check(values, by_key)
        if isinstance(found, Check):
            checks.append((line, found))
        else:
            problems.append(f"{path.name}:{line}: {found}")
    lines: dict[tuple[UUID, str], int] = {}
    for line, check in checks:
        first = lines.setdefault((check.cardholder, check.programme), line)
        if first != line:
            what = "cardholder: has a check of this programme on line"
            problems.append(f"{path.name}:{line}: {what} {first} already")
    if problems:
        raise ChecksRefused(problems)
    return tuple(checks)


def import_checks(context: Context, service: Service, path: Path, *, actor: str, dry_run: bool) -> Imported:
    """Record what a file says that is not on record. Raises ChecksRefused and OrderInvalid.

    Changes the version of everybody who pays for one of these persons: nothing that was decided without it is
    posted after it.
    """
    with context.database.begin() as connection:
        checks = read_checks(path, programmes_of(context, connection, service))
        _require_known(connection, path, checks)
        new = _not_on_record(connection, service, [check for _, check in checks])
        if not dry_run and new:
            payers = {
                payer for check in new for payer in payers_of(connection, CardholderId(check.cardholder))
            }
            touch_payers(connection, payers)
            moment = context.now()
            rows = [
                {
                    "cardholder_id": check.cardholder,
                    "id": new_id(),
                    "service": service.name,
                    "programme": check.programme,
                    "year": check.year,
                    "first_day": check.first_day,
                    "review_on": check.review_on,
                    "recorded_at": moment,
                    "reference": check.reference,
                    "actor": actor,
                }
                for check in new
            ]
            connection.execute(insert(entitlement), rows)
            record(connection, actor, "funding.import", service.name, moment, checks=len(new))
    return Imported(tuple(new), len(checks) - len(new))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each line's values by column. Raises ChecksRefused where the file cannot be read as a table."""
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raise ChecksRefused([f"{path.name}: is larger than {MAX_BYTES >> 20} MiB"])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ChecksRefused([f"{path.name}:{line}: is not UTF-8"]) from problem
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        if sorted(head) != sorted(COLUMNS):
            raise ChecksRefused([f"{path.name}:1: the columns are {', '.join(COLUMNS)}"])
        for number, row in enumerate(reader):
            if number == MAX_ROWS:
                raise ChecksRefused([f"{path.name}: has more than {MAX_ROWS} lines"])
            if len(row) not in (0, len(head)):
                raise ChecksRefused(
                    [f"{path.name}:{reader.line_num}: has {len(row)} values, not {len(head)}"]
                )
            if row:
                yield reader.line_num, dict(zip(head, (value.strip() for value in row), strict=True))
    except csv.Error as problem:
        raise ChecksRefused([f"{path.name}:{reader.line_num}: is not CSV: {problem}"]) from problem


def _check(values: Mapping[str, str], programmes: Mapping[str, Sequence[Programme]]) -> Check | str:
    """The check of a line, or what is wrong with it."""
    try:
        holder = UUID(values["cardholder"])
    except ValueError:
        return f"cardholder: {values['cardholder'][:40]!r} is no identifier"
    key, year = values["programme"], values["year"]
    if key not in programmes:
        known = ", ".join(sorted(programmes))
        return f"programme: {key[:40]!r} is no programme of the tariff; there are {known}"
    days = [_day(values[name]) for name in ("first_day", "review_on")]
    if days[0] is None or days[1] is None:
        wrong = "first_day" if days[0] is None else "review_on"
        return f"{wrong}: {values[wrong][:40]!r} is no day like 2026-09-01"
    if days[1] < days[0]:
        return "review_on: is before first_day"
    years = {each for programme in programmes[key] for each in programme.years}
    if years and year not in years:
        return f"year: {year[:10]!r} is not one of {', '.join(sorted(years))}, which {key} is for"
    if len(year) > 3 or not (year == "" or year.isalnum()):
        return f"year: {year[:10]!r} is no school year like 5"
    if not _REFERENCE.match(values["reference"]):
        return (
            "reference: is not 1 to 64 letters, digits and marks: what the check is called where it was made"
        )
    return Check(holder, key, year, days[0], days[1], values["reference"])


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.match(text) else None
    except ValueError:
        return None


def _require_known(connection: Connection, path: Path, checks: Sequence[tuple[int, Check]]) -> None:
    wanted = sorted({check.cardholder for _, check in checks})
    known: set[UUID] = set()
    for at in range(0, len(wanted), _AT_ONCE):
        some = wanted[at : at + _AT_ONCE]
        known.update(connection.execute(select(cardholder.c.id).where(cardholder.c.id.in_(some))).scalars())
    problems = [
        f"{path.name}:{line}: cardholder: no cardholder {check.cardholder}"
        for line, check in checks
        if check.cardholder not in known
    ]
    if problems:
        raise ChecksRefused(problems)


def _not_on_record(connection: Connection, service: Service, checks: Sequence[Check]) -> list[Check]:
    """Those that say something else than the latest record of the same programme and person."""
    holders = sorted({check.cardholder for check in checks})
    latest: dict[tuple[UUID, str], tuple[str, str, date, date]] = {}
    for at in range(0, len(holders), _AT_ONCE):
        for holder, found in entitlements_of(connection, holders[at : at + _AT_ONCE]).items():
            for each in found:
                if each.service == service.name:
                    said = (each.programme, each.year, each.first_day, each.review_on)
                    latest[(holder, each.programme)] = said
    return [check for check in checks if latest.get((check.cardholder, check.programme)) != check.said]
